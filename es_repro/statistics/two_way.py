"""Chance over seeds and over test examples: the components of variance of a table of both.

Each entry is mean + a seed's effect + an example's effect + what the two have together. The mean of
the table then varies by seeds/S + examples/X + both/(S X). The components are estimated from the
mean squares of rows, columns and rest; one that comes out negative is 0. Unlike the bootstrap over
both ways, whose variance holds `both` three times (Owen 2007), this is not wide on the average.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Components", "components"]


@dataclass(frozen=True)
class Components:
    """Variances, in squared units of the table.

    Args:
        seeds: of the seeds' effects.
        examples: of the examples' effects.
        both: of what is particular to a seed and an example; it holds what repeats would.
        shape: S and X.
    """

    seeds: float
    examples: float
    both: float
    shape: tuple[int, int]

    @property
    def of_rows(self) -> float:
        """Squared error of the mean by other seeds on these examples."""
        return (self.seeds + self.both / self.shape[1]) / self.shape[0]

    @property
    def of_columns(self) -> float:
        """What other examples add to it."""
        return self.examples / self.shape[1]

    @property
    def standard_error(self) -> float:
        """Of the table's mean, by other seeds and other examples."""
        return (self.of_rows + self.of_columns) ** 0.5

    @property
    def dof(self) -> float:
        """Degrees of freedom of the standard error, by Satterthwaite."""
        rows, columns = self.shape[0] - 1, max(1, self.shape[1] - 1)
        below = self.of_rows**2 / rows + self.of_columns**2 / columns
        return (self.of_rows + self.of_columns) ** 2 / below if below else rows


def components(table: ArrayLike) -> Components:
    """The components of variance of a table [seeds, examples].

    With one example a row, `both` cannot be told from `seeds` and is 0.

    Raises:
        ValueError: fewer than two seeds, no example, or values that are not finite.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2 or values.shape[1] < 1 or not np.isfinite(values).all():
        raise ValueError(f"table of shape {values.shape}: must be finite, of two seeds or more")
    seeds, examples = values.shape
    rows, columns, mean = values.mean(1), values.mean(0), values.mean()
    between_seeds = float(((rows - mean) ** 2).sum()) / (seeds - 1)
    if examples == 1:
        return Components(between_seeds, 0.0, 0.0, (seeds, 1))
    between_examples = float(((columns - mean) ** 2).sum()) / (examples - 1)
    total = float(((values - mean) ** 2).sum())
    rest = (
        total - examples * (seeds - 1) * between_seeds - seeds * (examples - 1) * between_examples
    )
    both = max(0.0, rest) / ((seeds - 1) * (examples - 1))
    return Components(
        seeds=max(0.0, between_seeds - both / examples),
        examples=max(0.0, between_examples - both / seeds),
        both=both,
        shape=(seeds, examples),
    )
