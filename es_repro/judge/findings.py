"""What a trial says about each method: decisions, gains and differences, as plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from es_repro.judge.arms import FRONTIER, baseline_at
from es_repro.judge.planning import LEVEL
from es_repro.judge.trial import Trial
from es_repro.statistics import Decision, Gain, decide, decide_all, equivalent_gain, trial
from es_repro.statistics import Trial as Comparable

__all__ = ["Comparison", "Finding", "findings"]

FULL = baseline_at(1).name


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
    """All methods of a trial, decided together.

    Primary are each method against the baseline and against `short`, its equal in cost; the
    controls' margin is the trial's resolution, which was settled before the runs.
    """
    sign = 1 if one.workload.larger_is_better else -1
    scores = {name: sign * lane.outcome.scores.astype(np.float64)
              for name, lane in one.lanes.items()}  # fmt: skip
    margin = max(one.plan.resolution, 1e-9)
    primary: dict[tuple[str, str], Comparable] = {}
    exploratory: dict[tuple[str, str], Comparable] = {}
    for method in one.methods:
        short = one.short[method]
        if short != FULL:  # a method that saves nothing has no shorter baseline for a yardstick
            primary[method, "baseline"] = trial(scores[method], scores[FULL], short=scores[short])
        else:
            primary[method, "baseline"] = trial(scores[method], scores[FULL], margin=margin)
        controls = {
            "short": short, "random_set": one.random_set.get(method),
            "random_batch": one.random_batch.get(method), "history": one.history,
        }  # fmt: skip
        for kind, control in controls.items():
            if control is not None:
                family = primary if kind == "short" else exploratory
                family[method, kind] = trial(scores[method], scores[control], margin=margin)
    decisions = {key: decide(each, LEVEL) for key, each in exploratory.items()}
    corrected = decide_all({"\n".join(key): each for key, each in primary.items()}, LEVEL)
    decisions |= {key: corrected["\n".join(key)] for key in primary}

    found = {}
    costs = [one.lanes[baseline_at(x).name].cost(one.workload) for x in FRONTIER]
    for method in one.methods:
        lane = one.lanes[method]
        names = {
            "baseline": FULL, "short": one.short[method], "history": one.history,
            "random_set": one.random_set.get(method), "random_batch": one.random_batch.get(method),
        }  # fmt: skip
        against = {
            kind: Comparison(name, decisions[method, kind], (method, kind) in primary)
            for kind, name in names.items()
            if name is not None
        }
        gain = equivalent_gain(
            costs, [scores[baseline_at(x).name] for x in FRONTIER],
            lane.cost(one.workload), scores[method], level=LEVEL,
        )  # fmt: skip
        runs = lane.outcome.scores.mean(1)
        found[method] = Finding(
            method, against.pop("baseline"), against, gain, lane.cost(one.workload),
            float(runs.mean()), float(runs.std(ddof=1)),
        )  # fmt: skip
    return found
