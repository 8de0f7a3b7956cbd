"""Compute-equivalent gain: what a method's accuracy would have cost the baseline.

The baseline's frontier is its accuracy at several budgets, each trained to its own end (a schedule
cut short is no budget). Mean accuracies are made non-decreasing in cost (isotonic regression with
the seeds as weights) and joined linearly in log cost; the gain is the smallest cost on that line
that reaches the method's accuracy, over the method's own cost. Above 1 the method saves compute.
Outside the frontier nothing is extrapolated: the gain is then only known to be at most the cheapest
budget's, or at least the dearest's, over the method's cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from es_repro.statistics.resampling import resampled_means

__all__ = ["Gain", "equivalent_gain"]


@dataclass(frozen=True)
class Gain:
    """A ratio of costs.

    Args:
        value: of the means, cut to [at_least_known, at_most_known].
        low, high: ends of the bootstrap's percentile interval, cut likewise.
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
        sign = "≤" if value <= self.at_least_known else "≥" if value >= self.at_most_known else ""
        return f"{sign}{value:.{digits}f}"

    def __str__(self) -> str:
        """Such as `1.24 [1.05, ≥1.60]`."""
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
    """The gain with its bootstrap interval.

    Args:
        budgets: cost of each of the baseline's budgets [budgets], two or more, ascending; FLOPs.
        frontier: of each budget the baseline's accuracies, [seeds] or [seeds, examples].
        method_cost: in the same unit.
        method: the method's accuracies, [seeds] or [seeds, examples].
        paired: whether seeds are shared by all arms (see `resampled_means`).
        level: of the interval.
        replicates: of the bootstrap.
        seed: of the bootstrap.

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
    drawn = resampled_means(arms, replicates=replicates, paired=paired, seed=seed)
    every = np.column_stack([means, drawn])
    weights = np.array([float(len(np.asarray(arm))) for arm in frontier])
    log_cost = [
        _log_cost(np.log(costs), _monotone(accuracy[:-1], weights), accuracy[-1])
        for accuracy in every.T
    ]
    gains = np.exp(np.array(log_cost)) / method_cost
    low, high = np.quantile(gains[1:], [(1 - level) / 2, (1 + level) / 2])
    floor, ceiling = costs[0] / method_cost, costs[-1] / method_cost
    value, low, high = np.clip([gains[0], low, high], floor, ceiling)
    return Gain(float(value), float(low), float(high), float(floor), float(ceiling))


def _monotone(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The closest non-decreasing sequence, by pooling neighbours that are out of order."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, total, count = float(value), float(weight), 1
        while pools and pools[-1][0] > mean:
            earlier, mass, size = pools.pop()
            mean = (earlier * mass + mean * total) / (mass + total)
            total, count = mass + total, count + size
        pools.append((mean, total, count))
    return np.concatenate([np.full(count, mean) for mean, _, count in pools])


def _log_cost(log_budgets: np.ndarray, accuracies: np.ndarray, wanted: float) -> float:
    """The smallest log cost at which the line reaches `wanted`, cut to the budgets."""
    k = int(np.searchsorted(accuracies, wanted, side="left"))
    if k == 0 or k == len(accuracies):
        return float(log_budgets[min(k, len(accuracies) - 1)])
    share = (wanted - accuracies[k - 1]) / (accuracies[k] - accuracies[k - 1])
    return float(log_budgets[k - 1] + share * (log_budgets[k] - log_budgets[k - 1]))
