"""Tables and lists in Markdown, as every page of the report writes them."""

from collections.abc import Iterable, Sequence

__all__ = ["bullets", "table"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells may hold anything but line breaks.

    Args:
        heads: of the columns.
        rows: a cell a column each.
    """
    lines = [heads, [":--"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
                     for line in lines)  # fmt: skip


def bullets(lines: Iterable[str]) -> str:
    """A list, a line each."""
    return "\n".join(f"- {line}" for line in lines)
