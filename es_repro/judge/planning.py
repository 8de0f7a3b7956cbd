"""How many seeds, and what they can decide: settled on the tuning seeds, before any result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from es_repro.statistics import Design, components, power, upper_standard_deviation

__all__ = ["LEAST_SEEDS", "LEVEL", "POWER", "SeedPlan", "margin_for", "plan_seeds"]

LEVEL = 0.95
POWER = 0.8
LEAST_SEEDS = 10
CONFIDENCE = 0.8  # that the true spread is no larger than the one planned with


@dataclass(frozen=True)
class SeedPlan:
    """What was settled before the runs.

    Attributes:
        seeds: of every arm.
        resolution: the margin within which two equal arms are found equivalent with `POWER`.
        wanted: what was asked for.
        pilot_seeds: that it rests on.
        spread: standard deviation over seeds of a method's difference to the baseline: the
            largest of the methods.
        example_error: standard error that the held-out examples alone leave.
    """

    seeds: int
    resolution: float
    wanted: float
    pilot_seeds: int
    spread: float
    example_error: float

    def statement(self, arms: int) -> str:
        """One line to be said before the runs."""
        reach = f"differences of {self.resolution:.2f} are decided with a power of {POWER:.0%}"
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
        return margin_for(spread, error, seeds)

    seeds = fixed or LEAST_SEEDS
    while fixed is None and seeds < most and reach(seeds) > wanted:
        seeds = min(most, max(seeds + 1, round(1.1 * seeds)))
    return SeedPlan(seeds, reach(seeds), wanted, pilot_seeds, spread, error)


def margin_for(spread: float, example_error: float, seeds: int) -> float:
    """The margin that equivalence of equal arms reaches with `POWER`."""
    error = (spread**2 / seeds + example_error**2) ** 0.5
    design = Design(error * seeds**0.5, seeds)
    low, high = 0.0, 20 * error
    for _ in range(40):
        middle = (low + high) / 2
        enough = power(design, "equivalent", margin=middle, level=LEVEL) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high
