"""`python -m es_repro.report html`: the page, and `readme`: the block at the head of README.md."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from es_repro.report import ReportError
from es_repro.report.collection import Shelf, figures, of_packs, of_root, tables
from es_repro.report.head import head, studied
from es_repro.report.page.blocks import Picture
from es_repro.report.page.contents import Document, Holdings, png, sections
from es_repro.report.page.html import to_html
from es_repro.report.readme import block, filled
from es_repro.report.studies.catalogue import STUDIES
from es_repro.report.studies.findings import Findings
from es_repro.report.studies.frontier import ALT
from es_repro.report.studies.study import Study
from es_repro.report.takeaways import takeaways
from es_repro.report.unrun import gaps
from es_repro.report.verdicts.command import document as ledger_document
from es_repro.theory import checks

__all__ = ["add_html", "add_readme", "gather", "page", "written_beside"]

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
        "readme", help="fill the heads of README.md and RESULTS/README.md from what is in RESULTS",
        description="Write what stands between the marks results:begin and results:end anew.",
    )  # fmt: skip
    parser.add_argument(
        "--file", type=Path, default=Path("README.md"), metavar="FILE", help="(README.md)"
    )
    _add_results(parser)
    parser.set_defaults(command=_readme)


def gather(
    shelves: Sequence[Shelf], documents: Sequence[Document], *, theory: bool,
    studies: Iterable[tuple[Study, Findings]] = (),
) -> Holdings:  # fmt: skip
    """Everything that a page is made of.

    Args:
        shelves: the records.
        documents: texts that stand beside them.
        theory: whether to compute the theory, and the verdicts with it, which takes seconds.
        studies: our own, with what they say; the decisive one leads the page.
    """
    made, drawn = list(tables(shelves)), list(figures(shelves))
    missing = gaps(made, drawn)
    found = list(checks()) if theory else []
    if theory:
        roots = list(dict.fromkeys(shelf.root for shelf in shelves))
        verdicts = Document("Verdicts on the paper's claims", ledger_document(roots, found))
        documents = [verdicts, *documents]
    first = head(studies, made, drawn, missing)
    return Holdings(made, drawn, found, documents, missing, first)


def page(held: Holdings, results: Path) -> str:
    """The page of what was gathered.

    Args:
        held: all of it.
        results: where the picture of its head may lie.
    """
    return to_html(_TITLE, _ABOUT, held.first, _beside(held, results), sections(held))


def _beside(held: Holdings, results: Path) -> bytes | None:
    """The picture of the head: a figure's, or a study's own file."""
    if held.first is None or held.first.figure is None:
        return None
    for made in held.drawings:
        if held.first.figure == f"figures/{made.stem}.png":
            return png(made)
    return (results / held.first.figure).read_bytes()


def _html(options: argparse.Namespace) -> None:
    if options.runs is not None:
        held = gather(of_root(options.runs), [], theory=True)
        path = options.runs / "report.html"
    else:
        documents, studies = _documents(options.results), studied(options.results)
        held = gather(_packs(options.results), documents, theory=True, studies=studies)
        path = options.results / "report.html"
    path.write_text(page(held, path.parent), encoding="utf-8")
    print(f"written: {path} ({len(held.tables)} tables, {len(held.drawings)} figures)")


def _readme(options: argparse.Namespace) -> None:
    studies = list(studied(options.results))
    held = gather(_packs(options.results), [], theory=False, studies=studies)
    if held.first is None:
        raise ReportError(f"no runs of Table 2 in {options.results}: the README has nothing to say")
    inside = {options.file: block(held.first, options.results)}
    own = options.results / "README.md"
    if own.is_file():
        inside[own] = takeaways(studies, *written_beside(options.results))
    for path, text in inside.items():
        path.write_text(filled(path.read_text(encoding="utf-8"), text, str(path)), "utf-8")
        print(f"written: {path}")


def written_beside(results: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The judge's card and the claims of the ledger, as they are written there."""
    card, ledger = results / "judge" / "card.json", results / "verdicts.json"
    return (
        json.loads(card.read_text(encoding="utf-8")) if card.is_file() else None,
        json.loads(ledger.read_text(encoding="utf-8"))["claims"] if ledger.is_file() else [],
    )


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
            found.append(Document(title, _unlinked(path), picture))
    return found


def _study(folder: Path) -> Document:
    """A study's page; of its pictures the frontier is taken into the document."""
    text = _unlinked(folder / "README.md")
    title = text.partition("\n")[0].removeprefix("# ")
    return Document(title, text, Picture((folder / "frontier.png").read_bytes(), ALT))


def _unlinked(path: Path) -> str:
    """A text without the pictures that it links to: the page is one file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith(("![", "<!--")))


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )
