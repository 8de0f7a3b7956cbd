"""Make again, from the packs under RESULTS, every table and figure that stands there.

`python -m es_repro.report rebuild`: the committed outputs are what this writes, so a change of a
layout or of a pack shows in them, and a test compares the two.
"""

import argparse
from pathlib import Path

from es_repro.report import ReportError
from es_repro.report.assembly import Table, stem, texts
from es_repro.report.collection import Drawing, figures, of_packs, tables
from es_repro.report.figures.catalogue import figure_of
from es_repro.report.studies.command import packs, write_study
from es_repro.report.style import save

__all__ = ["add_rebuild", "write_drawing", "write_table"]


def write_table(table: Table, results: Path) -> Path:
    """Write RESULTS/tables/NAME[_PRESET].{md,tex,csv}; answers the name without an ending."""
    folder = results / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / stem(table.spec.name, table.preset, table.spec.presets)
    for suffix, text in texts(table).items():
        path.with_name(f"{path.name}.{suffix}").write_text(text, encoding="utf-8")
    return path


def write_drawing(made: Drawing, results: Path) -> Path:
    """Write RESULTS/figures/NAME[_PRESET].{png,pdf,csv}; answers the name without an ending."""
    path = results / "figures" / made.stem
    save(figure_of(made.spec, made.frame), path.with_name(f"{path.name}.png"))
    path.with_name(f"{path.name}.csv").write_text(made.data, encoding="utf-8")
    return path


def add_rebuild(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of the report."""
    parser = commands.add_parser(
        "rebuild", help="every table and figure of RESULTS again, from the packs in it",
        description="Write the tables and figures of RESULTS anew, from RESULTS/*/records and "
        "from nothing else.",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )
    parser.set_defaults(command=_rebuild)


def _rebuild(options: argparse.Namespace) -> None:
    shelves = of_packs(options.results)
    if not shelves:
        raise ReportError(f"no packs in {options.results}: `report pack NAME` makes one")
    for table in tables(shelves):
        print(f"written: {write_table(table, options.results)}.md, .tex, .csv")
    for study, frame, place in packs(options.results):
        folder = write_study(study, frame, options.results, place)
        print(f"written: {folder}/README.md, arms.csv, contrasts.csv, frontier.png, .pdf")
    for made in figures(shelves):
        print(f"written: {write_drawing(made, options.results)}.png, .pdf, .csv")
