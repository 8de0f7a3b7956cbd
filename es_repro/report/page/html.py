"""Sections as one HTML file: nothing in it is fetched from anywhere. Pure."""

import base64
import re
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from es_repro.report.firstscreen import FirstScreen
from es_repro.report.page.blocks import Grid, Section

__all__ = ["to_html"]

_LONG = 34  # characters: a cell that is longer may break
_NUMBER = re.compile(r"[(]?[-+−]?\d")
_MARKS = (  # the class of a verdict, by how its words begin; the first that fits
    ("holds, against", "no"), ("holds", "yes"), ("reproduced", "yes"),
    ("does not hold, as known", "known"), ("does not", "no"), ("not reproduced", "no"),
    ("not decided", "open"), ("undecided", "open"), ("insensitive", "open"), ("not run", "unrun"),
)  # fmt: skip


def to_html(
    title: str, about: Sequence[str], first: FirstScreen | None, picture: bytes | None,
    parts: Sequence[Section],
) -> str:  # fmt: skip
    """The whole page.

    Args:
        title: of the page.
        about: what it is, a paragraph each, in Markdown.
        first: the head of the results.
        picture: beside it, a PNG.
        parts: the sections.
    """
    environment = Environment(
        loader=PackageLoader("es_repro.report.page", "."), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    # Records are the text: a run's error message must not become markup.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    environment.filters |= {
        "markdown": lambda text: Markup(_scrolling(markdown.render(text))),
        "line": lambda text: Markup(markdown.renderInline(text)),
        "base64": lambda content: base64.b64encode(content).decode("ascii"),
        "numeric": _numeric,
        "kind": _kind,
    }
    style = resources.files("es_repro.report.page").joinpath("page.css").read_text("utf-8")
    return environment.get_template("page.html.j2").render(
        title=title, about=about, first=first, picture=picture, parts=parts, style=Markup(style)
    )


def _scrolling(html: str) -> str:
    """Markdown's tables in a box that scrolls."""
    return html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace(
        "</table>", "</table></div>"
    )


def _numeric(grid: Grid) -> list[bool]:
    """Of each column whether most of what it says begins like a number; it stands at the right."""
    answers = []
    for place in range(len(grid.columns)):
        said = [row[place] for row in grid.rows if row[place] not in ("", "-")]
        numbers = sum(bool(_NUMBER.match(cell)) for cell in said)
        answers.append(place > 0 and (not said or 2 * numbers > len(said)))
    return answers


def _kind(cell: str) -> str:
    """The classes of a cell: whether it may break, and what it says."""
    words = cell.lower()
    mark = next((mark for start, mark in _MARKS if words.startswith(start)), "")
    mark = "unrun" if cell == "-" else mark
    return " ".join(filter(None, ("long" if len(cell) > _LONG else "", mark)))
