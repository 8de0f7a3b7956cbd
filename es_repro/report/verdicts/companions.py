"""What stands beside a claim of losing nothing: the random controls, and equivalent compute.

All of it is exploratory: uncorrected intervals, no verdict of its own. Whether the method beats the
baseline at its FLOPs is a claim of its own (`claim.Ahead`).
"""

from dataclasses import dataclass

import numpy as np

from es_repro.report.verdicts.arms import Records, Values
from es_repro.report.verdicts.claim import Arm, NotWorse
from es_repro.report.verdicts.rules import LEVEL
from es_repro.statistics import Gain, decide, equivalent_gain, trial

__all__ = ["Companions", "companions"]

_CONTROLS = ("random_set", "random_batch")
_LEAST_SEEDS = 2
_SEEDS_OF_BOOTSTRAP = 5  # fewer seeds resample to an interval that is far too narrow
_TINY = 1e-9


@dataclass(frozen=True)
class Companions:
    """Beside a method's loss against the baseline.

    Args:
        controls: such as `worse than random_set (-7.77 [-9.20, -6.34]); ...`.
        gain: None where the frontier or a cost is missing.
        gain_shown: of it, as a table says it.
    """

    controls: str = ""
    gain: Gain | None = None
    gain_shown: str = ""


def companions(test: NotWorse, records: Records) -> Companions:
    """For a method with values; empty where it has none."""
    method = records.values(test.method)
    if method.gap:
        return Companions()
    experiments, compared = test.baseline.experiments, test.baseline.compared
    controls = [Arm(experiments, row, compared) for row in _CONTROLS]
    lines = [_against(method, records.values(arm), arm.row) for arm in controls]
    gain, shown = _gain(method, test, records)
    return Companions("; ".join(line for line in lines if line), gain, shown)


def _against(method: Values, control: Values, name: str) -> str:
    """One control: its word at equal cost, with the interval of the difference."""
    seeds = sorted(set(method.by_seed.index) & set(control.by_seed.index))
    if len(seeds) < _LEAST_SEEDS:
        return ""
    # A difference at equal cost needs no margin: better, worse, or not to be told.
    found = decide(trial(method.by_seed[seeds], control.by_seed[seeds], margin=_TINY), LEVEL)
    low, high = found.trial.difference.interval(LEVEL)
    word = {"undecided": "not told apart from"}.get(found.word, f"{found.word} than")
    return f"{word} {name} ({found.trial.difference.mean:+.2f} [{low:+.2f}, {high:+.2f}])"


def _gain(method: Values, test: NotWorse, records: Records) -> tuple[Gain | None, str]:
    """From the baseline and every `short` of it: its own frontier."""
    experiments, compared = test.baseline.experiments, test.baseline.compared
    rows = records.rows(Arm(experiments, "short_*", compared))
    frontier = [(values.flops, values) for row in ("baseline", *rows)
                if not (values := records.values(Arm(experiments, row, compared))).gap]  # fmt: skip
    budgets = {cost: values for cost, values in frontier if cost is not None}
    cost = method.flops
    arms = [budgets[known] for known in sorted(budgets)]
    seeds = sorted(set.intersection(*(set(x.by_seed.index) for x in (*arms, method))))
    if cost is None or len(arms) < 2 or not seeds:
        return None, ""
    gain = equivalent_gain(
        np.array(sorted(budgets)), [x.by_seed[seeds].to_numpy() for x in arms],
        cost, method.by_seed[seeds].to_numpy(), level=LEVEL,
    )  # fmt: skip
    if len(seeds) < _SEEDS_OF_BOOTSTRAP:
        return gain, gain.shown(gain.value)
    return gain, str(gain)
