"""The head of README.md: the first screen as Markdown, between two marks. Pure."""

from pathlib import Path
from textwrap import fill

from tabulate import tabulate

from es_repro.report import ReportError
from es_repro.report.firstscreen import FirstScreen

__all__ = ["block", "filled"]

_WIDTH = 100  # characters, as the rest of the file
_BEGIN, _END = "<!-- results:begin -->", "<!-- results:end -->"


def block(first: FirstScreen, results: Path) -> str:
    """What stands between the marks.

    Args:
        first: the head of the results.
        results: the folder that its picture's path starts from, as the README sees it.
    """
    right = ["left"] + ["right"] * (len(first.grid.columns) - 1)
    table = tabulate(
        [list(row) for row in first.grid.rows], headers=list(first.grid.columns),
        tablefmt="pipe", colalign=right, disable_numparse=True,
    )  # fmt: skip
    picture = [] if first.figure is None else [f"![{first.alt}]({results / first.figure})"]
    notes = [fill(note, _WIDTH, break_long_words=False, break_on_hyphens=False)
             for note in first.notes]  # fmt: skip
    finding = [fill(f"**{first.finding}**", _WIDTH)] if first.finding else []
    return "\n\n".join([*finding, table, *notes, *picture])


def filled(text: str, inside: str, name: str) -> str:
    """`text` with `inside` between its marks.

    Args:
        text: of a file.
        inside: from `block`.
        name: of the file, for the error.

    Raises:
        ReportError: a mark is missing or stands twice.
    """
    if text.count(_BEGIN) != 1 or text.count(_END) != 1 or text.index(_BEGIN) > text.index(_END):
        raise ReportError(f"{name}: must have {_BEGIN} and, below it, {_END}, once each")
    before, rest = text.split(_BEGIN)
    return f"{before}{_BEGIN}\n{inside}\n{_END}{rest.split(_END)[1]}"
