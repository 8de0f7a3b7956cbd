"""The picture of a study: accuracy against FLOPs, and the line that the baseline alone draws."""

from matplotlib.figure import Figure
from scipy.stats import t

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.studies.findings import Findings
from es_repro.report.studies.study import Study
from es_repro.report.style import INK, look, styled

__all__ = ["ALT", "draw"]

ALT = (
    "Accuracy against FLOPs: a black line of the baseline at its budgets, and each method as a "
    "point with an error bar; points above the line gain compute, points below it lose some."
)


def draw(study: Study, found: Findings) -> Figure:
    """Mean accuracy with the 95% interval of the mean over the seeds; the line is the frontier."""
    arms = found.arms.dropna(subset=["mean", "cost"])
    half = _half_widths(found)
    with styled():
        figure = Figure(figsize=(6.4, 4.4))
        axes = figure.subplots()
        budgets = arms["row"].isin(["baseline", *study.frontier])
        line = arms[budgets].sort_values("cost")
        axes.errorbar(
            100 * line["cost"].astype(float), line["mean"].astype(float),
            yerr=[half.get(row, 0.0) for row in line["row"]], color=INK, marker="o",
            label="Baseline at its budgets", zorder=2,
        )  # fmt: skip
        taken = set()
        for _, arm in arms[~budgets].iterrows():
            style = look(str(arm["row"]))
            face = "white" if (style.colour, style.marker) in taken else style.face
            taken.add((style.colour, style.marker))  # variants of a method share its look
            axes.errorbar(
                100 * float(arm["cost"]), float(arm["mean"]), yerr=half.get(str(arm["row"]), 0.0),
                color=style.colour, marker=style.marker, markerfacecolor=face,
                linestyle="none", label=study.short_name(str(arm["row"])), zorder=3,
            )  # fmt: skip
        axes.set_xlabel("FLOPs of training, percent of the baseline's (scoring included)")
        axes.set_ylabel("test accuracy (%)")
        axes.legend(loc="best", fontsize=8)
        headline(figure, study.title)
        counts = sorted({int(count) for count in arms["seeds"]}) or [0]
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        footnote(
            figure,
            f"{seeds} seeds an arm, each at {study.rates}; bars: 95% interval of the mean. A "
            "method above the line is worth more than a shorter baseline of its cost.",
        )
        figure.draw_without_rendering()
    return figure


def _half_widths(found: Findings) -> dict[str, float]:
    """Of each arm's mean, in points."""
    widths = {}
    for _, arm in found.arms.dropna(subset=["sd"]).iterrows():
        count = int(arm["seeds"])
        widths[str(arm["row"])] = float(t.ppf(0.975, count - 1) * float(arm["sd"]) / count**0.5)
    return widths
