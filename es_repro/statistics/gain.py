"""Compute-equivalent gain: what a method's accuracy would have cost the baseline.

The baseline's frontier is its accuracy at several budgets, each trained to its own end (a schedule
cut short is no budget). At a budget stands the best mean accuracy of those up to it, since the
baseline need not spend what makes it worse; they are joined linearly in log cost. The gain is the
smallest cost on that line that reaches the method's accuracy, over the method's own cost. Above 1
the method saves compute. Outside the frontier nothing is extrapolated: the gain is then only known
to be at most the cheapest budget's, or at least the dearest's, over the method's cost.

The interval holds the middle of the gains of drawn means (`drawing`): other seeds and other test
examples, all arms alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from es_repro.statistics.drawing import drawn_means

__all__ = ["Gain", "equivalent_gain"]

_ROUNDING = 1e-9  # of a cost that went through its logarithm


@dataclass(frozen=True)
class Gain:
    """A ratio of costs.

    Args:
        value: of the means, cut to [at_least_known, at_most_known].
        low, high: ends of the interval, cut likewise.
        at_most_known: gain at the dearest budget; a value there reads "at least".
        at_least_known: gain at the cheapest budget; a value there reads "at most".
    """

    value: float
    low: float
    high: float
    at_least_known: float
    at_most_known: float

    def shown(self, value: float, digits: int = 2) -> str:
        """`value` with the sign of a bound where the frontier ends."""
        below = value <= self.at_least_known * (1 + _ROUNDING)
        above = value >= self.at_most_known * (1 - _ROUNDING)
        sign = "≤" if below else "≥" if above else ""
        return f"{sign}{value:.{digits}f}"

    def __str__(self) -> str:
        """Such as `1.24 [1.05, ≥1.60]`; where no part of the interval is known, only where it lies.

        `below the frontier (<0.98)`: worse than the cheapest budget, which no gain measures.
        """
        if self.high <= self.at_least_known * (1 + _ROUNDING):
            return f"below the frontier (<{self.at_least_known:.2f})"
        if self.low >= self.at_most_known * (1 - _ROUNDING):
            return f"above the frontier (>{self.at_most_known:.2f})"
        return f"{self.shown(self.value)} [{self.shown(self.low)}, {self.shown(self.high)}]"


def equivalent_gain(
    budgets: ArrayLike,
    frontier: Sequence[ArrayLike],
    method_cost: float,
    method: ArrayLike,
    *,
    paired: bool = True,
    level: float = 0.95,
    replicates: int = 2000,
    seed: int = 0,
) -> Gain:
    """The gain with its interval; where an arm has one seed, that is all the frontier reaches.

    Args:
        budgets: cost of each of the baseline's budgets [budgets], two or more, ascending; FLOPs.
        frontier: of each budget the baseline's accuracies, [seeds] or [seeds, examples].
        method_cost: in the same unit.
        method: the method's accuracies, [seeds] or [seeds, examples].
        paired: whether seeds are shared by all arms (see `drawn_means`).
        level: of the interval.
        replicates: number of draws.
        seed: of the draws.

    Raises:
        ValueError: budgets that are not ascending, or arms that do not fit together.
    """
    costs = np.asarray(budgets, dtype=np.float64)
    if len(costs) < 2 or len(costs) != len(frontier) or not (np.diff(costs) > 0).all():
        raise ValueError(f"budgets={costs.tolist()}: must be two or more, ascending, one an arm")
    if not (costs[0] > 0 and method_cost > 0):
        raise ValueError("costs: must be above 0")
    arms = [*frontier, method]
    means = np.array([float(np.asarray(arm, dtype=np.float64).mean()) for arm in arms])
    several = min(len(np.asarray(arm)) for arm in arms) > 1
    drawn = drawn_means(arms, replicates=replicates, paired=paired, seed=seed) if several else means
    every = np.column_stack([means, drawn])
    reached = _log_cost(np.log(costs), np.maximum.accumulate(every[:-1]), every[-1])
    gains = np.exp(reached) / method_cost
    floor, ceiling = costs[0] / method_cost, costs[-1] / method_cost
    ends = np.quantile(gains[1:], [(1 - level) / 2, (1 + level) / 2]) if several else [0, np.inf]
    value, low, high = np.clip([gains[0], *ends], floor, ceiling)
    return Gain(float(value), float(low), float(high), float(floor), float(ceiling))


def _log_cost(log_budgets: np.ndarray, accuracies: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The smallest log cost at which each column's line reaches `wanted`, cut to the budgets."""
    last = len(log_budgets) - 1
    k = (accuracies < wanted).sum(0)  # the first budget that reaches it
    right, left = np.clip(k, 1, last), np.clip(k, 1, last) - 1
    column = np.arange(len(wanted))
    below, above = accuracies[left, column], accuracies[right, column]
    rise = np.where(above > below, above - below, 1.0)
    share = np.clip((wanted - below) / rise, 0.0, 1.0)
    found: np.ndarray = log_budgets[left] + share * (log_budgets[right] - log_budgets[left])
    return np.where(k == 0, log_budgets[0], np.where(k > last, log_budgets[last], found))
