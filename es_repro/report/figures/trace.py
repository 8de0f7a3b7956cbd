"""Figure 2: ESWP from inside a run: what is pruned, the meta-batches, what is picked.

Plans and picks are those that the run kept (`trace.selection`), in its own order and batches. The
weights are what the library's selector makes of the losses that it kept (`trace.losses`), which
are halves: the third digit may differ from the run's own.
"""

from collections.abc import Mapping

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from es_repro.report import ReportError
from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.figures.source import Source
from es_repro.report.folders import read_run
from es_repro.report.style import INK, MUTED, look
from es_repro.selection import PlannedBatchSampler, Replay, Selector, Trace, create
from es_repro.selection.replay import unpack_bits
from es_repro.storage.trace_files import TraceDamaged, read_losses, read_selection

__all__ = ["EXPERIMENT", "draw", "frame"]

EXPERIMENT = "fig2_eswp_digits"
_SHOWN = 0.7  # of the epochs: late enough for weights to have a history
_PRUNED, _PASSED, _PICKED = 0, 1, 2


def frame(source: Source) -> pd.DataFrame:
    """A line an epoch and sample: weight at the pick, selecting, batch (-1: pruned), picked, run.

    Raises:
        ReportError: no such run has finished, or its traces are damaged.
    """
    lines = source.epochs([EXPERIMENT], ["eswp"])
    needs = f"a finished run of eswp in {EXPERIMENT}"
    run = str(source.require(lines, "fig2", needs, "make fig2")["run"].iloc[0])
    folder = source.root / run
    try:
        trace, losses = read_selection(folder), read_losses(folder)
        selector = _selector(read_run(folder).config, trace)
    except (TraceDamaged, KeyError, TypeError, ValueError) as error:
        raise ReportError(f"fig2: {folder}: its trace cannot be drawn ({error})") from error
    epochs = (_epoch(trace, epoch, losses[epoch], selector) for epoch in range(len(losses)))
    return pd.concat(epochs, ignore_index=True).assign(run=run)


def _selector(config: Mapping[str, object], trace: Trace) -> Selector:
    """The run's method, as new."""
    method = config["method"]
    assert isinstance(method, dict)
    options = {key: value for key, value in method.items() if not key.startswith("_")}
    return create(
        num_samples=trace.num_samples, num_epochs=trace.num_epochs, seed=trace.seed, **options
    )


def _epoch(trace: Trace, epoch: int, losses: torch.Tensor, selector: Selector) -> pd.DataFrame:
    n = trace.num_samples
    batches = PlannedBatchSampler(Replay(n, trace.num_epochs, trace=trace), trace.meta_batch_size)
    batches.set_epoch(epoch)
    selector.plan_epoch(epoch)
    batch_of, weights = torch.full((n,), -1), torch.full((n,), torch.nan)
    for number, ids in enumerate(batches):
        index = torch.tensor(ids)
        selector.observe(index, losses[index])
        assert selector.weights is not None  # ESWP keeps them
        batch_of[index], weights[index] = number, selector.weights[index]
    picked = unpack_bits(trace.epochs[epoch].trained, n)
    selecting = bool((batch_of >= 0).sum() > picked.sum())
    return pd.DataFrame({
        "epoch": epoch, "sample": range(n), "weight": weights.numpy(), "selecting": selecting,
        "batch": batch_of.numpy(), "picked": picked.numpy(),
    })  # fmt: skip


def draw(frame: pd.DataFrame) -> Figure:
    """Left: every epoch and sample. Right: one epoch, meta-batch by meta-batch."""
    shown = int(_SHOWN * frame["epoch"].nunique()) - 1
    epoch = frame[frame["epoch"] == shown]
    planned = epoch[epoch["batch"] >= 0]
    figure = Figure(figsize=(11, 4.8))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _epochs(left, frame, shown)
    _meta_batches(figure, right, epoch)
    headline(
        figure, "ESWP from inside: prune for the epoch, score each meta-batch, back-propagate a few"
    )
    sizes = planned.groupby("batch")["picked"].agg(["size", "sum"]).max()
    footnote(
        figure,
        f"run {frame['run'].iloc[0]}: a small net on {len(epoch)} of scikit-learn's digits "
        f"(B = {sizes['size']}, b = {sizes['sum']}, r = {1 - len(planned) / len(epoch):.2g}), "
        "drawn from the traces that it kept: it shows the algorithm, not a result",
    )
    return figure


def _epochs(axis: Axes, frame: pd.DataFrame, shown: int) -> None:
    state = frame["picked"].map({True: _PICKED, False: _PASSED}).where(frame["batch"] >= 0, _PRUNED)
    # Samples in the order of how often they were picked: what is hard stands at the right.
    order = frame.groupby("sample")["picked"].sum().sort_values(kind="stable").index
    wide = frame.assign(state=state).pivot_table(index="epoch", columns="sample", values="state")
    colours = ["#FFFFFF", "#CFE3F2", look("eswp").colour]
    axis.imshow(wide[order], cmap=ListedColormap(colours), vmin=0, vmax=2, aspect="auto")
    axis.set_yticks(range(len(wide)), [str(int(epoch) + 1) for epoch in wide.index.tolist()])
    axis.set_ylabel("epoch")
    axis.set_xlabel("sample, from least to most often back-propagated")
    axis.set_title("all epochs")
    axis.grid(visible=False)
    axis.add_patch(Rectangle((-0.5, shown - 0.5), len(order), 1, fill=False, edgecolor="#D55E00",
                             linewidth=2, clip_on=False))  # fmt: skip
    selecting = frame.groupby("epoch")["selecting"].first()
    for epoch in selecting.index[~selecting]:
        axis.text(len(order) / 2, epoch, "annealed: everything is back-propagated", color="white",
                  ha="center", va="center", fontsize=8.5)  # fmt: skip
    names = ("pruned for the epoch", "scored, not picked", "back-propagated")
    handles = [
        Patch(facecolor=colour, edgecolor=MUTED, label=name)
        for colour, name in zip(colours, names, strict=True)
    ]
    axis.legend(handles=handles, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.14))


def _meta_batches(figure: Figure, axis: Axes, epoch: pd.DataFrame) -> None:
    planned = epoch[epoch["batch"] >= 0]
    ranked = planned.sort_values(["batch", "weight"], ascending=[True, False])
    ranked = ranked.assign(place=ranked.groupby("batch").cumcount())
    weights = ranked.pivot_table(index="place", columns="batch", values="weight")
    image = axis.imshow(weights, aspect="auto", cmap="Greys", vmin=0)
    for _, line in ranked[ranked["picked"]].iterrows():
        corner = (line["batch"] - 0.44, line["place"] - 0.42)
        colour = look("eswp").colour
        axis.add_patch(Rectangle(corner, 0.88, 0.84, fill=False, edgecolor=colour, linewidth=2.4))
    for _, line in ranked.iterrows():
        dark = line["weight"] > 0.6 * float(weights.max().max())
        axis.text(line["batch"], line["place"], f"{int(line['sample'])}", ha="center", va="center",
                  fontsize=7, color="white" if dark else INK)  # fmt: skip
    axis.set_xticks(
        range(weights.shape[1]), [str(int(batch) + 1) for batch in weights.columns.tolist()]
    )
    axis.set_yticks([0, len(weights) - 1], ["largest\nweight", "smallest"])
    axis.set_xlabel("meta-batch (numbers: sample ids; framed: back-propagated)")
    number, picked = int(epoch["epoch"].iloc[0]) + 1, int(planned["picked"].sum())
    axis.set_title(
        f"epoch {number}: {len(planned)} of {len(epoch)} samples, {picked} back-propagated"
    )
    axis.grid(visible=False)
    figure.colorbar(image, ax=axis, label="weight $w$ at the pick", shrink=0.9)
