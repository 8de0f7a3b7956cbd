"""What a reader sees first: a handful of rows of Table 2, each beside its control of equal cost.

Pure; the README's block and the head of the page say it in the same words and digits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from es_repro.report.assembly import Table
from es_repro.report.collection import Drawing
from es_repro.report.layouts.by_setting import time_cell, value_cell
from es_repro.report.page.blocks import Grid
from es_repro.report.sheet import number
from es_repro.report.specs import ACCURACY, Setting
from es_repro.report.tables import build, paired_difference
from es_repro.report.unrun import Gap

__all__ = ["FirstScreen", "first_screen", "unrun_note"]

_TABLE, _FIGURE = "table2", "fig10"
# Row, and the control that spends its FLOPs.
_ROWS = {
    "baseline": "", "es": "short_es", "eswp": "short_eswp", "short_es": "", "short_eswp": "",
    "random_batch": "", "random_set": "",
}  # fmt: skip
_COLUMNS = ("accuracy, %", "FLOPs saved, %", "time saved, %", "against `short` at its FLOPs")
_NAMES = {
    "short_es": "short@ES: the baseline at ES's FLOPs",
    "short_eswp": "short@ESWP",
    "random_batch": "random_batch: b of B at random",
    "random_set": "random_set: as many samples, at random",
}


@dataclass(frozen=True)
class FirstScreen:
    """The head of the results.

    Attributes:
        grid: the table; its first head is what was run.
        notes: sentences below the table.
        figure: path of the picture beside it, from RESULTS; None: there is none.
        alt: what the picture shows.
        finding: a sentence above the table; "" where there is none.
    """

    grid: Grid
    notes: list[str]
    figure: str | None
    alt: str
    finding: str = ""


def first_screen(
    tables: Sequence[Table], drawings: Sequence[Drawing], missing: Iterable[Gap]
) -> FirstScreen | None:
    """The head of the results; None where nothing of Table 2 was run.

    Args:
        tables: what there is; the form closest to the paper's speaks.
        drawings: likewise.
        missing: what was not run.
    """
    forms = [table for table in tables if table.spec.name == _TABLE]
    for table in reversed(forms):  # demo, small, paper
        setting = _first_run(table)
        if setting is not None:
            return _screen(table, setting, drawings, missing)
    return None


def _first_run(table: Table) -> Setting | None:
    used = set(table.kept.loc[table.kept["state"] == "finished", "experiment"])
    settings = table.spec.blocks(table.preset)
    return next((s for s in settings if table.spec.experiment(s, table.preset) in used), None)


def _screen(
    table: Table, setting: Setting, drawings: Sequence[Drawing], missing: Iterable[Gap]
) -> FirstScreen:
    numbers = build(table.spec, table.kept, None, table.preset)
    numbers = numbers[numbers["setting"] == setting.heading(table.preset)]
    runs = table.kept[
        (table.kept["experiment"] == table.spec.experiment(setting, table.preset))
        & (table.kept["state"] == "finished")
    ]
    lines = {str(line["row"]): line for _, line in numbers.iterrows()}
    rows = [_row(lines[name], control, runs) for name, control in _ROWS.items() if name in lines]
    pictures = [d for d in drawings if d.spec.name == _FIGURE and d.preset == table.preset]
    form = "" if table.preset == "paper" else f" ({table.preset})"
    heading = f"Table 2{form}: {setting.heading(table.preset)}"
    return FirstScreen(
        Grid("", [heading, *_COLUMNS], rows),
        _notes(table, numbers, runs, missing),
        f"figures/{pictures[0].stem}.png" if pictures else None,
        pictures[0].spec.alt if pictures else "",
    )


def _row(line: pd.Series, control: str, runs: pd.DataFrame) -> list[str]:
    name = str(line["row"])
    shown = _NAMES.get(name, str(line["method"]))
    value = value_cell(line, ACCURACY)
    if line["state"] or name == "baseline":
        return [shown, value, "", "", ""]
    saved, time = number(line["flops_saved"], 1), time_cell(line).split(" †")[0]
    return [shown, value, saved, time, _against(name, control, runs)]


def _against(name: str, control: str, runs: pd.DataFrame) -> str:
    """The difference to the control of equal cost, in points, paired by seed."""
    if not control:
        return ""
    measured = runs.assign(value=ACCURACY.scale * runs["test/accuracy"])
    cells = [measured[measured["row"] == row] for row in (name, control)]
    found = paired_difference(cells[0], cells[1], "value")
    text = number(found["difference"], 2, sign=True)
    low, high = found["difference_low"], found["difference_high"]
    return text if low is None else f"{text} [{low:+.2f}, {high:+.2f}]"


def _notes(
    table: Table, numbers: pd.DataFrame, runs: pd.DataFrame, missing: Iterable[Gap]
) -> list[str]:
    told = dict(line.split(": ", 1) for line in table.provenance)
    paired = numbers["time_origin"].eq("paired").any()
    notes = [
        f"Accuracy: mean ± standard deviation over seeds {told['Seeds']}; last column: points, "
        f"paired by seed [95% interval]. Time: "
        f"{'paired steps on the idle machine [95% interval]' if paired else 'training alone'}. "
        f"By `{table.commands[0]}` at commit {told['Commit']} on {told['Device']}; data: "
        f"{told['Data']}. From the records alone: `{table.commands[1]}`."
    ]
    if not runs["config.recipe.paper"].fillna(False).all():
        seeds = int(numbers["num_seeds"].max())
        notes.append(
            f"This is not the paper's recipe, and {seeds} seed{'s' if seeds > 1 else ''}: it shows "
            "that protocol and clock work, and decides nothing about the paper's claims."
        )
    return notes + unrun_note(missing)


def unrun_note(missing: Iterable[Gap]) -> list[str]:
    """A sentence on the paper's own recipe and its price, where it was not run."""
    hours = {gap.item: gap.hours for gap in missing if gap.form == "paper" and gap.hours}
    if not hours:
        return []
    return [
        f"Not run: the paper's own recipe, about {sum(hours.values()):.0f} hours of one H100 "
        "(estimated, with all controls). `make TARGET PRESET=paper` runs it, and first says what "
        "it takes."
    ]
