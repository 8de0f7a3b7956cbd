"""One look for all figures: a style sheet, and a colour, a marker and a name for each method.

The colours are Okabe and Ito's (2008), which the common forms of colour blindness keep apart; a
marker says the same again for print without colour. Controls are grey and open.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["INK", "MUTED", "PHASES", "Look", "look", "save", "styled"]

INK, MUTED = "#222222", "#6B6B6B"
# Where the time of a step or an epoch goes; light to dark in grey print.
PHASES = {
    "data": "#F0E442", "scoring": "#E69F00", "selection": "#D55E00", "training": "#0072B2",
    "other": "#BBBBBB", "planning": "#CC79A7", "re-scoring": "#56B4E9",
}  # fmt: skip
_SHEET = Path(__file__).with_name("es_repro.mplstyle")


@dataclass(frozen=True)
class Look:
    """How a method is drawn; `filled` is false for controls."""

    name: str
    colour: str
    marker: str
    line: str = "-"
    filled: bool = True

    @property
    def face(self) -> str:
        """Fill of the marker."""
        return self.colour if self.filled else "white"


_LOOKS = {
    "baseline": Look("Baseline", "#000000", "o"),
    "es": Look("ES", "#D55E00", "s"),
    "eswp": Look("ESWP", "#0072B2", "D"),
    "infobatch": Look("InfoBatch", "#009E73", "^"),
    "ucb": Look("UCB", "#56B4E9", "v"),
    "ka": Look("KA", "#CC79A7", "<"),
    "loss": Look("Loss", "#E69F00", ">"),
    "order": Look("Order", "#B3A100", "P"),
    "loss_anneal": Look("loss_anneal", "#E69F00", ">", "--", filled=False),
    "nondif": Look("NonDif", "#7A4B9A", "h"),
    "nondif_anneal": Look("NonDif + A", "#7A4B9A", "h", "--", filled=False),
    "dif": Look("ES without annealing", "#D55E00", "s", "--", filled=False),
    "random": Look("Random", "#7F7F7F", "X"),
    "random_set": Look("random_set", "#7F7F7F", "X", "--", filled=False),
    "random_batch": Look("random_batch", "#7F7F7F", "P", "--", filled=False),
    "random_flops": Look("random_flops", "#7F7F7F", "v", "--", filled=False),
    "short_75": Look("short@75%", "#7F7F7F", "o", ":", filled=False),
    "short_es": Look("short@ES", "#7F7F7F", "s", ":", filled=False),
    "short_eswp": Look("short@ESWP", "#7F7F7F", "D", ":", filled=False),
    "orderdp": Look("OrderDP", "#882255", "p"),
    "eswp_r0.3": Look("ESWP, r=0.3", "#0072B2", "D"),
    "eswp_r0.5": Look("ESWP, r=0.5", "#4DA3DB", "d", "--"),
}


def look(row: str) -> Look:
    """The look of a row; a variant without its own (`es_b0.5_0.9`) has its method's.

    Args:
        row: `row` in members.jsonl.
    """
    if row in _LOOKS:
        return _LOOKS[row]
    stem = row
    while "_" in stem:
        stem = stem.rpartition("_")[0]
        if stem in _LOOKS:
            return replace(_LOOKS[stem], name=row)
    return Look(row, MUTED, ".")


@contextmanager
def styled() -> Iterator[None]:
    """Inside, figures have the project's look; outside, matplotlib stays as it was."""
    with mpl.rc_context(fname=_SHEET):
        yield


def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and as PDF beside it, the same bytes every time.

    Args:
        figure: made inside `styled`.
        path: with either ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [path.with_suffix(".png"), path.with_suffix(".pdf")]
    with styled():
        figure.savefig(written[0], metadata={"Software": None})
        figure.savefig(written[1], metadata={"CreationDate": None, "Producer": None})
    return written
