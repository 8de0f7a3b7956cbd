"""Figure 2: one epoch of ESWP from inside: what is pruned, the meta-batches, what is picked.

Runs keep no trace of picks yet (their records would need, per epoch, the plan and the ids
back-propagated), so a run is made on the spot through the selection library: a linear classifier
on 96 made-up points of 6 classes. It shows the algorithm, not a result.
"""

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch.nn.functional import cross_entropy

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.style import INK, MUTED, look
from es_repro.selection import PlannedBatchSampler, create

__all__ = ["draw", "frame"]

SAMPLES, CLASSES, FEATURES = 96, 6, 8
EPOCHS, META_BATCH, SHOWN = 10, 16, 6
_RATE = 0.3
_PRUNED, _PASSED, _PICKED = 0, 1, 2


def frame() -> pd.DataFrame:
    """A line an epoch and sample: batch (-1: pruned), weight at the pick, picked."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(SAMPLES) % CLASSES
    centres = torch.randn(CLASSES, FEATURES, generator=generator)
    inputs = centres[labels] + 0.9 * torch.randn(SAMPLES, FEATURES, generator=generator)
    model = torch.zeros(FEATURES, CLASSES, requires_grad=True)
    selector = create(
        "eswp", SAMPLES, EPOCHS, prune_ratio=1 / 3, batch_ratio=0.25, annealing_start=0.1,
        annealing_end=0.1,
    )  # fmt: skip
    batches = PlannedBatchSampler(selector, meta_batch_size=META_BATCH)
    parts = []
    for epoch in range(EPOCHS):
        batches.set_epoch(epoch)
        batch_of, was_picked = [-1] * SAMPLES, [False] * SAMPLES
        seen = torch.full((SAMPLES,), torch.nan)
        for number, ids in enumerate(batches):
            index = torch.tensor(ids)
            losses = cross_entropy(inputs[index] @ model, labels[index], reduction="none")
            picked = torch.arange(len(index))
            if selector.selects_batches:
                picked = selector.select(index, losses.detach())
            else:
                selector.observe(index, losses.detach())
            assert selector.weights is not None  # ESWP keeps them
            seen[index] = selector.weights[index]
            (gradient,) = torch.autograd.grad(selector.reduce(index[picked], losses[picked]), model)
            with torch.no_grad():
                model -= _RATE * gradient
            for sample in index.tolist():
                batch_of[sample] = number
            for sample in index[picked].tolist():
                was_picked[sample] = True
        parts.append(
            pd.DataFrame({
                "epoch": epoch, "sample": range(SAMPLES), "label": labels.numpy(),
                "weight": seen.numpy(), "selecting": selector.selects_batches,
                "batch": batch_of, "picked": was_picked,
            })
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def draw(frame: pd.DataFrame) -> Figure:
    """Left: every epoch and sample. Right: one epoch, meta-batch by meta-batch."""
    figure = Figure(figsize=(11, 4.8))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _epochs(left, frame)
    _meta_batches(figure, right, frame[frame["epoch"] == SHOWN])
    headline(
        figure, "ESWP from inside: prune for the epoch, score each meta-batch, back-propagate a few"
    )
    footnote(
        figure,
        f"traced on a linear classifier of {frame['sample'].nunique()} made-up points "
        f"(B = {META_BATCH}, b = {META_BATCH // 4}, r = 1/3): it shows the algorithm, not a result",
    )
    return figure


def _epochs(axis: Axes, frame: pd.DataFrame) -> None:
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
    axis.add_patch(Rectangle((-0.5, SHOWN - 0.5), len(order), 1, fill=False, edgecolor="#D55E00",
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
    axis.set_title(f"epoch {SHOWN + 1}: {len(planned)} of {len(epoch)} samples, "
                   f"{int(planned['picked'].sum())} back-propagated")  # fmt: skip
    axis.grid(visible=False)
    figure.colorbar(image, ax=axis, label="weight $w$ at the pick", shrink=0.9)
