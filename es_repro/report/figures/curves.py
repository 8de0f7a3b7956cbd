"""Figure 10: accuracy against the samples back-propagated so far."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from es_repro.report.catalogue import SMALL_CIFAR10
from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.figures.source import Source
from es_repro.report.style import look

__all__ = ["draw", "frame"]

ROWS = ("baseline", "es", "eswp", "random_batch", "short_es")  # the last two: the controls of ES
EXPERIMENTS = {
    "table2_cifar10_resnet18": "CIFAR-10, ResNet-18",
    "table2_cifar100_resnet18": "CIFAR-100, ResNet-18",
    "table2_cifar100_resnet50": "CIFAR-100, ResNet-50",
}
_SMALL = {"table2_cifar10_resnet18": SMALL_CIFAR10}


def frame(source: Source) -> pd.DataFrame:
    """A line an evaluation: heading, row, seed, samples back-propagated, accuracy in percent."""
    lines = source.epochs(EXPERIMENTS, ROWS)
    if not lines.empty:
        known = lines["test/accuracy"].notna() & lines["cost/bp_samples"].notna()
        lines = lines[lines["evaluated"] & known]
    source.require(lines, "fig10", "finished runs of Table 2 (baseline, es, eswp)", "make table2")
    stems = lines["experiment"].str.split("/").str[-1]
    headings = EXPERIMENTS | (_SMALL if source.preset == "demo" else {})
    return pd.DataFrame({
        "heading": stems.map(headings), "row": lines["row"], "seed": lines["seed"],
        "samples": lines["cost/bp_samples"].astype(float),
        "accuracy": 100 * lines["test/accuracy"].astype(float),
    })  # fmt: skip


def draw(frame: pd.DataFrame) -> Figure:
    """A panel a setting; lines are means over the seeds, bands reach from the worst to the best."""
    headings = list(dict.fromkeys(frame["heading"]))
    figure = Figure(figsize=(4.8 * len(headings) + 0.8, 3.8))
    axes = figure.subplots(1, len(headings), squeeze=False)[0]
    largest = float(frame["samples"].max())
    power, unit = (6, "million") if largest > 2e6 else (3, "thousand")
    for axis, heading in zip(axes, headings, strict=True):
        _panel(axis, frame[frame["heading"] == heading], 10.0**power)
        axis.set_title(heading)
        axis.set_xlabel(f"samples back-propagated so far ({unit})")
    axes[0].set_ylabel("test accuracy (%)")
    headline(figure, "Accuracy against samples back-propagated")
    footnote(
        figure,
        "line: mean over the seeds; band: worst to best seed. Scoring passes are not counted here: "
        "ES and ESWP forward every planned sample besides. Controls: random_batch picks b of B at "
        "random; short@ES is the baseline over as many epochs as cost ES's FLOPs.",
    )
    return figure


def _panel(axis: Axes, lines: pd.DataFrame, unit: float) -> None:
    for row in ROWS:
        mine = lines[lines["row"] == row]
        if mine.empty:
            continue
        style = look(row)
        points = mine.groupby("samples")["accuracy"].agg(["mean", "min", "max"])
        seeds = mine["seed"].nunique()
        name = f"{style.name} ({seeds} seed{'s' if seeds > 1 else ''})"
        x = points.index.to_numpy() / unit
        axis.plot(x, points["mean"], color=style.colour, marker=style.marker, label=name,
                  linestyle=style.line, markerfacecolor=style.face)  # fmt: skip
        axis.fill_between(x, points["min"], points["max"], color=style.colour, alpha=0.15,
                          linewidth=0)  # fmt: skip
    axis.set_xlim(left=0)
    axis.legend(loc="lower right")
