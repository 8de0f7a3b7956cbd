"""How many seeds, and what they can decide: settled on the tuning seeds, before any result.

What is promised holds after the correction. The primary contrasts of a workload are decided
together by Holm's rule, which never asks more of one than the m-th part of the level and asks less
once others are found; the promise is made at that m-th part and kept whatever the others show.
Delivered is therefore the promised power or more: of 16 contrasts between equal arms, all at their
margin, each is found in 98% where 80% are promised (tests/judge/test_promised_power.py).

Against the whole baseline the margin is itself measured, as half of what `short` loses, and its
error is in the test: the two one-sided tests are contrasts of three arms, whose variances are 3/4
and 7/4 of the difference's where all arms vary alike. The promise is that of this wider contrast;
one with a fixed margin, such as against `short`, is decided more often.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from es_repro.statistics import Design, components, power, upper_standard_deviation

__all__ = ["LEAST_SEEDS", "LEVEL", "POWER", "PRIMARY", "SeedPlan", "margin_for", "plan_seeds"]

LEVEL = 0.95
POWER = 0.8
LEAST_SEEDS = 10
CONFIDENCE = 0.8  # that the true spread is no larger than the one planned with
PRIMARY = ("baseline", "short")  # controls that each method is held against, corrected together

# Variances of `method - (baseline + short) / 2` and of `method - (3 baseline - short) / 2`, whose
# weights' squares sum to 1.5 and 3.5, over that of `method - baseline`, whose sum to 2.
_LOWER, _UPPER = 0.75, 1.75


@dataclass(frozen=True)
class SeedPlan:
    """What was settled before the runs.

    Attributes:
        seeds: of every arm.
        resolution: the margin within which two equal arms are found equivalent with `POWER` or
            more, corrected for all `contrasts`; a difference of that size is seen as often.
        wanted: what was asked for.
        contrasts: primary ones, decided together.
        pilot_seeds: that it rests on.
        spread: standard deviation over seeds of a method's difference to the baseline: the
            largest of the methods.
        example_error: standard error that the held-out examples alone leave.
    """

    seeds: int
    resolution: float
    wanted: float
    contrasts: int
    pilot_seeds: int
    spread: float
    example_error: float

    def statement(self, arms: int) -> str:
        """One line to be said before the runs."""
        reach = (
            f"differences of {self.resolution:.2f} are decided with a power of {POWER:.0%} or "
            f"more, corrected for {self.contrasts} contrasts"
        )
        if self.resolution > 1.001 * self.wanted:
            reach += f" ({self.wanted:g} was wanted)"
        return (
            f"{arms} arms, {self.seeds} seeds each; pilot of {self.pilot_seeds}: differences "
            f"spread by {self.spread:.2f} over seeds, error of the examples "
            f"{self.example_error:.2f}; {reach}"
        )


def plan_seeds(
    methods: Sequence[np.ndarray],
    controls: Sequence[np.ndarray],
    baseline: np.ndarray,
    *,
    examples: int,
    contrasts: int,
    measured: bool,
    fixed: int | None,
    most: int,
    wanted: float,
) -> SeedPlan:
    """Plan with the largest spread among the methods, and the largest error of the examples.

    That error hangs on a few hard examples, so that a pilot of few finds it too small as often as
    not: the controls' differences are looked at, too.

    Args:
        methods: of each the pilot's scores [T, examples of the pilot].
        controls: likewise, of the other arms.
        baseline: likewise, of the whole budget.
        examples: that the runs will be measured on; 1 where a run has one number.
        contrasts: primary ones, to be decided together.
        measured: whether any of them has a margin that is measured on `short`.
        fixed: a number of seeds that was settled otherwise; None: as many as `wanted` needs.
        most: no more than so many.
        wanted: resolution, in points of the measure.
    """
    pilot_seeds = len(baseline)
    spread = error = 0.0
    for method in methods:
        parts = components(method.astype(np.float64) - baseline)
        per_run = (parts.seeds + parts.both / examples) ** 0.5
        spread = max(spread, upper_standard_deviation(per_run, pilot_seeds, CONFIDENCE))
    for arm in (*methods, *controls):
        parts = components(arm.astype(np.float64) - baseline)
        error = max(error, (parts.examples / examples) ** 0.5)

    def reach(seeds: int) -> float:
        return margin_for(spread, error, seeds, contrasts=contrasts, measured=measured)

    seeds = fixed or LEAST_SEEDS
    while fixed is None and seeds < most and reach(seeds) > wanted:
        seeds = min(most, max(seeds + 1, round(1.1 * seeds)))
    return SeedPlan(seeds, reach(seeds), wanted, contrasts, pilot_seeds, spread, error)


def margin_for(
    spread: float,
    example_error: float,
    seeds: int,
    *,
    contrasts: int = 1,
    measured: bool = False,
) -> float:
    """The margin that equivalence of equal arms reaches with `POWER` or more.

    Args:
        spread: standard deviation over seeds of the arms' difference.
        example_error: standard error that the examples alone leave in it.
        seeds: of each arm.
        contrasts: that are decided together, by Holm's rule.
        measured: the margin is half of what `short` loses, not a fixed number.
    """
    level = 1 - (1 - LEVEL) / max(1, contrasts)
    error = (spread**2 / seeds + example_error**2) ** 0.5
    if error == 0:
        return 0.0
    lower, upper = (
        Design(error * (part * seeds) ** 0.5, seeds)
        for part in ((_LOWER, _UPPER) if measured else (1.0, 1.0))
    )

    def missing(margin: float) -> float:
        """Of the power, if both one-sided tests fail together as good as never."""
        below = power(lower, "non-inferior", margin=margin, level=level)
        return POWER - (below + power(upper, "non-inferior", margin=margin, level=level) - 1)

    enough = error
    while missing(enough) > 0:
        enough *= 2
    return float(optimize.brentq(missing, 0.0, enough, xtol=1e-4 * error))
