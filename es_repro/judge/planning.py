"""How many seeds, and what they can decide: settled on the tuning seeds, before any result.

What is promised is a chance on the average: over the primary contrasts, for one method may spread
ten times as much as another, and over what the pilot leaves open. A pilot of six or eight seeds
knows each spread to a third; the true variances that fit it are weighed by their chi-square law,
which keeps the promise on the average over pilots, where a bound on every spread would plan for
several times the seeds (tests/judge/test_calibrated_plans.py). The pilot's held-out rows are fewer
than those reported, so that the part of a run's variance that more rows take away is taken away.

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

from es_repro.statistics import components

__all__ = [
    "LEAST_SEEDS", "LEVEL", "POWER", "Contrast", "Noise", "Question", "SeedPlan", "margin_for",
    "plan_seeds", "question",
]  # fmt: skip

LEVEL = 0.95
POWER = 0.8
LEAST_SEEDS = 10
# Equally likely values by which a chi-square law is stood for: a pilot's, and that of the runs.
_PILOTS, _RUNS = 50, 200
_UNUSUAL = 3.0  # times the middle variance: six seeds of a usual arm reach it once in a thousand
_MUCH = 1e3  # degrees of freedom: as good as known


@dataclass(frozen=True, eq=False)
class Contrast:
    """A weighted sum of arms in a pilot.

    Attributes:
        table: [T, examples of the pilot].
        size: the sum of the weights' squares: how its variance compares where all arms vary alike.
    """

    table: np.ndarray
    size: float = 2.0


Question = tuple[Contrast, Contrast]  # those that TOST's two one-sided tests rest on


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


@dataclass(frozen=True, eq=False)
class Noise:
    """What chance does to a contrast.

    Attributes:
        runs: variances over seeds that it may have, equally likely [any].
        examples: variance that the held-out examples alone leave in its mean.
    """

    runs: np.ndarray
    examples: float = 0.0


def question(method: np.ndarray, control: np.ndarray, short: np.ndarray | None = None) -> Question:
    """The contrasts on which equivalence is decided, as `es_repro.statistics.trial` does.

    Args:
        method: a pilot's scores [T, examples].
        control: likewise.
        short: likewise; where it is there, half of what it loses is the margin, and its own error
            is in the test.
    """
    method, control = method.astype(np.float64), control.astype(np.float64)
    if short is None:
        return Contrast(method - control), Contrast(method - control)
    return (
        Contrast(method - (control + short) / 2, 1.5),
        Contrast(method - (3 * control - short) / 2, 3.5),
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
    found = _noises([each for pair in questions for each in pair], others, examples)
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


def _noises(
    contrasts: Sequence[Contrast], others: Sequence[Contrast], examples: int
) -> list[Noise]:
    """What a pilot tells of the contrasts in runs with other examples.

    The true variance of each is weighed by the chi-square law around what its own seeds show and
    what all contrasts show, the more of the latter the less they differ beyond chance.

    Source: Smyth 2004, moderated variances; degrees of freedom at most those of all arms together.
    """
    dof = len(contrasts[0].table) - 1
    everyone = [*contrasts, *others]
    pilots = np.array([x.table.mean(1).var(ddof=1) / x.size for x in everyone])
    usual = pilots <= _UNUSUAL * np.median(pilots)
    common, shared = _common(pilots[usual & (pilots > 0)], dof)
    found = []
    for pilot, like_others, each in zip(pilots, usual, contrasts, strict=False):
        parts = components(each.table)
        weight = shared if like_others else 0.0
        known = min(dof + weight, dof * (1 + len(others)))
        law = stats.chi2.ppf(_middles(_PILOTS), known) / known
        moderated = (dof * pilot + weight * common) / (dof + weight) if pilot else 0.0
        by_pilot, by_run = (parts.both / count for count in (parts.shape[1], examples))
        runs = np.maximum(each.size * moderated / law - by_pilot, 0.0) + by_run
        found.append(Noise(runs, parts.examples / examples))
    return found


def _common(variances: np.ndarray, dof: int) -> tuple[float, float]:
    """What variances [any] have in common, and how many degrees of freedom it weighs.

    Their logarithms scatter by the trigamma of half of `dof` where the truth is one, and by that of
    half of the weight more where it follows an inverse chi-square law of so many.
    """
    if len(variances) < 2:
        return 0.0, 0.0
    logs = np.log(variances) - special.digamma(dof / 2) + np.log(dof / 2)
    scatter = logs.var(ddof=1) * (1 - (2 / (len(logs) - 1)) ** 0.5)
    beyond = scatter - special.polygamma(1, dof / 2)
    if beyond <= special.polygamma(1, _MUCH / 2):
        return float(np.exp(logs.mean())), _MUCH
    weight = optimize.brentq(lambda d: special.polygamma(1, d / 2) - beyond, 1e-3, _MUCH)
    common = np.exp(logs.mean() + special.digamma(weight / 2) - np.log(weight / 2))
    return float(common), float(weight)


def _power(noises: Sequence[tuple[Noise, Noise]], margin: float, seeds: int) -> float:
    """The chance that equal arms are found equivalent, on the average.

    Exact for normal values, but for the chance that both one-sided tests fail together, which is
    next to none where the power is worth a promise.
    """
    dof = seeds - 1
    found = np.sqrt(stats.chi2.ppf(_middles(_RUNS), dof) / dof)
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


def _middles(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / count
