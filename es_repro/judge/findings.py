"""What a trial says about each method: decisions, gains and differences, as plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from es_repro.judge.arms import baseline_at, frontier
from es_repro.judge.planning import LEVEL
from es_repro.judge.trial import Trial
from es_repro.statistics import Decision, Gain, decide, decide_all, equivalent_gain, trial
from es_repro.statistics import Trial as Comparable

__all__ = ["Comparison", "Finding", "controls_of", "decisions_of", "findings"]

FULL = baseline_at(1).name

PRIMARY = ("baseline", "short")  # controls that each method is held against, corrected together

Pair = tuple[str, str]  # method, kind of control


@dataclass(frozen=True)
class Comparison:
    """A method against one control.

    Attributes:
        control: its name.
        decision: the word and the numbers behind it.
        primary: corrected by Holm together with the other primary ones of the workload; else
            exploratory.
    """

    control: str
    decision: Decision
    primary: bool


@dataclass(frozen=True)
class Finding:
    """What is known of a method on a workload.

    Attributes:
        method: its name.
        baseline: against the whole budget; the margin is half of what `short` loses.
        controls: by kind (`short`, `random_set`, `random_batch`, `history`), those that there are.
        gain: FLOPs that the baseline needs for the same, over the method's own.
        cost: the method's FLOPs, in budgets of the baseline.
        mean, spread: of the measure over seeds.
    """

    method: str
    baseline: Comparison
    controls: Mapping[str, Comparison]
    gain: Gain
    cost: float
    mean: float
    spread: float


def findings(one: Trial) -> dict[str, Finding]:
    """All methods of a trial: decided together, and their gains."""
    decisions, primary = decisions_of(one)
    scores = _scores(one)
    budgets = [arm.name for arm in frontier(one.workload)]
    costs = [one.lanes[name].cost(one.workload) for name in budgets]
    found = {}
    for method in one.methods:
        lane = one.lanes[method]
        against = {
            kind: Comparison(name, decisions[method, kind], (method, kind) in primary)
            for kind, name in controls_of(one, method).items()
        }
        gain = equivalent_gain(
            costs, [scores[name] for name in budgets],
            lane.cost(one.workload), scores[method], level=LEVEL,
        )  # fmt: skip
        runs = lane.outcome.scores.mean(1)
        found[method] = Finding(
            method, against.pop("baseline"), against, gain, lane.cost(one.workload),
            float(runs.mean()), float(runs.std(ddof=1)),
        )  # fmt: skip
    return found


def decisions_of(one: Trial) -> tuple[dict[Pair, Decision], set[Pair]]:
    """A decision by (method, kind of control), and which of them are primary.

    Primary are each method against the baseline and against `short`, its equal in cost: they are
    corrected together. Where there is no `short` for a yardstick, the margin is the resolution that
    was asked for, whether the seeds reach it or not.
    """
    scores, margin = _scores(one), one.plan.wanted
    primary: dict[Pair, Comparable] = {}
    exploratory: dict[Pair, Comparable] = {}
    for method in one.methods:
        for kind, control in controls_of(one, method).items():
            pair, arms = (method, kind), (scores[method], scores[control])
            short = one.short[method]
            if kind == "baseline" and short != FULL:  # where it saves nothing there is no yardstick
                primary[pair] = trial(*arms, short=scores[short])
            elif kind in PRIMARY:
                primary[pair] = trial(*arms, margin=margin)
            else:
                exploratory[pair] = trial(*arms, margin=margin)
    corrected = decide_all({"\n".join(pair): each for pair, each in primary.items()}, LEVEL)
    decisions = {pair: corrected["\n".join(pair)] for pair in primary}
    decisions |= {pair: decide(each, LEVEL) for pair, each in exploratory.items()}
    return decisions, set(primary)


def controls_of(one: Trial, method: str) -> dict[str, str]:
    """What a method is compared with: the control's name by its kind."""
    found = {
        "baseline": FULL,
        "short": one.short[method],
        "random_set": one.random_set.get(method),
        "random_batch": one.random_batch.get(method),
        "history": one.history,
    }
    return {kind: name for kind, name in found.items() if name is not None}


def _scores(one: Trial) -> dict[str, np.ndarray]:
    """By arm [seeds, examples], larger being better."""
    return {name: lane.scores(one.workload) for name, lane in one.lanes.items()}
