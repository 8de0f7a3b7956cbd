"""Draws of several arms' means as other seeds and other test examples would have given them.

Another seed would have trained another net, another draw of test examples would have asked other
questions. A table [seeds, examples] an arm splits into what a seed does, what an example does and
what the two do together (`two_way`); of several arms each part has a covariance, for they share
seeds and examples. With S seeds and X examples the means of the tables have the covariance
seeds/S + examples/X + both/(S X): that of the rows' means over S, and what the covariance of the
columns' means has beyond both/S, over X. The draws are normal of that covariance, and of as heavy
tails as the number of seeds asks for (t), around the means that were found.

The usual bootstrap over rows and columns would hold `both` three times (Owen 2007), and that is
most of the variance where nets are judged by hits and misses: its intervals are up to sqrt(3) wide.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["drawn_means"]


def drawn_means(
    arms: Sequence[ArrayLike], *, replicates: int = 2000, paired: bool = True, seed: int = 0
) -> np.ndarray:
    """The arms' means over other seeds and other examples [arms, replicates], float64.

    Any weighted sum of the arms follows the t distribution of its paired differences; examples add
    their normal part to it.

    Args:
        arms: all [seeds] (a value a run), or all [seeds, examples] (the same examples); two seeds
            or more.
        replicates: number of draws.
        paired: whether position s is the same seed in every arm; else the arms' seeds, which may
            be of unequal number, are independent.
        seed: of the draws.

    Raises:
        ValueError: arms that do not fit together.
    """
    tables = [_table(arm) for arm in arms]
    if paired and len({len(table) for table in tables}) != 1:
        lengths = [len(table) for table in tables]
        raise ValueError(f"arms of {lengths} seeds: must be equally many where paired")
    widths = {table.shape[1] for table in tables}
    if len(widths) != 1:
        raise ValueError(f"arms of {sorted(widths)} examples: must be the same examples")
    generator = np.random.default_rng(seed)
    means = np.array([table.mean() for table in tables])
    centred = [table - mean for table, mean in zip(tables, means, strict=True)]
    drawn = np.tile(means[:, None], replicates)
    if paired:
        drawn += _over_seeds([table.mean(1) for table in centred], generator, replicates)
    else:
        for place, table in enumerate(centred):
            drawn[place] += _over_seeds([table.mean(1)], generator, replicates)[0]
    if max(widths) > 1:
        covariance = _examples_covariance(centred, paired)
        drawn += _root(covariance) @ generator.standard_normal((len(tables), replicates))
    return drawn


def _table(arm: ArrayLike) -> np.ndarray:
    """[seeds, examples] float64, with one example where an arm has a value a run."""
    values = np.asarray(arm, dtype=np.float64)
    table = values[:, None] if values.ndim == 1 else values
    if table.ndim != 2 or len(table) < 2 or table.shape[1] < 1 or not np.isfinite(table).all():
        raise ValueError(
            f"arm of shape {values.shape}: must be [seeds] or [seeds, examples], finite, of two "
            "seeds or more"
        )
    return table


def _over_seeds(
    rows: Sequence[np.ndarray], generator: np.random.Generator, replicates: int
) -> np.ndarray:
    """[arms, replicates]: t of the covariance of the arms' runs, over their number.

    Args:
        rows: of each arm its runs' values about their mean [seeds].
        generator: of the draws.
        replicates: how many.
    """
    values = np.stack(rows)
    dof = values.shape[1] - 1
    normal = values @ generator.standard_normal((dof + 1, replicates)) / ((dof + 1) * dof) ** 0.5
    return normal / np.sqrt(generator.chisquare(dof, replicates) / dof)


def _examples_covariance(centred: Sequence[np.ndarray], paired: bool) -> np.ndarray:
    """[arms, arms]: what other examples add to the covariance of the means.

    Args:
        centred: tables [seeds, examples], each about its own mean.
        paired: arms share their seeds, so that `both` is common to them, too.
    """
    examples = centred[0].shape[1]
    columns = np.stack([table.mean(0) for table in centred])
    both_of_means = np.zeros((len(centred), len(centred)))
    for i, one in enumerate(centred):
        for j, other in enumerate(centred[: i + 1]):
            if i == j or paired:
                both_of_means[i, j] = both_of_means[j, i] = _both(one, other) / len(one)
    return (columns @ columns.T / (examples - 1) - both_of_means) / examples


def _both(one: np.ndarray, other: np.ndarray) -> float:
    """Covariance of what is particular to a seed and an example, of two centred tables."""
    seeds, examples = one.shape
    total = float(np.vdot(one, other))
    by_row = examples * float(one.mean(1) @ other.mean(1))
    by_column = seeds * float(one.mean(0) @ other.mean(0))
    return (total - by_row - by_column) / ((seeds - 1) * (examples - 1))


def _root(covariance: np.ndarray) -> np.ndarray:
    """A square root of a covariance; directions whose estimated variance is negative have none."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0))
    return root
