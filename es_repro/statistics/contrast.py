"""A weighted sum of mean accuracies with its t distribution: differences, margins, half losses.

Paired: the arms share their seeds (the same initial weights and order), so that the weighted sum is
taken seed by seed. Otherwise the arms are independent, with Welch's and Satterthwaite's degrees of
freedom.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from es_repro.statistics.two_way import components

__all__ = ["Contrast", "contrast", "paired", "welch"]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Contrast:
    """An estimate and how far it may be off.

    Args:
        mean: the estimate, in the unit of the samples.
        standard_error: of it; 0 where the samples do not differ at all.
        dof: degrees of freedom of its t distribution.
    """

    mean: float
    standard_error: float
    dof: float

    def half_width(self, level: float = 0.95) -> float:
        """Half the width of the two-sided interval: what these seeds resolve."""
        return float(stats.t.ppf((1 + level) / 2, self.dof)) * self.standard_error

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided t interval."""
        half = self.half_width(level)
        return self.mean - half, self.mean + half

    def p_above(self, null: float = 0.0) -> float:
        """The one-sided p-value of the claim that the truth lies above `null`.

        Values without any spread, as of few seeds on few examples, are no certainty: that all of
        them lie on one side is then a matter of signs.
        """
        if self.standard_error == 0:
            return float(0.5 ** (self.dof + 1)) if self.mean > null else 1.0
        return float(stats.t.sf((self.mean - null) / self.standard_error, self.dof))

    def p_below(self, null: float = 0.0) -> float:
        """The one-sided p-value of the claim that the truth lies below `null`."""
        return Contrast(-self.mean, self.standard_error, self.dof).p_above(-null)

    def p_differs(self, null: float = 0.0) -> float:
        """The two-sided p-value of the claim that the truth is not `null`."""
        return min(1.0, 2 * min(self.p_above(null), self.p_below(null)))

    def p_within(self, margin: float) -> float:
        """The p-value of equivalence within +-`margin`: the larger of two one-sided (TOST)."""
        return max(self.p_above(-margin), self.p_below(margin))


def contrast(
    weights: Sequence[float], samples: Sequence[ArrayLike], *, paired: bool = True
) -> Contrast:
    """`sum_i weights[i] * mean(samples[i])`.

    Args:
        weights: one an arm.
        samples: an arm's values, one a seed [seeds]; paired: as many in each, in the same order.
            Paired, they may be [seeds, examples], of the same examples: the error is then that of
            other seeds and other examples (`two_way`).
        paired: whether position s is the same seed in every arm.

    Raises:
        ValueError: fewer than two seeds, values that are not finite, or pairs of unequal length.
    """
    if paired and all(np.ndim(arm) == 2 for arm in samples):
        return _over_examples(weights, samples)
    arms = [np.asarray(arm, dtype=np.float64) for arm in samples]
    for arm in arms:
        if arm.ndim != 1 or len(arm) < 2 or not np.isfinite(arm).all():
            raise ValueError(
                f"samples={arm.tolist()}: must be two or more finite values, one a seed"
            )
    if paired:
        if len({len(arm) for arm in arms}) != 1:
            lengths = [len(arm) for arm in arms]
            raise ValueError(f"samples of {lengths} seeds: must be equally many where paired")
        sums = np.tensordot(np.asarray(weights, dtype=np.float64), np.stack(arms), axes=1)
        n = len(sums)
        return Contrast(float(sums.mean()), _spread(sums) / n**0.5, n - 1)
    mean = sum(w * float(arm.mean()) for w, arm in zip(weights, arms, strict=True))
    parts = [(w * _spread(arm)) ** 2 / len(arm) for w, arm in zip(weights, arms, strict=True)]
    variance = sum(parts)
    below = sum(part**2 / (len(arm) - 1) for part, arm in zip(parts, arms, strict=True))
    dof = variance**2 / below if below else sum(len(arm) - 1 for arm in arms)
    return Contrast(mean, variance**0.5, dof)


def _over_examples(weights: Sequence[float], tables: Sequence[ArrayLike]) -> Contrast:
    arms = [np.asarray(table, dtype=np.float64) for table in tables]
    if len({arm.shape for arm in arms}) != 1:
        shapes = [arm.shape for arm in arms]
        raise ValueError(f"samples of shapes {shapes}: must be equal where paired")
    sums = sum(weight * arm for weight, arm in zip(weights, arms, strict=True))
    found = components(sums)
    return Contrast(float(np.mean(sums)), found.standard_error, found.dof)


def paired(first: ArrayLike, second: ArrayLike) -> Contrast:
    """`first` minus `second`, seed by seed [seeds]."""
    return contrast((1, -1), (first, second), paired=True)


def welch(first: ArrayLike, second: ArrayLike) -> Contrast:
    """`first` minus `second`, independent, of unequal variances."""
    return contrast((1, -1), (first, second), paired=False)


def _spread(values: np.ndarray) -> float:
    """Standard deviation; values that are equal but for rounding have none."""
    rounding = _ROUNDING * max(1.0, float(np.abs(values).max()))
    return float(values.std(ddof=1)) if np.ptp(values) > rounding else 0.0
