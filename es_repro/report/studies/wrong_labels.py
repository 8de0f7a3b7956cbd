"""The picture of label noise: how many of the rows that were trained on have a wrong label."""

import pandas as pd
from matplotlib.figure import Figure

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.studies.study import Study
from es_repro.report.style import INK, look, styled

__all__ = ["ALT", "draw", "shares"]

ALT = (
    "Share of wrong labels among the samples back-propagated, a line a method over the epochs; a "
    "dotted line is their share in the training set."
)
_TRAINED, _IN_THE_SET = "noise/bp_share", "noise/share"


def shares(epochs: pd.DataFrame) -> pd.DataFrame:
    """By row and epoch the mean, lowest and highest share over the seeds, in percent.

    Args:
        epochs: lines of the histories, from `figures.source.histories`.

    Returns:
        row, epoch, mean, low, high, in_the_set; empty where no run had label noise.
    """
    if _TRAINED not in epochs:
        return pd.DataFrame()
    lines = epochs.dropna(subset=[_TRAINED])
    grouped = lines.groupby(["row", "epoch"])
    found = 100 * grouped[_TRAINED].agg(["mean", "min", "max"]).astype(float)
    found["in_the_set"] = 100 * grouped[_IN_THE_SET].mean().astype(float)
    return found.rename(columns={"min": "low", "max": "high"}).reset_index()


def draw(study: Study, found: pd.DataFrame) -> Figure:
    """Lines are means over the seeds, bands reach from the lowest to the highest."""
    with styled():
        figure = Figure(figsize=(6.4, 4.0))
        axes = figure.subplots()
        axes.axhline(
            float(found["in_the_set"].mean()), color=INK, linestyle=":", linewidth=1,
            label="in the training set",
        )  # fmt: skip
        for row in study.arms:
            mine = found[found["row"] == row]
            if mine.empty:
                continue
            style = look(row)
            axes.plot(mine["epoch"], mine["mean"], color=style.colour, linestyle=style.line,
                      marker=style.marker, markerfacecolor=style.face, markersize=4,
                      label=study.short_name(row))  # fmt: skip
            axes.fill_between(mine["epoch"], mine["low"], mine["high"], color=style.colour,
                              alpha=0.15, linewidth=0)  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel("wrong labels among rows trained (%)")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8, loc="best")
        headline(figure, "Which labels are trained on under label noise")
        footnote(figure, "line: mean over the seeds; band: lowest to highest seed.")
        figure.draw_without_rendering()
    return figure
