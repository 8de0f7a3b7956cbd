"""`python -m es_repro.report html`: the page, and `readme`: the block at the head of README.md."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from es_repro.report import ReportError
from es_repro.report.collection import Shelf, figures, of_packs, of_root, tables
from es_repro.report.firstscreen import first_screen
from es_repro.report.page.blocks import Picture
from es_repro.report.page.contents import Document, Holdings, png, sections
from es_repro.report.page.html import to_html
from es_repro.report.readme import block, filled
from es_repro.report.studies.catalogue import STUDIES
from es_repro.report.studies.frontier import ALT
from es_repro.report.unrun import gaps
from es_repro.report.verdicts.command import document as ledger_document
from es_repro.theory import checks

__all__ = ["add_html", "add_readme", "gather", "page"]

_TITLE = "es_repro: does choosing what to train on save compute?"
_ABOUT = (
    "What [the project](../README.md) has measured of *Data-Efficient Training by Evolved "
    "Sampling* (Cheng, Li, Bian 2025) and of its peers, against the plain controls that usually "
    "win. Every number below comes from records of runs; each table and figure says which command, "
    "commit, machine, seeds and data it rests on, and how to make it again.",
)
# Texts that stand beside the packs, and the picture of one: what to make of the tables, and the
# bench, which has no runs.
_DOCUMENTS = {"How to take these numbers": "README.md", "What selection costs": "bench/bench.md"}
_CHART = (
    "Bars, one a method: the time of a selecting epoch over the baseline's, split into scoring, "
    "training and the rest, with a mark where its FLOPs alone would put it."
)


def add_html(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of the report."""
    parser = commands.add_parser(
        "html", help="one page of everything that records give, to be read offline",
        description="Write one self-contained HTML page. Without --runs: RESULTS/report.html, from "
        "RESULTS/*/records. With it: ROOT/report.html, from the runs in ROOT.",
    )  # fmt: skip
    parser.add_argument("--runs", type=Path, metavar="ROOT", help="a run root instead of packs")
    _add_results(parser)
    parser.set_defaults(command=_html)


def add_readme(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of the report."""
    parser = commands.add_parser(
        "readme", help="fill the head of README.md from the packs in RESULTS",
        description="Write what stands between the marks results:begin and results:end anew.",
    )  # fmt: skip
    parser.add_argument(
        "--file", type=Path, default=Path("README.md"), metavar="FILE", help="(README.md)"
    )
    _add_results(parser)
    parser.set_defaults(command=_readme)


def gather(shelves: Sequence[Shelf], documents: Sequence[Document], *, theory: bool) -> Holdings:
    """Everything that a page is made of.

    Args:
        shelves: the records.
        documents: texts that stand beside them.
        theory: whether to compute the theory, and the verdicts with it, which takes seconds.
    """
    made, drawn = list(tables(shelves)), list(figures(shelves))
    missing = gaps(made, drawn)
    found = list(checks()) if theory else []
    if theory:
        roots = list(dict.fromkeys(shelf.root for shelf in shelves))
        verdicts = Document("Verdicts on the paper's claims", ledger_document(roots, found))
        documents = [verdicts, *documents]
    return Holdings(made, drawn, found, documents, missing, first_screen(made, drawn, missing))


def page(held: Holdings) -> str:
    """The page of what was gathered."""
    first = held.first
    beside = [made for made in held.drawings if first and made.stem == first.figure]
    return to_html(_TITLE, _ABOUT, first, png(beside[0]) if beside else None, sections(held))


def _html(options: argparse.Namespace) -> None:
    if options.runs is not None:
        held = gather(of_root(options.runs), [], theory=True)
        path = options.runs / "report.html"
    else:
        held = gather(_packs(options.results), _documents(options.results), theory=True)
        path = options.results / "report.html"
    path.write_text(page(held), encoding="utf-8")
    print(f"written: {path} ({len(held.tables)} tables, {len(held.drawings)} figures)")


def _readme(options: argparse.Namespace) -> None:
    held = gather(_packs(options.results), [], theory=False)
    if held.first is None:
        raise ReportError(f"no runs of Table 2 in {options.results}: the README has nothing to say")
    text = options.file.read_text(encoding="utf-8")
    place = options.results / "figures"
    options.file.write_text(filled(text, block(held.first, place), str(options.file)), "utf-8")
    print(f"written: {options.file}")


def _packs(results: Path) -> list[Shelf]:
    shelves = of_packs(results)
    if not shelves:
        raise ReportError(f"no packs in {results}: `report pack NAME` makes one")
    return shelves


def _documents(results: Path) -> list[Document]:
    found = [_study(results / name) for name in STUDIES if (results / name / "README.md").is_file()]
    for title, name in _DOCUMENTS.items():
        path = results / name
        if path.is_file():
            chart = path.with_suffix(".png")
            picture = Picture(chart.read_bytes(), _CHART) if chart.is_file() else None
            found.append(Document(title, path.read_text(encoding="utf-8"), picture))
    return found


def _study(folder: Path) -> Document:
    """A study's page; of its pictures the frontier is taken into the document."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("# ")
    body = "\n".join(line for line in text.splitlines() if not line.startswith("!["))
    return Document(title, body, Picture((folder / "frontier.png").read_bytes(), ALT))


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )
