"""Figure 5: accuracy against time for b/B of ES (left) and the pruning ratio of ESWP (right)."""

import re

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.figures.source import Source
from es_repro.report.savings import cost_saved, time_saved
from es_repro.report.specs import ACCURACY
from es_repro.report.style import MUTED, look

__all__ = ["REFERENCES", "draw", "frame"]

_SIDES = {  # side: experiment, where the baseline stands by preset, what varies
    "left": ("fig5_left_vitl_ratio", "table3_imagenet_vitl", "b/B", re.compile(r"es_f(.+)")),
    "right": (
        "fig5_right_cifar100_resnet18_prune", "table2_cifar100_resnet18", "r",
        re.compile(r"eswp_r(.+)"),
    ),
}  # fmt: skip
_DEMO_BASELINE = "table2_cifar10_resnet18"
REFERENCES = (*(reference for _, reference, _, _ in _SIDES.values()), _DEMO_BASELINE)
_TITLES = {
    "left": "b/B of ES: ViT-L on ImageNet-1K",
    "right": "r of ESWP: ResNet-18 on CIFAR-100",
}
_DEMO_TITLES = {
    "left": "b/B of ES (CIFAR-10, 2,000 images, small net)",
    "right": "r of ESWP (CIFAR-10, 2,000 images, small net)",
}
_STATED = {  # Sec. 4.3
    "left": "paper: lossless for b/B ≥ 1/16,\nworse for b/B ≤ 1/32",
    "right": "paper: r of 20 to 30% is efficient",
}


def frame(source: Source) -> pd.DataFrame:
    """A line a point: side, ratio, value, sd, seeds, cost (baseline: 1), axis (time or FLOPs).

    The cost is measured time where clocks compare with the baseline's on every point, else FLOPs.
    """
    demo = source.preset == "demo"
    parts = []
    for side, (experiment, reference, _, pattern) in _SIDES.items():
        runs = source.finished([experiment], ACCURACY)
        if runs.empty:
            continue
        at = _DEMO_BASELINE if demo else reference
        baseline = source.finished([at], ACCURACY, ["baseline"])
        source.require(baseline, "fig5", f"finished runs of {at}'s baseline", "make fig5")
        part = _points(runs, baseline, pattern)
        part["side"] = side
        part["title"] = (_DEMO_TITLES if demo else _TITLES)[side]
        parts.append(part)
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return source.require(found, "fig5", "runs over b/B or pruning ratios", "make fig5")


def draw(frame: pd.DataFrame) -> Figure:
    """The two panels; one whose runs are missing says so."""
    figure = Figure(figsize=(10, 4.1))
    for axis, side in zip(figure.subplots(1, 2), _SIDES, strict=True):
        points = frame[frame["side"] == side]
        if points.empty:
            axis.set_title(_TITLES[side])
            axis.text(0.5, 0.5, "not run", transform=axis.transAxes, ha="center", color=MUTED)
            continue
        _panel(axis, points, side)
    headline(figure, "Accuracy against the cost of training")
    footnote(
        figure,
        "points: mean over the seeds; bars: sample standard deviation; dashed: Baseline's accuracy",
    )
    return figure


def _points(runs: pd.DataFrame, baseline: pd.DataFrame, pattern: re.Pattern[str]) -> pd.DataFrame:
    lines = []
    for row, cell in runs.groupby("row"):
        match = pattern.fullmatch(str(row))
        if match is None:
            continue
        time = time_saved(cell, baseline)
        lines.append(
            {"row": row, "ratio": float(match[1]), **_values(cell), "time": time.value,
             "flops": cost_saved(cell, baseline, "cost/flops"), "origin": time.origin}
        )  # fmt: skip
    if len(baseline):
        lines.append({"row": "baseline", "ratio": None, **_values(baseline), "time": 0.0,
                      "flops": 0.0, "origin": ""})  # fmt: skip
    points = pd.DataFrame(lines).astype({"time": "float64", "flops": "float64"})
    timed = points["time"].notna().all()
    points["axis"] = "time" if timed else "FLOPs"
    saved = points["time"] if timed else points["flops"]
    points["cost"] = 1 - saved / 100
    return points.sort_values("ratio", na_position="first")


def _values(cell: pd.DataFrame) -> dict[str, object]:
    values = cell["value"].astype(float)
    return {"value": values.mean(), "sd": values.std(ddof=1), "seeds": len(values)}


def _panel(axis: Axes, points: pd.DataFrame, side: str) -> None:
    varied = points[points["row"] != "baseline"]
    style = look("es" if side == "left" else "eswp")
    seeds = "/".join(str(count) for count in sorted(set(points["seeds"])))
    axis.errorbar(
        varied["cost"], varied["value"], yerr=varied["sd"], color=style.colour,
        marker=style.marker, capsize=3, label=f"{style.name} ({seeds} seeds a point)",
    )  # fmt: skip
    for _, point in varied.iterrows():
        axis.annotate(
            _name(float(point["ratio"]), side), (point["cost"], point["value"]),
            xytext=(7, -11), textcoords="offset points", ha="left", fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
        )  # fmt: skip
    reference = points[points["row"] == "baseline"]
    if len(reference):
        black, value = look("baseline"), float(reference["value"].iloc[0])
        axis.axhline(value, color=black.colour, linestyle="--", linewidth=1)
        axis.errorbar(
            reference["cost"], reference["value"], yerr=reference["sd"], capsize=3,
            color=black.colour, marker=black.marker, linestyle="", label="Baseline",
        )  # fmt: skip
    unit = "training time" if points["axis"].iloc[0] == "time" else "FLOPs (clocks do not compare)"
    axis.set_xlabel(f"{unit}, share of Baseline's")
    axis.set_ylabel("test accuracy, last epoch (%)")
    axis.set_title(points["title"].iloc[0])
    axis.legend(loc="lower right")
    axis.text(0.02, 0.98, _STATED[side], transform=axis.transAxes, va="top", color=MUTED,
              fontsize=8)  # fmt: skip
    axis.margins(x=0.12, y=0.22)


def _name(ratio: float, side: str) -> str:
    if side == "left":
        return f"1/{round(1 / ratio)}"
    return f"r={ratio:g}"
