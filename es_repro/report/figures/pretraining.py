"""Figure 3: the reconstruction loss of MAE pre-training, by epoch and by time."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.figures.source import Source
from es_repro.report.paper import paper_table
from es_repro.report.specs import ACCURACY
from es_repro.report.style import look

__all__ = ["draw", "frame"]

ROWS = ("baseline", "infobatch", "eswp_r0.3", "eswp_r0.5")
_PAPER = {
    "baseline": ("Baseline", ""), "infobatch": ("InfoBatch", ""),
    "eswp_r0.3": ("ESWP", "r=0.3"), "eswp_r0.5": ("ESWP", "r=0.5"),
}  # fmt: skip


def frame(source: Source) -> pd.DataFrame:
    """A line an evaluation: row, seed, epoch, hours, loss (held out), tuned, reported accuracy."""
    lines = source.epochs(["table4_mae_pretrain_vitl"], ROWS)
    if not lines.empty:
        lines = lines[lines["evaluated"] & lines["test/loss"].notna()]
    source.require(lines, "fig3", "finished runs of table4_mae_pretrain_vitl", "make table4")
    tuned = source.finished(["table4_mae_finetune_vitl"], ACCURACY)
    accuracies = tuned.groupby("row")["value"].mean() if len(tuned) else pd.Series(dtype=float)
    return pd.DataFrame({
        "row": lines["row"], "seed": lines["seed"], "epoch": lines["epoch"].astype(int),
        "hours": lines["time/train_seconds"].astype(float) / 3600,
        "loss": lines["test/loss"].astype(float),
        "tuned": lines["row"].map(accuracies).astype(float),
        "reported": lines["row"].map(_reported()),
        "preset": source.preset, "contended": lines["run"].isin(_contended(source)),
    })  # fmt: skip


def draw(frame: pd.DataFrame) -> Figure:
    """Left against epochs, right against the hours of training."""
    figure = Figure(figsize=(10, 4))
    by_epoch, by_time = figure.subplots(1, 2, sharey=True)
    hours = float(frame["hours"].max())
    scale, unit = (1, "hours") if hours > 2 else (60, "minutes")
    for row in ROWS:
        mine = frame[frame["row"] == row]
        if len(mine):
            _line(by_epoch, mine, "epoch", 1, row)
            _line(by_time, mine, "hours", scale, row)
    by_epoch.set_xlabel("epochs of pre-training")
    by_time.set_xlabel(f"{unit} of training (evaluation not counted)")
    by_epoch.set_ylabel("reconstruction loss on held-out images")
    by_epoch.legend(title="in brackets: accuracy after fine-tuning (%)", title_fontsize=8)
    by_epoch.set_title("against epochs")
    by_time.set_title("against time")
    small = "" if frame["preset"].iloc[0] == "paper" else f", {frame['preset'].iloc[0]} form"
    seeds = frame["seed"].nunique()
    headline(figure, f"MAE pre-training{small}")
    footnote(
        figure,
        f"{seeds} seed{'s' if seeds > 1 else ''}; line: mean, band: worst to best. The training "
        "loss of a pruned run is a mean over hard samples and is not shown."
        + (
            " Other jobs ran on the machine: these times do not compare."
            if frame["contended"].any()
            else ""
        ),
    )
    return figure


def _line(axis: Axes, mine: pd.DataFrame, x: str, scale: float, row: str) -> None:
    style = look(row)
    points = mine.groupby("epoch").agg(
        x=(x, "mean"), mean=("loss", "mean"), low=("loss", "min"), high=("loss", "max")
    )
    brackets = []
    if not pd.isna(mine["tuned"].iloc[0]):
        brackets.append(f"{mine['tuned'].iloc[0]:.1f}")
    brackets.append(f"paper {mine['reported'].iloc[0]:.1f}")
    axis.plot(scale * points["x"], points["mean"], color=style.colour, linestyle=style.line,
              marker=style.marker, markevery=max(1, len(points) // 10),
              label=f"{style.name} [{'; '.join(brackets)}]")  # fmt: skip
    axis.fill_between(scale * points["x"], points["low"], points["high"], color=style.colour,
                      alpha=0.15, linewidth=0)  # fmt: skip


def _contended(source: Source) -> set[str]:
    """Runs whose clock ran beside other jobs."""
    return set(source.runs.loc[source.runs["time/contended"].fillna(False), "run"])


def _reported() -> dict[str, float]:
    table = paper_table(4)
    table = table[table["metric"] == "accuracy_after_finetuning"]
    return {
        row: float(
            table.loc[(table["method"] == method) & (table["setting"] == setting), "value"].iloc[0]
        )
        for row, (method, setting) in _PAPER.items()
    }
