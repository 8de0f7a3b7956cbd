"""Every table and figure that records give: from the packs under RESULTS, or from a run root.

A pack is `RESULTS/NAME[_PRESET]/records`, as `report pack` writes it; it makes the table or figure
of its name, and every figure that finds in it what it needs.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from es_repro.report import ReportError
from es_repro.report.assembly import Table, asked, assembled, commands, stem
from es_repro.report.catalogue import TABLES
from es_repro.report.document import provenance
from es_repro.report.figures.catalogue import FIGURES, FigureSpec
from es_repro.report.figures.source import Source
from es_repro.report.folders import MEMBERS, read_members, read_runs
from es_repro.report.runs import tidy
from es_repro.report.specs import PRESETS, Preset

__all__ = ["Drawing", "Shelf", "drawing", "figures", "frame_of", "of_packs", "of_root", "tables"]


@dataclass(frozen=True)
class Shelf:
    """Records in one place.

    Attributes:
        name: of the pack, as its table's files; "" for a run root, which may hold any table.
        preset: the form of what it holds.
        root: the folder of the runs.
        runs: the tidy frame of `runs.tidy`.
    """

    name: str
    preset: Preset
    root: Path
    runs: pd.DataFrame


@dataclass(frozen=True)
class Drawing:
    """What a figure is drawn from, and where that comes from.

    Attributes:
        spec: which figure.
        preset: its form.
        stem: name of its files.
        frame: the numbers drawn.
        provenance: commands, commits, machines, versions, seeds and data: a line each.
    """

    spec: FigureSpec
    preset: Preset
    stem: str
    frame: pd.DataFrame
    provenance: list[str]

    @property
    def data(self) -> str:
        """The numbers as CSV, below what they come from."""
        lines = "".join(f"# {line}\n" for line in self.provenance)
        return lines + self.frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def of_packs(results: Path) -> list[Shelf]:
    """The packs under RESULTS, in the order of the tables, then of the figures."""
    names = [
        (stem(spec.name, preset, spec.presets), preset)
        for spec in TABLES.values()
        for preset in spec.presets
    ]
    names += [
        (stem(spec.name, preset, spec.presets), preset)
        for spec in FIGURES.values()
        for preset in spec.presets
    ]
    shelves = []
    for name, preset in names:
        root = results / name / "records"
        if (root / MEMBERS).is_file():
            shelves.append(Shelf(name, preset, root, frame_of(root)))
    return shelves


def of_root(root: Path) -> list[Shelf]:
    """A run root, once for every form of table that may be in it.

    Raises:
        ReportError: it has no runs.
    """
    runs = frame_of(root)
    return [Shelf("", preset, root, runs) for preset in PRESETS]


def frame_of(root: Path) -> pd.DataFrame:
    """The tidy frame of the runs in a folder."""
    members = read_members(root)
    return tidy(members, read_runs(root, {m.run for m in members if m.run is not None}))


def tables(shelves: Iterable[Shelf]) -> Iterator[Table]:
    """Every table that the shelves' records make, and those that need none."""
    shelves = list(shelves)
    for spec in TABLES.values():
        if not spec.settings:
            preset = spec.presets[0]
            yield assembled(spec, preset, tidy([], {}), commands(spec, preset, {}))
            continue
        for preset in spec.presets:
            names = ("", stem(spec.name, preset, spec.presets))
            for shelf in shelves:
                if shelf.preset == preset and shelf.name in names:
                    if asked(spec, preset, shelf.runs):
                        made = commands(spec, preset, {"--runs": shelf.root})
                        yield assembled(spec, preset, shelf.runs, made)
                    break


def figures(shelves: Iterable[Shelf]) -> Iterator[Drawing]:
    """Every figure that the shelves' records make, and those that need none."""
    shelves = list(shelves)
    for spec in FIGURES.values():
        if not spec.needs_runs:
            yield drawing(spec, Source(tidy([], {}), Path(), "paper"), None)
            continue
        for preset in spec.presets:
            of_preset = [shelf for shelf in shelves if shelf.preset == preset]
            # Its own pack speaks first.
            own = stem(spec.name, preset, spec.presets)
            for shelf in sorted(of_preset, key=lambda shelf: shelf.name != own):
                try:
                    found = drawing(spec, Source(shelf.runs, shelf.root, preset), shelf.root)
                except ReportError:
                    continue
                yield found
                break


def drawing(spec: FigureSpec, source: Source, place: Path | None) -> Drawing:
    """What one figure is drawn from.

    Args:
        spec: which figure.
        source: the records.
        place: where they were read, as the command line was told; None: not told.

    Raises:
        ReportError: nothing to draw; says what to run.
    """
    frame = spec.frame(source)
    words = ["python", "-m", "es_repro.report", "figures", spec.name]
    if not spec.needs_runs:
        lines = [f"Command: `{spec.make}`, then `{shlex.join(words)}`"]
        lines.append("Data: made up, by a fixed rule; the selectors are the library's")
        return Drawing(spec, source.preset, spec.name, frame, lines)
    words += ["--preset", source.preset]
    if place is not None:
        words += ["--runs", "PLACE" if place.is_absolute() else str(place)]
    used = source.runs[source.runs["run"].isin(list(source.used))].drop_duplicates("run")
    lines = provenance(used, [f"{spec.make} PRESET={source.preset}", shlex.join(words)])
    name = stem(spec.name, source.preset, spec.presets)
    return Drawing(spec, source.preset, name, frame, lines)
