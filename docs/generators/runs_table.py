"""The sweeps as a table: what each target runs, how many runs, and their expected hours."""

import math
import re
from pathlib import Path

from generators import write
from generators.config_tree import Option, groups

__all__ = ["hours", "num_runs", "write_table"]

_PARAMETERS = "hydra.sweeper.params."


def write_table(conf: Path, path: Path) -> None:
    """Write the sweeps of the paper's recipes with their runs, and what their files expect."""
    tree = groups(conf)
    expected = {option.name: hours(option) for option in tree["experiment"]}
    lines = ["| sweep | experiment | runs | a run on one H100 |", "|---|---|---|---|"]
    for option in tree["sweep"]:
        experiments = _parameters(option)["experiment"]
        runs = num_runs(option) // len(experiments)
        for name in experiments:
            said = expected[name] or "not estimated"
            lines.append(f"| `{option.name}` | `{name}` | {runs} | {said} |")
    write(path, "\n".join(lines) + "\n")


def num_runs(option: Option) -> int:
    """Runs of a sweep: the product of its lists."""
    return math.prod(len(values) for values in _parameters(option).values())


def hours(option: Option) -> str:
    """What an experiment's file says of its cost; empty where it says nothing."""
    found = re.search(r"Expected on one H100: (.*?) \(estimated, not measured(?:; )?(.*?)\)",
                      option.purpose)  # fmt: skip
    return "; ".join(filter(None, found.groups())) if found else ""


def _parameters(option: Option) -> dict[str, list[str]]:
    found = {}
    for key in option.keys:
        if key.name.startswith(_PARAMETERS):
            values = key.value.strip("'\"").split(",")
            found[key.name.removeprefix(_PARAMETERS)] = [value.strip() for value in values]
    return found
