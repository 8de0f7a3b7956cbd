"""Figure 9: how many samples of each class ESWP selects, early, halfway and late."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.figures.source import Source
from es_repro.report.style import MUTED, look

__all__ = ["draw", "frame"]

SHOWN = 50  # Fig. 9's caption: the first 50 classes
# The paper names no epochs; ours are 20, 100 and 180 of 200: outside the annealed ones.
STAGES = {"early": 0.1, "halfway": 0.5, "late": 0.9}
_EXPERIMENT = {"demo": "table2_cifar10_resnet18"}
_HEADINGS: Mapping[str, str] = {"demo": "CIFAR-10, 2,000 images, small net"}
_NAMES = {
    _HEADINGS["demo"]: (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
}  # fmt: skip


def frame(source: Source) -> pd.DataFrame:
    """A line a stage and class: epoch, count (mean over the seeds), low, high, rank, seeds."""
    experiment = _EXPERIMENT.get(source.preset, "table2_cifar100_resnet50")
    lines = source.epochs([experiment], ["eswp"])
    if not lines.empty:
        lines = lines[lines["selection/class_counts"].notna()]
    source.require(lines, "fig9", f"finished runs of eswp in {experiment}", "make table2")
    planned = int(lines["epochs"].iloc[0])
    parts = []
    for stage, share in STAGES.items():
        epoch = max(1, int(share * planned + 0.5))
        counts = pd.DataFrame(lines.loc[lines["epoch"] == epoch, "selection/class_counts"].tolist())
        if counts.empty:
            continue
        mean = counts.mean()
        parts.append(
            pd.DataFrame({
                "stage": stage, "epoch": epoch, "epochs": planned, "class": mean.index,
                "count": mean, "low": counts.min(), "high": counts.max(),
                "rank": mean.rank(ascending=False, method="first").astype(int),
                "seeds": len(counts),
                "heading": _HEADINGS.get(source.preset, "CIFAR-100, ResNet-50"),
            })
        )  # fmt: skip
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return source.require(found, "fig9", f"class counts at {list(STAGES)}", "make table2")


def draw(frame: pd.DataFrame) -> Figure:
    """A panel a stage: bars are samples of the class, the number on a bar is its rank."""
    stages = list(dict.fromkeys(frame["stage"]))
    classes = int(frame["class"].max()) + 1
    shown = min(classes, SHOWN)
    figure = Figure(figsize=(max(7.6, 0.24 * shown + 1), 2.1 * len(stages) + 0.8))
    axes = figure.subplots(len(stages), 1, sharex=True, squeeze=False)[:, 0]
    for axis, stage in zip(axes, stages, strict=True):
        _panel(axis, frame[(frame["stage"] == stage) & (frame["class"] < shown)], classes, stage)
    of = f"first {shown} of {classes} classes" if shown < classes else f"all {classes} classes"
    axes[-1].set_xlabel(f"class ({of})")
    if frame["heading"].iloc[0] in _NAMES:
        axes[-1].set_xticks(range(shown), _NAMES[frame["heading"].iloc[0]][:shown])
    else:
        axes[-1].set_xticks(range(0, shown, 1 if shown <= 20 else 5))
    seeds = int(frame["seeds"].max())
    heading = frame["heading"].iloc[0]
    headline(figure, f"Samples of each class that ESWP picks in one epoch ({heading})")
    figure.supylabel("samples back-propagated in the epoch", fontsize=9)
    spread = "mean over the seeds, whiskers from fewest to most" if seeds > 1 else "one seed"
    footnote(
        figure,
        f"number above a bar: rank of the class among all {classes} (1: most selected; dark: the "
        f"first tenth); dashed: mean of the classes shown; {spread}",
    )
    return figure


def _panel(axis: Axes, lines: pd.DataFrame, classes: int, stage: str) -> None:
    top = lines["rank"] <= max(1, classes // 10)
    colour = look("eswp").colour
    colours = [colour if strong else "#A9CCE3" for strong in top]
    axis.bar(lines["class"], lines["count"], color=colours, width=0.8)
    if lines["seeds"].iloc[0] > 1:
        errors = [lines["count"] - lines["low"], lines["high"] - lines["count"]]
        axis.errorbar(lines["class"], lines["count"], yerr=errors, fmt="none", ecolor=MUTED,
                      elinewidth=0.8, capsize=2)  # fmt: skip
    highest = float(lines["high"].max())
    for _, line in lines.iterrows():
        axis.text(line["class"], line["high"] + 0.03 * highest, str(line["rank"]), ha="center",
                  va="bottom", fontsize=7 if len(lines) > 20 else 8.5,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
    axis.axhline(lines["count"].mean(), color=MUTED, linestyle="--", linewidth=0.9)
    axis.set_ylim(0, 1.2 * highest)
    epoch, planned = int(lines["epoch"].iloc[0]), int(lines["epochs"].iloc[0])
    axis.set_title(f"{stage}: epoch {epoch} of {planned}")
    axis.grid(axis="x", visible=False)
    axis.margins(x=0.01)
