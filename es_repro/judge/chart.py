"""Accuracy against FLOPs: the baseline's frontier, the methods, and the controls in grey."""

import io
from itertools import cycle
from typing import Any

from matplotlib.figure import Figure

from es_repro.report.style import MUTED, Look, look, styled

__all__ = ["frontier_svg"]

# Of arms that have no look of their own: a user's selectors, and a method with other values.
SPARE = (
    ("#332288", "*"), ("#AA4499", "d"), ("#661100", "H"), ("#117733", "X"), ("#44AA99", "8"),
)  # fmt: skip


def frontier_svg(workload: dict[str, Any]) -> str:
    """One workload of a card as an SVG element, the same text every time.

    Bars are standard errors over seeds. Points above the line gain compute.
    """
    with styled():
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        baseline = sorted(
            (arm for arm in workload["arms"] if arm["role"] == "baseline"),
            key=lambda arm: arm["cost"],
        )
        looks = _looks([arm["name"] for arm in workload["arms"] if arm["role"] == "method"])
        _points(axes, baseline, workload["seeds"], look("baseline"), line="-")
        for arm in workload["arms"]:
            if arm["role"] != "baseline":
                seen = looks.get(arm["name"]) or look(arm["name"].partition("@")[0])
                _points(axes, [arm], workload["seeds"], seen)
        axes.set_xlabel("FLOPs, in budgets of the baseline")
        unit = (
            "Accuracy (%)" if workload["measure"] == "accuracy" else "Distance to the optimum (%)"
        )
        axes.set_ylabel(unit)
        if not workload["larger_is_better"]:
            axes.invert_yaxis()
        axes.legend(fontsize=7, ncols=2, loc="best")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def _looks(methods: list[str]) -> dict[str, Look]:
    """A look for each, no two alike while there are spare ones."""
    looks: dict[str, Look] = {}
    spare = cycle(SPARE)
    for name in methods:
        own = look(name)
        looks[name] = own if own.colour != MUTED else Look(name, *next(spare))
    return looks


def _points(
    axes: Any,  # noqa: ANN401 - matplotlib's
    arms: list[dict[str, Any]],
    seeds: int,
    seen: Look,
    line: str = "",
) -> None:
    """One colour and marker; random controls share one label."""
    name = arms[0]["name"]
    control = arms[0]["role"] == "random"
    labels = axes.get_legend_handles_labels()[1]
    label = {"baseline": "baseline, its frontier", "random": name.partition("@")[0]}.get(
        arms[0]["role"], name
    )
    axes.errorbar(
        [arm["cost"] for arm in arms], [arm["mean"] for arm in arms],
        yerr=[arm["spread"] / seeds**0.5 for arm in arms],
        color=MUTED if control else seen.colour, marker=seen.marker, markersize=5,
        markerfacecolor="white" if control else seen.face, linestyle=line or "none",
        elinewidth=0.8, linewidth=1, label=None if label in labels else label,
    )  # fmt: skip
