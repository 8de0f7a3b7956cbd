"""The documentation's pictures, drawn by the library's own selectors when the pages are built."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from es_repro.report.style import INK, MUTED, Look, look, styled
from es_repro.selection import selector_class
from generators.traces import EPOCHS, SAMPLES, Trace, trace

__all__ = ["METHODS", "cost_picture", "method_picture", "write_pictures"]

# Of each picture: a name for `create`, and settings that fit twenty epochs. Of the baseline there
# is nothing to draw.
METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "loss": ("loss", {}),
    "order": ("order", {}),
    "es": ("es", {}),
    "eswp": ("eswp", {}),
    "infobatch": ("infobatch", {}),
    "ka": ("ka", {}),
    "ucb": ("ucb", {"period": 2}),
    "orderdp": ("orderdp", {}),
    "random_set": ("random", {"prune_ratio": 0.75}),
    "random_batch": ("random", {"batch_ratio": 0.25}),
}
_LEFT_OUT, _SCORED = "#FFFFFF", "#C9C9C9"


def write_pictures(folder: Path) -> None:
    """Draw every picture as `folder/NAME.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {name: method_picture(name) for name in METHODS} | {"cost": cost_picture()}
    for name, figure in drawn.items():
        with styled():
            figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})


def method_picture(name: str) -> Figure:
    """Three views of a method's run: what it trains, what it prefers, what it remembers."""
    method, settings = METHODS[name]
    run, own = trace(method, **settings), look(name)
    with styled():
        figure = Figure(figsize=(10.4 if run.tables else 7.2, 3.5))
        widths = (1.5, 1, 1.2) if run.tables else (1.5, 1)
        axes = figure.subplots(1, len(widths), width_ratios=widths)
        _raster(axes[0], run, own)
        _preference(axes[1], run, own)
        if run.tables:
            _memory(axes[2], run, own)
    return figure


def _raster(axis: Axes, run: Trace, own: Look) -> None:
    visits = run.visits
    scored = visits["planned"] | visits["rescored"]
    state = np.where(visits["trained"], 2, np.where(scored, 1, 0))
    wide = visits.assign(state=state).pivot_table(index="epoch", columns="sample", values="state")
    colours = ListedColormap([_LEFT_OUT, _SCORED, own.colour])
    axis.imshow(wide, cmap=colours, vmin=0, vmax=2, aspect="auto", interpolation="none")
    axis.grid(visible=False)
    axis.set_title("What each epoch trains on")
    axis.set_xlabel(f"sample, from easy to hard ({SAMPLES})")
    axis.set_ylabel(f"epoch ({EPOCHS})")
    axis.set_xticks([])
    axis.set_yticks([0, EPOCHS // 2, EPOCHS - 1], ["0", str(EPOCHS // 2), str(EPOCHS - 1)])
    names = {0: "left out", 1: "forward pass only", 2: "trained"}
    handles = [
        Patch(facecolor=colours(kind), edgecolor=MUTED, label=names[kind])
        for kind in sorted(set(state))[::-1]
    ]
    axis.legend(handles=handles, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12),
                columnspacing=1.0, handlelength=1.2)  # fmt: skip


def _preference(axis: Axes, run: Trace, own: Look) -> None:
    """Share of the selecting epochs in which a sample is trained, over its loss in them."""
    selecting = run.selecting[run.selecting].index
    visits = run.visits[run.visits["epoch"].isin(selecting)] if len(selecting) else run.visits
    by_sample = visits.groupby("sample").agg(loss=("loss", "mean"), share=("trained", "mean"))
    axis.plot(by_sample["loss"], by_sample["share"], own.marker, color=own.colour,
              markerfacecolor=own.face, markersize=4, alpha=0.8)  # fmt: skip
    axis.set_ylim(-0.04, 1.04)
    axis.set_xlim(left=0)
    axis.set_title("What it prefers")
    axis.set_xlabel("mean loss of the sample")
    axis.set_ylabel("share of epochs trained")


def _memory(axis: Axes, run: Trace, own: Look) -> None:
    """One sample's loss, and what the method's tables say of it after each epoch.

    The sample is the one that is trained closest to half of the time: its tables have most to say.
    """
    share = run.visits.groupby("sample")["trained"].mean()
    line = run.visits[run.visits["sample"] == (share - 0.5).abs().idxmin()]
    axis.plot(line["epoch"], line["loss"], color=INK, linewidth=0.9)
    trained = line[line["trained"]]
    axis.plot(trained["epoch"], trained["loss"], "o", color=INK, markersize=4)
    styles = ("-", "--", ":", "-.")
    handles = [
        Line2D([], [], color=INK, linewidth=0.9, label="loss"),
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=4, label="trained"),
    ]
    names = sorted(run.tables, key=lambda name: name != "weights")  # what is drawn by comes first
    for name, style in zip(names, styles, strict=False):
        colour = own.colour if style == "-" else MUTED
        values = line[name].where(np.isfinite(line[name]))
        axis.plot(line["epoch"], values, color=colour, linestyle=style)
        handles.append(Line2D([], [], color=colour, linestyle=style, label=name.replace("_", " ")))
    axis.legend(handles=handles, loc="best")
    axis.set_ylim(bottom=0)
    axis.set_title("What it remembers of one sample")
    axis.set_xlabel("epoch")
    axis.set_ylabel("units of the loss")


def cost_picture() -> Figure:
    """FLOPs of a run over the baseline's by b/B and r, from the cost model."""
    num_epochs, ratios = 200, np.linspace(0.02, 1, 60)
    eswp, own = selector_class("eswp"), look("eswp")
    with styled():
        figure = Figure(figsize=(7.2, 3.6))
        axis = figure.subplots()
        for prune_ratio, style in zip((0.0, 0.2, 0.3, 0.5), ("-", "--", "-.", ":"), strict=True):
            factors = [
                eswp.expected_cost(num_epochs, batch_ratio=float(f), prune_ratio=prune_ratio).factor
                for f in ratios[:-1]
            ]
            name = "ES" if prune_ratio == 0 else f"ESWP, r = {prune_ratio:g}"
            colour = look("es").colour if prune_ratio == 0 else own.colour
            axis.plot(ratios[:-1], factors, style, color=colour, label=name)
        axis.axhline(1, color=INK, linewidth=0.9)
        axis.text(0.01, 1.02, "baseline", color=INK, fontsize=8.5)
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1.4)
        axis.set_xlabel("batch ratio b/B")
        axis.set_ylabel("FLOPs of a run\n(1: the baseline's)")
        axis.set_title("Scoring costs a third of a baseline epoch: picking pays below b/B = 2/3")
        axis.legend(loc="lower right", ncols=2)
    return figure
