"""How many seeds, and what they can decide: settled on the tuning seeds, before any result.

What is promised is a chance on the average: over the primary contrasts, for one method may spread
ten times as much as another, and over what the pilot leaves open. That keeps the promise on the
average over pilots, where a bound on every spread would plan for several times the seeds
(tests/judge/test_calibrated_plans.py).

It holds after the correction. The primary contrasts of a workload are decided together by Holm's
rule, which never asks more of one than the m-th part of the level and asks less once others are
found; the promise is made at that m-th part and kept whatever the others show. Delivered is
therefore the promised power or more: of 16 contrasts between equal arms, all at their margin, each
is found in 98% where 80% are promised (tests/judge/test_promised_power.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from es_repro.judge.pilot import Contrast, Noise, Question, middles, noises_of

__all__ = ["LEAST_SEEDS", "LEVEL", "POWER", "SeedPlan", "margin_for", "plan_seeds"]

LEVEL = 0.95
POWER = 0.8
LEAST_SEEDS = 10
_RUNS = 200  # equally likely values that stand for the spread that the runs will find


@dataclass(frozen=True)
class SeedPlan:
    """What was settled before the runs.

    Attributes:
        seeds: of every arm.
        resolution: the margin within which equal arms are found equivalent with `POWER` on the
            average over the `contrasts`, corrected for all of them; differences of that size are
            seen as often.
        wanted: what was asked for.
        contrasts: primary ones, decided together.
        pilot_seeds: that it rests on.
        spread: standard deviation over seeds of the middle contrast.
        example_error: standard error that the held-out examples alone leave in the middle one.
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
            f"differences of {self.resolution:.2f} are decided with a power of {POWER:.0%}, on the "
            f"average over {self.contrasts} contrasts and corrected for all of them"
        )
        if self.resolution > 1.001 * self.wanted:
            reach += f" ({self.wanted:g} was wanted)"
        return (
            f"{arms} arms, {self.seeds} seeds each; pilot of {self.pilot_seeds}: differences "
            f"spread by {self.spread:.2f} over seeds, error of the examples "
            f"{self.example_error:.2f}; {reach}"
        )


def plan_seeds(
    questions: Sequence[Question],
    others: Sequence[Contrast],
    *,
    examples: int,
    fixed: int | None,
    most: int,
    wanted: float,
) -> SeedPlan:
    """Plan on what a pilot shows.

    Args:
        questions: the primary ones, to be decided together.
        others: differences of other arms to the baseline: they say what is usual here.
        examples: that the runs will be measured on; 1 where a run has one number.
        fixed: a number of seeds that was settled otherwise; None: as many as `wanted` needs.
        most: no more than so many.
        wanted: resolution, in points of the measure.
    """
    found = noises_of([each for pair in questions for each in pair], others, examples)
    noises = list(zip(found[::2], found[1::2], strict=True))
    seeds = fixed or LEAST_SEEDS
    while fixed is None and seeds < most and _power(noises, wanted, seeds) < POWER:
        seeds = min(most, max(seeds + 1, round(1.1 * seeds)))
    return SeedPlan(
        seeds, margin_for(noises, seeds), wanted, len(noises), len(questions[0][0].table),
        spread=float(np.median([np.median(noise.runs) for noise in found]) ** 0.5),
        example_error=float(np.median([noise.examples for noise in found]) ** 0.5),
    )  # fmt: skip


def margin_for(noises: Sequence[tuple[Noise, Noise]], seeds: int) -> float:
    """The margin within which equal arms are found equivalent with `POWER`, on the average.

    Args:
        noises: of each primary contrast, those of its two one-sided tests.
        seeds: of each arm.
    """
    enough = max(_errors(noise, seeds).max() for pair in noises for noise in pair)
    if enough == 0:
        return 0.0
    while _power(noises, enough, seeds) < POWER:
        enough *= 2
    least = 1e-4 * enough
    return float(
        optimize.brentq(lambda margin: _power(noises, margin, seeds) - POWER, 0, enough, xtol=least)
    )


def _power(noises: Sequence[tuple[Noise, Noise]], margin: float, seeds: int) -> float:
    """The chance that equal arms are found equivalent, on the average.

    Exact for normal values, but for the chance that both one-sided tests fail together, which is
    next to none where the power is worth a promise.
    """
    dof = seeds - 1
    found = np.sqrt(stats.chi2.ppf(middles(_RUNS), dof) / dof)
    reach = stats.t.isf((1 - LEVEL) / len(noises), dof) * found

    def one_sided(noise: Noise) -> np.ndarray:
        errors = np.maximum(_errors(noise, seeds), np.finfo(float).tiny)
        passed: np.ndarray = special.ndtr((margin / errors)[:, None] - reach).mean(1)
        return passed

    chances = [one_sided(lower) + one_sided(upper) - 1 for lower, upper in noises]
    return float(np.mean([np.maximum(chance, 0).mean() for chance in chances]))


def _errors(noise: Noise, seeds: int) -> np.ndarray:
    """Standard errors of the contrast's mean [any]."""
    errors: np.ndarray = np.sqrt(noise.runs / seeds + noise.examples)
    return errors
