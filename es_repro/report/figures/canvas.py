"""What every figure has around its panels: a title at the left, a note below."""

import textwrap

from matplotlib.figure import Figure

__all__ = ["footnote", "headline"]

_TITLE_WIDTH, _NOTE_WIDTH = 10.0, 17.0  # characters an inch, at their sizes


def headline(figure: Figure, text: str) -> None:
    """The figure's title, broken where the figure ends."""
    lines = textwrap.fill(text, int(_TITLE_WIDTH * figure.get_figwidth()))
    figure.suptitle(lines, x=0.01, ha="left", fontweight="bold", fontsize=11)


def footnote(figure: Figure, text: str) -> None:
    """What a reader needs to know, small, below the panels."""
    lines = textwrap.fill(text, int(_NOTE_WIDTH * figure.get_figwidth()))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=8)
