"""Figure 4: averaged pass@1, and the loss on held-out solutions, against minutes of training."""

import pandas as pd
from matplotlib.axes import Axes
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
    """A line a quantity, method, origin (ours, paper) and step: minutes, mean, sd, seeds.

    Quantities: `pass@1` in percent, at the checkpoints; `loss` on held-out solutions in nats a
    token, at every evaluation: it moves long before an answer is right.
    """
    asked = source.runs[source.runs["experiment"] == source.experiment("table9_qwen_sft")]
    kept, _ = resolve(asked)
    points = checkpoints(source.hand_out(kept[kept["row"].isin(["baseline", "eswp"])]))
    points = points[points["minutes"].notna() & points["mean"].notna()]
    source.require(points, "fig4", "evaluated checkpoints of table9_qwen_sft", "make table9")
    ours = (
        points.groupby(["row", "step"])
        .agg(minutes=("minutes", "mean"), mean=("mean", "mean"), sd=("mean", "std"),
             seeds=("seed", "nunique"))
        .reset_index().assign(origin="ours", quantity="pass@1")
    )  # fmt: skip
    parts = [ours, _losses(source)]
    if source.preset == "paper":  # another model's minutes and points would mislead
        parts.append(_reported())
    return pd.concat(parts, ignore_index=True)


def draw(frame: pd.DataFrame) -> Figure:
    """Lines by method, checkpoints labelled by step; the paper's are open and dashed."""
    figure = Figure(figsize=(10, 4.2))
    answers, losses = figure.subplots(1, 2)
    for axis, quantity in ((answers, "pass@1"), (losses, "loss")):
        shown = frame[frame["quantity"] == quantity]
        for (row, origin), points in shown.groupby(["row", "origin"], sort=False):
            _line(axis, str(row), points, ours=origin == "ours", labelled=quantity == "pass@1")
        axis.set_xlabel("minutes of training")
        axis.set_xlim(left=0)
        axis.margins(y=0.15)
    right = frame.loc[frame["quantity"] == "pass@1", "mean"]
    if float(right.max()) < _LOW:
        answers.set_ylim(0, _LOW)
    answers.set_ylabel("pass@1, mean over the benchmarks (%)")
    losses.set_ylabel("loss on held-out solutions (nats a token)")
    answers.legend(loc="upper left")
    headline(figure, "Maths fine-tuning against time")
    none = " No answer of any checkpoint is right." if float(right.max()) == 0 else ""
    footnote(
        figure,
        "labels: optimizer steps; bars: sample standard deviation over the seeds, where there are "
        "several." + none,
    )
    return figure


def _line(axis: Axes, row: str, points: pd.DataFrame, *, ours: bool, labelled: bool) -> None:
    style = look(row)
    seeds = int(points["seeds"].max()) if ours else 0
    name = f"{style.name} ({seeds} seed{'s' if seeds > 1 else ''})" if ours else (
        f"{style.name}, the paper"
    )  # fmt: skip
    axis.errorbar(
        points["minutes"], points["mean"], yerr=points["sd"] if ours else None, capsize=3,
        color=style.colour, marker=style.marker, label=name, linestyle="-" if ours else "--",
        markerfacecolor=style.colour if ours else "white", alpha=1 if ours else 0.75,
    )  # fmt: skip
    for _, point in points.iterrows() if labelled else ():
        step = int(point["step"])
        axis.annotate(
            f"{step // 1000}K" if step % 1000 == 0 else f"{step}",
            (point["minutes"], point["mean"]), xytext=(-7 if ours else 7, 5 if ours else -9),
            textcoords="offset points", ha="right" if ours else "left", fontsize=8,
            color=MUTED,
        )  # fmt: skip


def _losses(source: Source) -> pd.DataFrame:
    lines = source.epochs(["table9_qwen_sft"], ("baseline", "eswp"))
    if lines.empty or "test/loss" not in lines:
        return pd.DataFrame()
    lines = lines[lines["evaluated"] & lines["test/loss"].notna()]
    lines = lines.assign(minutes=lines["time/train_seconds"].astype(float) / 60)
    return (
        lines.groupby(["row", "step"])
        .agg(minutes=("minutes", "mean"), mean=("test/loss", "mean"), sd=("test/loss", "std"),
             seeds=("seed", "nunique"))
        .reset_index().assign(origin="ours", quantity="loss")
    )  # fmt: skip


def _reported() -> pd.DataFrame:
    table = paper_table(9)
    wide = table.pivot_table(index=["method", "setting"], columns="task", values="value")
    wide = wide.reset_index()
    steps = wide["setting"].str.extract(r"(\d+)K")[0].astype(int) * 1000
    return pd.DataFrame({
        "row": wide["method"].str.lower(), "step": steps, "minutes": wide["SFT"],
        "mean": wide["Averaged"], "sd": float("nan"), "seeds": 1, "origin": "paper",
        "quantity": "pass@1",
    }).sort_values(["row", "step"])  # fmt: skip
