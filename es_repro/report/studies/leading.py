"""A study as the first screen of the results: its arms beside the baseline of their cost. Pure."""

from collections.abc import Iterable

import pandas as pd

from es_repro.report.document import provenance
from es_repro.report.firstscreen import FirstScreen, unrun_note
from es_repro.report.page.blocks import Grid
from es_repro.report.sheet import number
from es_repro.report.studies.findings import Findings
from es_repro.report.studies.frontier import ALT
from es_repro.report.studies.study import Study
from es_repro.report.unrun import Gap

__all__ = ["difference_text", "screen", "short_name"]

_COLUMNS = (
    "accuracy, %",
    "FLOPs, %",
    "against the baseline of its cost",
    "compute-equivalent gain",
)


def screen(study: Study, found: Findings, missing: Iterable[Gap]) -> FirstScreen:
    """The head of the results.

    Args:
        study: which one.
        found: its numbers.
        missing: what of the paper was not run.
    """
    arms = found.arms.dropna(subset=["mean"])
    rows = [_row(study, arm, found.contrasts) for _, arm in arms.iterrows()]
    grid = Grid("", [study.title, *_COLUMNS], rows)
    return FirstScreen(grid, _notes(study, found, missing), f"{study.name}/frontier.png", ALT)


def short_name(study: Study, row: str) -> str:
    """An arm's name without what it is."""
    return study.arms[row].partition(":")[0]


def difference_text(contrast: pd.Series) -> str:
    """Points with their interval, such as `+0.20 [-0.10, +0.50]`."""
    low, high = contrast["low"], contrast["high"]
    return f"{contrast['difference']:+.2f} [{low:+.2f}, {high:+.2f}]"


def _row(study: Study, arm: pd.Series, contrasts: pd.DataFrame) -> list[str]:
    row = str(arm["row"])
    beside = contrasts[
        (contrasts["method"] == row) & (contrasts["control"] == study.shorts.get(row))
    ]
    spread = "" if pd.isna(arm["sd"]) else f" ± {arm['sd']:.2f}"
    return [
        str(arm["arm"]), f"{arm['mean']:.2f}{spread}",
        "" if pd.isna(arm["cost"]) else number(100 * float(arm["cost"]), 1),
        "" if beside.empty else difference_text(beside.iloc[0]),
        "" if pd.isna(arm["gain_shown"]) else str(arm["gain_shown"]),
    ]  # fmt: skip


def _notes(study: Study, found: Findings, missing: Iterable[Gap]) -> list[str]:
    told = dict(line.split(": ", 1) for line in provenance(found.runs, []))
    tuned = ", each arm at its own tuned rate" if study.tuning else ""
    notes = [
        f"Accuracy: mean ± standard deviation over seeds {told['Seeds']}{tuned}. Against the "
        "baseline of its cost: points to the baseline whose whole schedule fits into about the "
        "method's FLOPs, paired by seed [95% interval]. Compute-equivalent gain: FLOPs that the "
        "baseline would need for the method's accuracy, over the method's own; above 1 it saves "
        f"compute. By `make {study.name}` at commit {told['Commit']} on {told['Device']}; data: "
        f"{told['Data']}. From the records alone: `python -m es_repro.report study {study.name}`."
    ]
    primary = found.contrasts[found.contrasts["role"] == "primary"]
    if len(primary):
        each = "; ".join(
            f"{short_name(study, str(one['method']))} against "
            f"{short_name(study, str(one['control']))} {difference_text(one)}: {one['verdict']}"
            for _, one in primary.iterrows()
        )
        notes.append(f"Named before the first run ([plan](results/PLAN.md)): {each}.")
    notes += unrun_note(missing)
    return notes
