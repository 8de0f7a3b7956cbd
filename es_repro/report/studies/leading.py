"""A study as the first screen of the results: its arms beside the baseline of their cost. Pure."""

from collections.abc import Iterable

import pandas as pd

from es_repro.report.document import provenance
from es_repro.report.firstscreen import FirstScreen, unrun_note
from es_repro.report.page.blocks import Grid
from es_repro.report.studies.findings import Findings, unfinished
from es_repro.report.studies.frontier import ALT
from es_repro.report.studies.study import Study
from es_repro.report.studies.written import ARM_COLUMNS, arm_cells, difference_cell
from es_repro.report.unrun import Gap

__all__ = ["screen"]

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
    rows = [
        [cells["arm"], cells["accuracy, %"], cells["FLOPs, %"],
         _against_short(study, str(row), found.contrasts), cells["compute-equivalent gain"]]
        for row, cells in zip(arms["row"], map(_named, arm_cells(arms)), strict=True)
    ]  # fmt: skip
    grid = Grid("", [study.title, *_COLUMNS], rows)
    picture = f"{study.name}/frontier.png"
    return FirstScreen(grid, _notes(study, found, missing), picture, ALT, _finding(study, found))


def _finding(study: Study, found: Findings) -> str:
    """Who does better than the baseline of its cost, who worse, who neither."""
    said: dict[str, list[str]] = {"better": [], "worse": [], "": []}
    for row in study.methods:
        beside = found.contrasts[found.contrasts["method"] == row]
        beside = beside[beside["control"] == study.shorts[row]]
        for _, one in beside.iterrows():
            word = str(one["verdict"])
            word = word if word in said else ""  # equivalent, undecided, or not at equal cost
            points = f" ({one['difference']:+.1f} points)" if word else ""
            said[word].append(study.short_name(row).split(",")[0] + points)
    heads = {"better": "better are", "worse": "worse are", "": "not told apart are"}
    parts = [f"{heads[word]} {', '.join(names)}" for word, names in said.items() if names]
    return f"Beside a plain run that is simply shorter, at equal cost, {'; '.join(parts)}."


def _named(cells: list[str]) -> dict[str, str]:
    return dict(zip(ARM_COLUMNS, cells, strict=True))


def _against_short(study: Study, row: str, contrasts: pd.DataFrame) -> str:
    """The difference to the baseline of an arm's cost; "" where the arm has none."""
    short = study.shorts.get(row)
    beside = contrasts[(contrasts["method"] == row) & (contrasts["control"] == short)]
    return "" if beside.empty else difference_cell(beside.iloc[0])


def _notes(study: Study, found: Findings, missing: Iterable[Gap]) -> list[str]:
    told = dict(line.split(": ", 1) for line in provenance(found.runs, []))
    tuned = ", each arm at its own tuned rate" if study.tuning else ""
    notes = [
        f"Accuracy: mean ± standard deviation over seeds {told['Seeds']}{tuned}. Against the "
        "baseline of its cost: points to the baseline whose whole schedule fits into about the "
        "method's FLOPs, paired by seed [95% interval]. Compute-equivalent gain: FLOPs that the "
        "baseline would need for the method's accuracy, over the method's own; above 1 it saves "
        "compute; below the frontier: worse than the cheapest budget here, whose FLOPs over the "
        f"method's stand in brackets. By `make {study.name}` at commit {told['Commit']} on "
        f"{told['Device']}; data: {told['Data']}. From the records alone: "
        f"`python -m es_repro.report study {study.name}`."
    ]
    primary = found.contrasts[found.contrasts["role"] == "primary"]
    if len(primary):
        each = "; ".join(
            f"{study.short_name(str(one['method']))} against "
            f"{study.short_name(str(one['control']))} {difference_cell(one)}: {one['verdict']}"
            for _, one in primary.iterrows()
        )
        notes.append(
            f"Named before the first run ([plan](results/PLAN.md)): {each}. All other differences "
            "are exploratory, their intervals uncorrected."
        )
    notes += filter(None, [unfinished(study, found)])
    notes += unrun_note(missing)
    return notes
