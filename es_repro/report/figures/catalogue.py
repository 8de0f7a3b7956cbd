"""Every figure that the report can draw."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from es_repro.report.figures import (
    classes,
    curves,
    heatmaps,
    maths,
    pretraining,
    ratios,
    signal,
    trace,
)
from es_repro.report.figures.source import Source
from es_repro.report.style import styled

__all__ = ["FIGURES", "FigureSpec", "drawn"]

_FIG6 = ("fig6_betas_cifar10_resnet18", "fig6_betas_cifar100_resnet18", "fig6_betas_cola_albert")
_FIG7 = ("fig7_betas_local_cifar100_resnet18",)


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the paper.

    Args:
        name: as the command line knows it.
        frame: gathers what is drawn; raises a ReportError that says what to run.
        draw: the drawing, pure.
        needs_runs: whether it has a form for each preset.
    """

    name: str
    frame: Callable[[Source], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    needs_runs: bool = True


_SPECS = (
    FigureSpec("fig1", lambda _: signal.frame(((0.5, 0.9),)), signal.draw, needs_runs=False),
    FigureSpec("fig2", lambda _: trace.frame(), trace.draw, needs_runs=False),
    FigureSpec("fig3", pretraining.frame, pretraining.draw),
    FigureSpec("fig4", maths.frame, maths.draw),
    FigureSpec("fig5", ratios.frame, ratios.draw),
    FigureSpec(
        "fig6",
        lambda source: heatmaps.grid(source, "fig6", _FIG6, "make fig6"),
        lambda cells: heatmaps.draw(cells, "ES over its two betas"),
    ),
    FigureSpec(
        "fig7",
        lambda source: heatmaps.grid(source, "fig7", _FIG7, "make fig7"),
        lambda cells: heatmaps.draw(cells, "ES close to its default betas"),
    ),
    FigureSpec(
        "fig8",
        lambda _: signal.frame(((0.1, 0.9), (0.5, 0.9), (0.8, 0.9))),
        signal.draw,
        needs_runs=False,
    ),
    FigureSpec("fig9", classes.frame, classes.draw),
    FigureSpec("fig10", curves.frame, curves.draw),
)
FIGURES = {spec.name: spec for spec in _SPECS}


def drawn(spec: FigureSpec, source: Source) -> Figure:
    """A figure in the project's style.

    Raises:
        ReportError: its runs do not exist; says what to run.
    """
    frame = spec.frame(source)
    with styled():
        figure = spec.draw(frame)
        figure.draw_without_rendering()  # what is made late, such as ticks, takes the style too
    return figure
