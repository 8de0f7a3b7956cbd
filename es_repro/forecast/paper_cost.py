"""What the paper's recipes are expected to cost: `python -m es_repro.forecast.paper_cost`.

The hours of `--dry-run`, of every sweep that a target launches, in a small file that the report,
the README and the documentation read: composing all of them takes a minute of a core.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from es_repro.config import register_resolvers
from es_repro.forecast.plan import Planned, plan
from es_repro.report.unrun import EXPECTED

__all__ = ["ITEMS", "expected", "main"]

# The sweeps of each target of the Makefile, in the order of `make paper`; the last has no target.
ITEMS: Mapping[str, tuple[str, ...]] = {
    "table2": ("table2",), "table3": ("table3",), "memory": ("memory",),
    "table4": ("table4_mae_pretrain", "table4_mae_finetune"), "table5": ("table5",),
    "table6": ("table6", "table6_cola"), "table7": ("table7",), "table8": ("table8",),
    "table9": ("table9",), "fig5": ("fig5_baseline", "fig5_left", "fig5_right"),
    "fig6": ("fig6", "fig6_cola"), "fig7": ("fig7",), "noise": ("noise",),
}  # fmt: skip
_HEAD = """\
# H100 hours of the paper's recipes, controls included: estimated by the cost model, not measured.
# By `python -m es_repro.forecast.paper_cost`, from what --dry-run says; a test holds it to that.
# new_*: without the runs that an item further up has already; longest: the dearest run's hours.
"""
_DIGITS = 4


def expected(items: Mapping[str, Sequence[str]] = ITEMS) -> pd.DataFrame:
    """Runs and hours of each experiment of each sweep: a row each.

    Args:
        items: sweeps by target.
    """
    seen: set[str] = set()
    lines = []
    for item, sweeps in items.items():
        for sweep in sweeps:
            # No records: they would answer with what one machine has measured.
            runs, _ = plan(["-m", f"sweep={sweep}", "run.root=/nowhere"], _unchecked)
            for experiment in dict.fromkeys(map(_experiment, runs)):
                mine = [run for run in runs if _experiment(run) == experiment]
                new = [run for run in mine if run.key not in seen]
                lines.append({
                    "item": item, "sweep": sweep, "experiment": experiment, "runs": len(mine),
                    "hours": _hours(mine), "new_runs": len(new), "new_hours": _hours(new),
                    "longest": max(map(_hour, mine)),
                })  # fmt: skip
            seen |= {run.key for run in runs}
    return pd.DataFrame(lines)


def main(path: Path = EXPECTED) -> int:
    """Write the file."""
    register_resolvers()
    table = expected().to_csv(index=False, lineterminator="\n", float_format=f"%.{_DIGITS}g")
    path.write_text(_HEAD + table, encoding="utf-8")
    return 0


def _unchecked(config: DictConfig) -> None:
    """The recipes as they stand are composed and checked by the tests of the config tree."""


def _experiment(run: Planned) -> str:
    return run.name.split()[0]


def _hour(run: Planned) -> float:
    hours = run.expense.h100_hours
    if hours is None:
        raise ValueError(f"{run.name}: its H100 hours are not known ({run.expense.unknown})")
    return hours


def _hours(runs: Sequence[Planned]) -> float:
    return sum(map(_hour, runs))


if __name__ == "__main__":
    sys.exit(main())
