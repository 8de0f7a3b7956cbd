"""What was not run, why, and what running it would take."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from es_repro.report.assembly import Table
from es_repro.report.catalogue import TABLES
from es_repro.report.collection import Drawing
from es_repro.report.figures.catalogue import FIGURES
from es_repro.report.specs import Preset

__all__ = ["EXPECTED", "Gap", "expected", "gaps", "paper_hours"]

EXPECTED = Path(__file__).parent / "expected.csv"  # by `python -m es_repro.forecast.paper_cost`
_WHY: dict[Preset, str] = {
    "paper": "the full recipe: a large GPU and the full data sets",
    "small": "minutes a run on a large GPU",
    "demo": "no records of it were packed",
}


@dataclass(frozen=True)
class Gap:
    """Something that the paper has and these records do not.

    Attributes:
        item: which table or figure.
        form: paper, small, demo; or the part of a table.
        why: the reason.
        command: what runs it.
        hours: of one H100, estimated, without the runs that an item before it has already; None
            where nobody estimated it.
    """

    item: str
    form: str
    why: str
    command: str
    hours: float | None = None


@cache
def expected() -> pd.DataFrame:
    """Runs and estimated H100 hours of the paper's recipes: a row a sweep and experiment."""
    return pd.read_csv(EXPECTED, comment="#")


def paper_hours() -> dict[str, float]:
    """Estimated H100 hours of each item's recipe; a run of several counts where it comes first."""
    hours = expected().groupby("item", sort=False)["new_hours"].sum()
    return {str(item): float(f"{value:.2g}") for item, value in hours.items()}


def gaps(tables: Iterable[Table], drawings: Iterable[Drawing]) -> list[Gap]:
    """Everything without records, in the order of the paper; then the empty parts of what has."""
    tables, drawings = list(tables), list(drawings)
    found = list(_whole_tables({(table.spec.name, table.preset) for table in tables}))
    found += _figures({(made.spec.name, made.preset) for made in drawings})
    for table in tables:
        found += _parts(table)
    return found


def _whole_tables(there: set[tuple[str, Preset]]) -> Iterator[Gap]:
    for spec in TABLES.values():
        for preset in spec.presets:
            if spec.settings and (spec.name, preset) not in there:
                hours = paper_hours().get(spec.name) if preset == "paper" else None
                yield Gap(_item(spec.name), preset, _WHY[preset], _make(spec.make, preset), hours)


def _figures(there: set[tuple[str, Preset]]) -> Iterator[Gap]:
    for spec in FIGURES.values():
        for preset in spec.presets:
            if (spec.name, preset) not in there:
                hours = paper_hours().get(spec.name) if preset == "paper" else None
                yield Gap(_item(spec.name), preset, _WHY[preset], _make(spec.make, preset), hours)


def _parts(table: Table) -> Iterator[Gap]:
    """The settings of a table that are there in name alone."""
    used = set(table.kept.loc[table.kept["state"] == "finished", "experiment"])
    for setting in table.spec.blocks(table.preset):
        experiment = table.spec.experiment(setting, table.preset)
        if experiment not in used:
            asked = table.kept[table.kept["experiment"] == experiment]
            no_data = len(asked) and asked["state"].eq("no data").all()
            why = "its data set was not there" if no_data else "not run"
            form = f"{table.preset}: {setting.heading(table.preset)}"
            yield Gap(_item(table.spec.name), form, why, _make(table.spec.make, table.preset))


def _make(target: str, preset: Preset) -> str:
    return f"{target} PRESET={preset} DATA_ROOT=..."


def _item(name: str) -> str:
    for word, shown in (("table", "Table"), ("fig", "Figure")):
        if name.startswith(word) and name[len(word) :].isdigit():
            return f"{shown} {name[len(word) :]}"
    return name.capitalize()
