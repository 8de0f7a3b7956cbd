"""What a section of the page may hold, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Block", "Grid", "Lines", "Picture", "Prose", "Section"]


@dataclass(frozen=True)
class Grid:
    """A table.

    Args:
        caption: said above it; "" for none.
        columns: heads.
        rows: text cells, as long as the heads.
        code: places of the columns whose cells are commands.
        folded: the caption alone is seen until it is opened.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    code: tuple[int, ...] = ()
    folded: bool = False

    kind = "grid"


@dataclass(frozen=True)
class Picture:
    """A figure, inside the page.

    Args:
        png: the picture.
        alt: what is to be seen, for who does not see it.
        csv: the numbers behind it, to be saved; "" for none.
        name: of the saved file.
    """

    png: bytes
    alt: str
    csv: str = ""
    name: str = ""

    kind = "picture"


@dataclass(frozen=True)
class Lines:
    """A list, folded under its title unless `open`; a line may hold Markdown."""

    title: str
    lines: Sequence[str]
    open: bool = False

    kind = "lines"


@dataclass(frozen=True)
class Prose:
    """A text in Markdown."""

    text: str

    kind = "prose"


Block = Grid | Picture | Lines | Prose


@dataclass(frozen=True)
class Section:
    """A part of the page with an entry in its contents.

    Args:
        slug: its address in the page.
        title: its heading.
        blocks: what it holds.
        parts: sections inside it.
    """

    slug: str
    title: str
    blocks: Sequence[Block] = ()
    parts: Sequence["Section"] = field(default=())
