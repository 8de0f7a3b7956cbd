"""One look for all figures: a style sheet, and a colour and a marker for each method."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["COLOURS", "MARKERS", "PHASES", "SHOWN", "save", "styled"]

_SHEET = Path(__file__).with_name("es_repro.mplstyle")

# Okabe and Ito's palette, which colour-blind readers tell apart; a control has the colour of the
# method that it stands beside, and a hollow or open marker.
COLOURS = {
    "baseline": "#000000", "es": "#0072B2", "eswp": "#D55E00", "loss": "#56B4E9",
    "order": "#CC79A7", "infobatch": "#009E73", "ka": "#E69F00", "ucb": "#B8A800",
    "random_batch": "#7F7F7F", "random_set": "#A9A9A9", "loss_anneal": "#56B4E9",
    "short_es": "#0072B2", "short_eswp": "#D55E00", "orderdp": "#882255",
}  # fmt: skip
MARKERS = {
    "baseline": "o", "es": "s", "eswp": "D", "loss": "v", "order": "^", "infobatch": "P",
    "ka": "X", "ucb": "*", "random_batch": "1", "random_set": "2", "loss_anneal": "x",
    "short_es": "<", "short_eswp": ">", "orderdp": "p",
}  # fmt: skip
SHOWN = {
    "baseline": "Baseline", "es": "ES", "eswp": "ESWP", "loss": "Loss", "order": "Order",
    "infobatch": "InfoBatch", "ka": "KA", "ucb": "UCB", "random_batch": "random_batch",
    "random_set": "random_set", "loss_anneal": "loss_anneal", "short_es": "short@ES",
    "short_eswp": "short@ESWP", "orderdp": "OrderDP",
}  # fmt: skip
# Where the time of a step or an epoch goes; light to dark in grey print.
PHASES = {
    "data": "#F0E442", "scoring": "#E69F00", "selection": "#D55E00", "training": "#0072B2",
    "other": "#BBBBBB", "planning": "#CC79A7", "re-scoring": "#56B4E9",
}  # fmt: skip


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
