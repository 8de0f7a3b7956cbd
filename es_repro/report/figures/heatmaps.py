"""Figures 6 and 7: the metric over a grid of betas."""

import json

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.figures.source import Source
from es_repro.report.specs import Measure

__all__ = ["draw", "grid"]

_HEADLINE = Measure("", "Metric", "100 times the task's headline")
_DEFAULT = (0.2, 0.9)  # Sec. 4.1
_HEADINGS = {
    "fig6_betas_cifar10_resnet18": "CIFAR-10, ResNet-18",
    "fig6_betas_cifar100_resnet18": "CIFAR-100, ResNet-18",
    "fig6_betas_cola_albert": "CoLA, ALBERT",
    "fig7_betas_local_cifar100_resnet18": "CIFAR-100, ResNet-18",
}
_SMALL = "2,000 images of CIFAR-10, small net"


def grid(source: Source, figure: str, names: tuple[str, ...], make: str) -> pd.DataFrame:
    """A line a cell: heading, beta1, beta2, mean, sd, seeds; values in percent."""
    runs = source.finished(names, _HEADLINE)
    source.require(runs, figure, "runs over a grid of betas", make)
    betas = [_betas(str(settings)) for settings in runs["settings"]]
    runs = runs.assign(beta1=[pair[0] for pair in betas], beta2=[pair[1] for pair in betas])
    cells = runs.groupby(["experiment", "beta1", "beta2"])["value"].agg(["mean", "std", "count"])
    cells = cells.reset_index().rename(columns={"std": "sd", "count": "seeds"})
    stems = cells["experiment"].str.split("/").str[-1]
    demo = source.preset == "demo"
    cells["heading"] = _SMALL if demo else stems.map(_HEADINGS)
    return cells.astype({"mean": "float64", "sd": "float64"})


def draw(cells: pd.DataFrame, title: str) -> Figure:
    """A heat map an experiment; the paper's defaults are framed, the best cell has a star."""
    headings = list(dict.fromkeys(cells["heading"]))
    figure = Figure(figsize=(4.6 * len(headings) + 0.4, 4.4))
    axes = figure.subplots(1, len(headings), squeeze=False)[0]
    for axis, heading in zip(axes, headings, strict=True):
        _panel(figure, axis, cells[cells["heading"] == heading], heading)
    axes[0].set_ylabel("$\\beta_2$ (memory of the average)")
    seeds = sorted(set(cells["seeds"]))
    counted = f"{seeds[0]} seed{'s' if seeds[0] > 1 else ''}" if len(seeds) == 1 else "mixed seeds"
    headline(figure, f"{title} ({counted} a cell)")
    footnote(
        figure,
        "framed: the paper's defaults (0.2, 0.9); ★: best cell; •: β1 = β2, no differences; "
        "β1 = 0: no history, so that β2 changes nothing"
        + ("" if seeds[-1] > 1 else "; with one seed a cell its spread is not known"),
    )
    return figure


def _panel(figure: Figure, axis: Axes, cells: pd.DataFrame, heading: str) -> None:
    wide = cells.pivot_table(index="beta2", columns="beta1", values="mean").sort_index()
    image = axis.imshow(wide, origin="lower", aspect="auto")
    middle = (wide.min().min() + wide.max().max()) / 2
    best = float(cells["mean"].max())
    columns, lines = list(wide.columns), list(wide.index)
    for _, cell in cells.iterrows():
        x, y = columns.index(cell["beta1"]), lines.index(cell["beta2"])
        text = f"{cell['mean']:.1f}" + ("" if pd.isna(cell["sd"]) else f"\n± {cell['sd']:.1f}")
        text += " ★" if cell["mean"] == best else ""
        text += " •" if cell["beta1"] == cell["beta2"] else ""
        ink = "black" if cell["mean"] > middle else "white"
        axis.text(x, y, text, ha="center", va="center", color=ink, fontsize=9)
        if (cell["beta1"], cell["beta2"]) == _DEFAULT:
            axis.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False,
                                         edgecolor="#D55E00", linewidth=2.5))  # fmt: skip
    axis.set_xticks(range(len(wide.columns)), [f"{value:g}" for value in wide.columns])
    axis.set_yticks(range(len(wide.index)), [f"{value:g}" for value in wide.index])
    axis.grid(visible=False)
    axis.set_xlabel("$\\beta_1$ (share of history in the weight)")
    axis.set_title(heading)
    figure.colorbar(image, ax=axis, label="test metric after the last epoch (%)", shrink=0.9)


def _betas(settings: str) -> tuple[float, float]:
    flat = json.loads(settings)
    return float(flat["method.beta1"]), float(flat["method.beta2"])
