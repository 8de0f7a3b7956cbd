"""How alike methods would have picked over a run's losses: the companion of the beta maps."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.style import INK, MUTED, look

__all__ = ["draw"]

_PAPER = "ES (0.2, 0.9)"  # Sec. 4.1
_CELL = 0.42  # inches


def draw(pairs: pd.DataFrame, legend: tuple[str, ...]) -> Figure:
    """Left: overlap of any two methods' picks; right: what the weights foretell.

    Args:
        pairs: of `replaying.compared`.
        legend: of `replaying.sheet`; its first two lines are told below.
    """
    labels = list(dict.fromkeys(pairs["first"]))
    size = _CELL * len(labels)
    figure = Figure(figsize=(size + 4.6, size + 2.1))
    left, right = figure.subplots(1, 2, width_ratios=[size, 2.2])
    _overlaps(figure, left, pairs, labels)
    _foresights(right, pairs, labels)
    headline(figure, "What methods would pick of the same losses")
    footnote(figure, "; ".join((*legend[:2], "bold: the paper's betas")))
    return figure


def _overlaps(figure: Figure, axis: Axes, pairs: pd.DataFrame, labels: list[str]) -> None:
    wide = pairs.pivot_table(index="first", columns="second", values="overlap")
    shares = 100 * wide.reindex(index=labels, columns=labels).to_numpy()
    lower = np.ma.masked_where(np.triu(np.ones_like(shares, dtype=bool)), shares)
    image = axis.imshow(lower, vmin=float(lower.min()), vmax=100, aspect="equal")
    middle = (float(lower.min()) + 100) / 2
    for row in range(len(labels)):
        for column in range(row):
            share = shares[row, column]
            colour = "white" if share < middle else "black"
            axis.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour,
                      fontsize=8)  # fmt: skip
    axis.set_xticks(range(len(labels) - 1), labels[:-1], rotation=45, ha="right")
    axis.set_yticks(range(1, len(labels)), labels[1:])
    axis.set_xlim(-0.5, len(labels) - 1.5)
    axis.set_ylim(len(labels) - 0.5, 0.5)
    axis.grid(visible=False)
    axis.set_title("picks in common (%)")
    for axis_labels in (axis.get_xticklabels(), axis.get_yticklabels()):
        for text in axis_labels:
            text.set_fontweight("bold" if text.get_text() == _PAPER else "normal")
    figure.colorbar(image, ax=axis, shrink=0.6, pad=0.02)


def _foresights(axis: Axes, pairs: pd.DataFrame, labels: list[str]) -> None:
    told = pairs.drop_duplicates("first").set_index("first").reindex(labels)
    known = told["foresight"].notna()
    places = range(len(labels))
    loss = told["foresight"].get("Loss", float("nan"))
    axis.axvline(loss, color=look("loss").colour, linestyle="--", linewidth=1)
    colours = [look("es").colour if label == _PAPER else INK for label in labels]
    errors = told["foresight_sd"].fillna(0.0)
    for place, label in zip(places, labels, strict=True):
        if known[label]:
            axis.errorbar(told["foresight"][label], place, xerr=errors[label], marker="o",
                          color=colours[place])  # fmt: skip
        else:
            axis.text(0.5, place, "all weights equal", va="center", ha="center", color=MUTED,
                      fontsize=8, transform=axis.get_yaxis_transform())  # fmt: skip
    axis.set_yticks(places, labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.margins(x=0.15)
    axis.set_title("foretells the next losses")
    axis.set_xlabel("rank correlation\n(dashed: Loss)")
