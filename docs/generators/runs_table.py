"""The sweeps as a table: what each target runs, how many runs, and their expected hours."""

import math
from pathlib import Path

from es_repro.report.unrun import expected
from generators import write
from generators.config_tree import Option

__all__ = ["num_runs", "write_table"]

_PARAMETERS = "hydra.sweeper.params."


def write_table(path: Path) -> None:
    """Write the sweeps of the paper's recipes with their runs and expected hours."""
    lines = ["| sweep | experiment | runs | hours | runs of its own | their hours |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for line in expected().itertuples():
        lines.append(f"| `{line.sweep}` | `{line.experiment}` | {line.runs} | {line.hours:.2g} | "
                     f"{line.new_runs} | {line.new_hours:.2g} |")  # fmt: skip
    write(path, "\n".join(lines) + "\n")


def num_runs(option: Option) -> int:
    """Runs of a sweep: the product of its lists."""
    return math.prod(len(values) for values in _parameters(option).values())


def _parameters(option: Option) -> dict[str, list[str]]:
    found = {}
    for key in option.keys:
        if key.name.startswith(_PARAMETERS):
            values = key.value.strip("'\"").split(",")
            found[key.name.removeprefix(_PARAMETERS)] = [value.strip() for value in values]
    return found
