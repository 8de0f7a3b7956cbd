"""A table with everything that is said about it: its cells, what it leaves out, how it was made."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from es_repro.report.catalogue import make_sheet
from es_repro.report.cells import resolve
from es_repro.report.document import document, listing, provenance
from es_repro.report.render import to_csv, to_latex
from es_repro.report.sheet import Sheet
from es_repro.report.specs import Preset, Row, TableSpec, experiments

__all__ = ["Table", "asked", "assembled", "commands", "stem", "texts"]


@dataclass(frozen=True)
class Table:
    """A table in one of its forms.

    Attributes:
        spec: which one.
        preset: its form.
        title: of the whole.
        sheet: the cells.
        kept: the runs that the cells are made of.
        listed: those that are named instead.
        commands: how runs and table were made.
    """

    spec: TableSpec
    preset: Preset
    title: str
    sheet: Sheet
    kept: pd.DataFrame
    listed: pd.DataFrame
    commands: list[str]

    @property
    def omissions(self) -> list[str]:
        """Which runs are not averaged, and why."""
        return listing(self.listed)

    @property
    def provenance(self) -> list[str]:
        """Commands, commits, machines, versions, seeds and data behind the cells."""
        return provenance(self.kept[self.kept["state"] == "finished"], self.commands)


def assembled(spec: TableSpec, preset: Preset, runs: pd.DataFrame, made: list[str]) -> Table:
    """The table of a frame of runs: the rows that it names, and then whatever else was run.

    Args:
        spec: which one.
        preset: its form.
        runs: the tidy frame of `runs.tidy`.
        made: the commands, from `commands`.
    """
    kept, listed = resolve(runs[runs["experiment"].isin(experiments(spec, preset))])
    known = {row.label for row in spec.rows}
    own = sorted(set(kept["row"]) - known)  # methods that the suite does not know: the reader's
    spec = replace(spec, rows=(*spec.rows, *(Row(label, label) for label in own)))
    title = spec.title if len(spec.presets) == 1 else f"{spec.title} ({preset} preset)"
    return Table(spec, preset, title, make_sheet(spec, runs, preset), kept, listed, made)


def texts(table: Table) -> dict[str, str]:
    """The table's files by suffix."""
    return {
        "md": document(table.title, table.sheet, table.kept, table.listed, table.commands),
        "tex": to_latex(table.sheet, table.spec.name),
        "csv": to_csv(table.sheet),
    }


def asked(spec: TableSpec, preset: Preset, runs: pd.DataFrame) -> bool:
    """Whether any of the table's runs was ever asked for."""
    return bool(runs["experiment"].isin(experiments(spec, preset)).any())


def stem(name: str, preset: Preset, presets: tuple[Preset, ...]) -> str:
    """The name of a table's or figure's files: the form is said where there are several."""
    return name if preset == "paper" or len(presets) == 1 else f"{name}_{preset}"


def commands(spec: TableSpec, preset: Preset, places: Mapping[str, Path | str | None]) -> list[str]:
    """How runs and table are made, without the places of this machine.

    Args:
        spec: which table.
        preset: its form.
        places: where the runs were read, by the command line's flag.
    """
    choice = "" if len(spec.presets) == 1 else f"PRESET={preset}"
    words = ["python", "-m", "es_repro.report", "tables", spec.name]
    words += ["--preset", preset] if len(spec.presets) > 1 else []
    for flag, place in places.items():
        if place is not None and spec.settings:
            words += [flag, "PLACE" if Path(place).is_absolute() else str(place)]
    return [f"{spec.make} {choice}".strip(), shlex.join(words)]
