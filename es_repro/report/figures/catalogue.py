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
from es_repro.report.specs import PRESETS, Preset
from es_repro.report.style import styled

__all__ = ["FIGURES", "FigureSpec", "drawn", "figure_of"]

_FIG5 = ("fig5_left_vitl_ratio", "fig5_right_cifar100_resnet18_prune")
_FIG6 = ("fig6_betas_cifar10_resnet18", "fig6_betas_cifar100_resnet18", "fig6_betas_cola_albert")
_FIG7 = ("fig7_betas_local_cifar100_resnet18",)


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the paper.

    Args:
        name: as the command line knows it.
        title: what it shows, in a line.
        alt: what is to be seen, for who does not see it.
        make: the target that makes its runs and draws it.
        frame: gathers what is drawn; raises a ReportError that says what to run.
        draw: the drawing, pure.
        presets: its forms; none: it needs no runs.
        experiments: those of its own sweeps, without the preset's prefix; none: a table's.
        references: experiments whose Baseline it is drawn against.
        files: what it reads in a run's folder beside the record, as patterns: packed with it.
    """

    name: str
    title: str
    alt: str
    make: str
    frame: Callable[[Source], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    presets: tuple[Preset, ...] = PRESETS
    experiments: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def needs_runs(self) -> bool:
        return bool(self.presets)


_SPECS = (
    FigureSpec(
        "fig1", "Figure 1: the weights of ES against a noisy, falling loss",
        "A jagged black line, a made-up loss that falls over 300 steps, and a much smoother "
        "orange one inside it, the weight of ES.",
        "make fig1", lambda _: signal.frame(((0.5, 0.9),)), signal.draw, presets=(),
    ),
    FigureSpec(
        "fig2", "Figure 2: ESWP from inside",
        "Left, a map of epochs by samples: white where pruned, light where scored, dark where "
        "back-propagated. Right, one epoch: a column a meta-batch, the picked samples framed.",
        "make fig2", trace.frame, trace.draw, presets=("demo",), experiments=(trace.EXPERIMENT,),
        files=("trace/*.npz",),
    ),
    FigureSpec(
        "fig3", "Figure 3: MAE pre-training under selection",
        "Held-out reconstruction loss of each method as a falling line, left against epochs, "
        "right against time.",
        "make table4", pretraining.frame, pretraining.draw,
    ),
    FigureSpec(
        "fig4", "Figure 4: maths fine-tuning against time",
        "Mean pass@1 of Baseline and ESWP at their checkpoints, against minutes of training.",
        "make table9", maths.frame, maths.draw,
    ),
    FigureSpec(
        "fig5", "Figure 5: accuracy against cost, for b/B and pruning ratios",
        "Points of accuracy against the cost of training: left one for each b/B of ES, right one "
        "for each pruning ratio of ESWP; a dashed line is Baseline's accuracy.",
        "make fig5", ratios.frame, ratios.draw, experiments=_FIG5,
        references=ratios.REFERENCES,
    ),
    FigureSpec(
        "fig6", "Figure 6: ES over its two betas",
        "Heat maps of the metric, beta1 across and beta2 up; the paper's defaults are framed.",
        "make fig6", lambda source: heatmaps.grid(source, "fig6", _FIG6, "make fig6"),
        lambda cells: heatmaps.draw(cells, "ES over its two betas"), experiments=_FIG6,
    ),
    FigureSpec(
        "fig7", "Figure 7: ES close to its default betas",
        "A heat map of the metric over betas close to the paper's defaults, which are framed.",
        "make fig7", lambda source: heatmaps.grid(source, "fig7", _FIG7, "make fig7"),
        lambda cells: heatmaps.draw(cells, "ES close to its default betas"), experiments=_FIG7,
    ),
    FigureSpec(
        "fig8", "Figure 8: what beta1 does to the weights",
        "Three panels as in Figure 1, for beta1 of 0.1, 0.5 and 0.8: the larger beta1, the "
        "smoother the weight.",
        "make fig8", lambda _: signal.frame(((0.1, 0.9), (0.5, 0.9), (0.8, 0.9))), signal.draw,
        presets=(),
    ),
    FigureSpec(
        "fig9", "Figure 9: which classes ESWP picks",
        "Bars, a panel each for an early, a middle and a late epoch: samples of each class that "
        "were back-propagated, with the rank of the class above its bar.",
        "make table2", classes.frame, classes.draw,
    ),
    FigureSpec(
        "fig10", "Figure 10: accuracy against samples back-propagated",
        "Rising lines of test accuracy against the samples back-propagated so far, for Baseline, "
        "ES, ESWP and two controls, with a band from the worst to the best seed.",
        "make table2", curves.frame, curves.draw,
    ),
)  # fmt: skip
FIGURES = {spec.name: spec for spec in _SPECS}


def drawn(spec: FigureSpec, source: Source) -> Figure:
    """A figure in the project's style.

    Raises:
        ReportError: its runs do not exist; says what to run.
    """
    return figure_of(spec, spec.frame(source))


def figure_of(spec: FigureSpec, frame: pd.DataFrame) -> Figure:
    """The figure of a frame that is at hand, in the project's style."""
    with styled():
        figure = spec.draw(frame)
        figure.draw_without_rendering()  # what is made late, such as ticks, takes the style too
    return figure
