"""What a pilot of a few seeds tells of the noise in the reported runs.

Six or eight seeds know a variance to a third. The true ones that fit are weighed by their
chi-square law, and arms that vary alike lend each other strength. The pilot's held-out rows are
fewer than those reported, so that the part of a run's variance that more rows take away is taken
away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from es_repro.statistics import components

__all__ = ["Contrast", "Noise", "Question", "middles", "noises_of", "question"]

_PILOTS = 50  # equally likely values by which a chi-square law is stood for
_UNUSUAL = 3.0  # times the middle variance: six seeds of a usual arm reach it once in a hundred
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


def noises_of(
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
    # A few hard examples make most of this part: where a pilot misses them, the others' counts.
    parts_of = [components(each.table) for each in everyone]
    shares = [x.examples / each.size for x, each in zip(parts_of, everyone, strict=True)]
    by_examples = float(np.mean(shares))
    found = []
    for pilot, like_others, each, parts in zip(pilots, usual, contrasts, parts_of, strict=False):
        weight = shared if like_others else 0.0
        known = min(dof + weight, dof * (1 + len(others)))
        law = stats.chi2.ppf(middles(_PILOTS), known) / known
        moderated = (dof * pilot + weight * common) / (dof + weight) if pilot else 0.0
        by_pilot, by_run = (parts.both / count for count in (parts.shape[1], examples))
        runs = np.maximum(each.size * moderated / law - by_pilot, 0.0) + by_run
        found.append(Noise(runs, max(parts.examples, each.size * by_examples) / examples))
    return found


def _common(variances: np.ndarray, dof: int) -> tuple[float, float]:
    """What variances [any] have in common, and how many degrees of freedom it weighs.

    Their logarithms scatter by the trigamma of half of `dof` where the truth is one, and by that of
    half of the weight more where it follows an inverse chi-square law of so many. Scatter within
    its own standard error passes for chance: few variances cannot tell.
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


def middles(count: int) -> np.ndarray:
    """The middles of `count` equal parts of [0, 1]."""
    return (np.arange(count) + 0.5) / count
