"""The sections of the page, from tables, figures and documents. Pure but for drawing."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from es_repro.report.assembly import Table, stem
from es_repro.report.collection import Drawing
from es_repro.report.figures.catalogue import figure_of
from es_repro.report.firstscreen import FirstScreen
from es_repro.report.page.blocks import Block, Grid, Lines, Picture, Prose, Section
from es_repro.report.sheet import Part
from es_repro.report.specs import PRESETS
from es_repro.report.style import styled
from es_repro.report.unrun import Gap
from es_repro.theory import Check

__all__ = ["Document", "Holdings", "png", "sections"]

_PIXELS_AN_INCH = (
    144  # twice a page's: sharp on a fine screen, and half the bytes of a figure's own
)


@dataclass(frozen=True)
class Document:
    """A text in Markdown, with a picture of its own if it has one."""

    title: str
    text: str
    picture: Picture | None = None


@dataclass(frozen=True)
class Holdings:
    """Everything that the page is made of.

    Attributes:
        tables: from records.
        drawings: likewise.
        theory: the checks of the paper's propositions.
        documents: texts that stand beside the records.
        missing: what was not run.
        first: the head of the results, if any.
    """

    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    theory: Sequence[Check]
    documents: Sequence[Document]
    missing: Sequence[Gap]
    first: FirstScreen | None


def sections(held: Holdings) -> list[Section]:
    """The page from top to bottom."""
    drawings = [_figure(made) for made in held.drawings]
    parts = [
        Section("tables", "Tables", parts=[_table(table) for table in held.tables]),
        Section("figures", "Figures", parts=drawings),
    ]
    if held.theory:
        parts.append(_theory(held.theory))
    parts += [_document(document) for document in held.documents]
    return [*parts, _rerun(held), _unrun(held.missing)]


# ---------------------------------------------------------------- a section each


def _table(table: Table) -> Section:
    name = stem(table.spec.name, table.preset, table.spec.presets)
    blocks: list[Block] = [_grid(part) for part in table.sheet.parts]
    blocks.append(Lines("How to read it", table.sheet.legend))
    if table.omissions:
        blocks.append(Lines("Runs that are not in the table", table.omissions, open=True))
    blocks.append(Lines("Where it comes from", table.provenance, open=True))
    return Section(_slug(name), table.title, blocks)


def _grid(part: Part) -> Grid:
    """A part of a table; one that nobody ran is folded away under what it says of itself."""
    caption = ": ".join(text for text in (part.heading, part.name.lower()) if text)
    rows = [list(row) for row in part.cells.itertuples(index=False, name=None)]
    said = {row[1] for row in rows}
    unrun = len(said) == 1 and rows[0][1].startswith("not run")
    if unrun:
        caption += f": {rows[0][1]}"
    return Grid(caption, [str(column) for column in part.cells.columns], rows, folded=unrun)


def _figure(made: Drawing) -> Section:
    title = made.spec.title + _form(made)
    picture = Picture(png(made), made.spec.alt, made.data, f"{made.stem}.csv")
    return Section(
        _slug(made.stem), title, [picture, Lines("Where it comes from", made.provenance, open=True)]
    )


def png(made: Drawing) -> bytes:
    """A figure as a picture inside the page."""
    buffer = io.BytesIO()
    with styled():
        figure_of(made.spec, made.frame).savefig(
            buffer, format="png", dpi=_PIXELS_AN_INCH, metadata={"Software": None}
        )
    return buffer.getvalue()


def _theory(found: Sequence[Check]) -> Section:
    rows = [[check.source, check.claim, check.computed, check.verdict] for check in found]
    told = sum(check.as_expected for check in found)
    text = (
        "The paper's propositions as numbers, computed for this page on a CPU (`make theory`). "
        "L: mean loss; D: squared distance of the start from the minimiser; b1, b2: the betas; "
        "w: angular frequency, in radians a visit. *Does not hold, as known*: false as printed, "
        f"kept here with its number. {told} of {len(found)} came out as expected."
    )
    grid = Grid("", ["source", "claimed", "computed", "verdict"], rows)
    return Section("theory", "Theory", [Prose(text), grid])


def _document(document: Document) -> Section:
    blocks: list[Block] = [Prose(_below_heading(document.text))]
    if document.picture is not None:
        blocks.append(document.picture)
    return Section(_slug(document.title), document.title, blocks)


def _rerun(held: Holdings) -> Section:
    rows = [[table.title, *_bare(table.commands)] for table in held.tables]
    rows += [
        [f"{made.spec.title}{_form(made)}", *_bare(re.findall(r"`([^`]+)`", made.provenance[0]))]
        for made in held.drawings
    ]
    rows += [["Theory", "make theory", ""], ["This page", "make report", ""]]
    grid = Grid("", ["what", "make the runs", "from the records alone"], rows, code=(1, 2))
    text = (
        "Each target runs what is missing, goes on with what was interrupted and builds its table "
        f"or figure; `PRESET` is one of {', '.join(PRESETS)}, `DATA_ROOT` says where data sets "
        "lie. The second command needs no training."
    )
    return Section("rerun", "How to run each again", [Prose(text), grid])


def _unrun(missing: Sequence[Gap]) -> Section:
    rows = [
        [gap.item, gap.form, gap.why, gap.command, "" if gap.hours is None else f"{gap.hours:g}"]
        for gap in missing
    ]
    grid = Grid("", ["what", "form", "why not", "what runs it", "H100 hours"], rows, code=(3,))
    text = "H100 hours: estimated from FLOPs, not measured; blank where nobody estimated them."
    return Section("not-run", "What was not run", [Prose(text), grid])


# ---------------------------------------------------------------- texts


def _bare(commands: Sequence[str]) -> list[str]:
    return [*commands, "", ""][:2]


def _form(made: Drawing) -> str:
    return f" ({made.preset} preset)" if len(made.spec.presets) > 1 else ""


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _below_heading(text: str) -> str:
    """A document without its own title, and its headings two levels down."""
    return "\n".join(_demoted(text.splitlines()))


def _demoted(lines: Sequence[str]) -> Iterator[str]:
    fenced = False
    for line in lines:
        fenced ^= line.startswith("```")
        if fenced or not line.startswith("#"):
            yield line
        elif not line.startswith("# "):
            yield f"#{line}"
