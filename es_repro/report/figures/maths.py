"""Figure 4: averaged pass@1 against minutes of training, ours and the paper's."""

import pandas as pd
from matplotlib.figure import Figure

from es_repro.report.cells import resolve
from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.figures.source import Source
from es_repro.report.layouts.by_step import checkpoints
from es_repro.report.paper import paper_table
from es_repro.report.style import MUTED, look

__all__ = ["draw", "frame"]

_LOW = 5.0  # percent: below, the axis starts at 0, or noise would look like a result


def frame(source: Source) -> pd.DataFrame:
    """A line a method, origin (ours, paper) and step: minutes, mean, sd, seeds, benchmarks."""
    asked = source.runs[source.runs["experiment"] == source.experiment("table9_qwen_sft")]
    kept, _ = resolve(asked)
    points = checkpoints(source.hand_out(kept[kept["row"].isin(["baseline", "eswp"])]))
    points = points[points["minutes"].notna() & points["mean"].notna()]
    source.require(points, "fig4", "evaluated checkpoints of table9_qwen_sft", "make table9")
    ours = (
        points.groupby(["row", "step"])
        .agg(minutes=("minutes", "mean"), mean=("mean", "mean"), sd=("mean", "std"),
             seeds=("seed", "nunique"))
        .reset_index().assign(origin="ours")
    )  # fmt: skip
    parts = [ours]
    if source.preset == "paper":  # another model's minutes and points would mislead
        parts.append(_reported())
    return pd.concat(parts, ignore_index=True)


def draw(frame: pd.DataFrame) -> Figure:
    """Lines by method, checkpoints labelled by step; the paper's are open and dashed."""
    figure = Figure(figsize=(6.4, 4.2))
    axis = figure.subplots()
    for (row, origin), points in frame.groupby(["row", "origin"], sort=False):
        style, ours = look(str(row)), origin == "ours"
        seeds = int(points["seeds"].max()) if ours else 0
        name = f"{style.name} ({seeds} seed{'s' if seeds > 1 else ''})" if ours else (
            f"{style.name}, the paper"
        )  # fmt: skip
        axis.errorbar(
            points["minutes"], points["mean"], yerr=points["sd"] if ours else None, capsize=3,
            color=style.colour, marker=style.marker, label=name, linestyle="-" if ours else "--",
            markerfacecolor=style.colour if ours else "white", alpha=1 if ours else 0.75,
        )  # fmt: skip
        for _, point in points.iterrows():
            step = int(point["step"])
            axis.annotate(
                f"{step // 1000}K" if step % 1000 == 0 else f"{step}",
                (point["minutes"], point["mean"]), xytext=(-7 if ours else 7, 5 if ours else -9),
                textcoords="offset points", ha="right" if ours else "left", fontsize=8,
                color=MUTED,
            )  # fmt: skip
    axis.set_xlabel("minutes of training")
    axis.set_ylabel("pass@1, mean over the benchmarks (%)")
    axis.set_xlim(left=0)
    axis.margins(y=0.15)
    low = float(frame["mean"].max()) < _LOW
    if low:
        axis.set_ylim(0, _LOW)
    axis.legend(loc="upper right" if low else "lower right")
    headline(figure, "Maths fine-tuning: accuracy against time")
    footnote(
        figure,
        "labels: optimizer steps; bars: sample standard deviation over the seeds, where there are "
        "several" + ("; no model answered anything right" if frame["mean"].eq(0).all() else ""),
    )
    return figure


def _reported() -> pd.DataFrame:
    table = paper_table(9)
    wide = table.pivot_table(index=["method", "setting"], columns="task", values="value")
    wide = wide.reset_index()
    steps = wide["setting"].str.extract(r"(\d+)K")[0].astype(int) * 1000
    return pd.DataFrame({
        "row": wide["method"].str.lower(), "step": steps, "minutes": wide["SFT"],
        "mean": wide["Averaged"], "sd": float("nan"), "seeds": 1, "origin": "paper",
    }).sort_values(["row", "step"])  # fmt: skip
