"""The bootstrap over seeds, and over seeds and test examples.

Resampling both ways keeps both reasons for chance: another seed would have trained another net,
another draw of test examples would have asked other questions. The two-way ("pigeonhole") form is
a little wide and never too narrow on the average (Owen 2007).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["resampled_means"]

_BLOCK = 128  # replicates whose counts of examples are in memory at once


def resampled_means(
    arms: Sequence[ArrayLike], *, replicates: int = 2000, paired: bool = True, seed: int = 0
) -> np.ndarray:
    """The arms' means under resampling [arms, replicates], float64.

    Args:
        arms: each [seeds] (a value a run) or [seeds, examples] (correctness of each test example;
            the same examples in every such arm, resampled together).
        replicates: number of resamples.
        paired: whether position s is the same seed in every arm: then seeds, too, are resampled
            together. Arms of other lengths cannot be.
        seed: of the resampling.

    Raises:
        ValueError: arms that do not fit together.
    """
    values = [
        np.asarray(arm, dtype=np.float64 if np.ndim(arm) == 1 else np.float32) for arm in arms
    ]
    if any(arm.ndim not in (1, 2) or arm.size == 0 for arm in values):
        raise ValueError("arms: must each be [seeds] or [seeds, examples], not empty")
    if paired and len({len(arm) for arm in values}) != 1:
        raise ValueError(
            f"arms of {[len(arm) for arm in values]} seeds: must be equally many where paired"
        )
    widths = {arm.shape[1] for arm in values if arm.ndim == 2}
    if len(widths) > 1:
        raise ValueError(f"arms of {sorted(widths)} examples: must be the same examples")
    generator = np.random.default_rng(seed)
    shared = _shares(generator, len(values[0]), replicates)
    seeds = [shared if paired else _shares(generator, len(arm), replicates) for arm in values]
    means = np.empty((len(values), replicates))
    for start in range(0, replicates, _BLOCK):
        block = slice(start, min(start + _BLOCK, replicates))
        examples = None
        if widths:
            examples = _shares(generator, max(widths), block.stop - start).astype(np.float32)
        for row, (arm, share) in enumerate(zip(values, seeds, strict=True)):
            run_means = (
                arm[:, None] if examples is None or arm.ndim == 1 else np.matmul(arm, examples.T)
            )
            means[row, block] = (share[block].T * run_means).sum(axis=0)
    return means


def _array(arm: ArrayLike) -> np.ndarray:
    """Float64; correctness in float32, which its large products take and zeros and ones allow."""
    return np.asarray(arm, dtype=np.float64 if np.ndim(arm) == 1 else np.float32)


def _shares(generator: np.random.Generator, n: int, replicates: int) -> np.ndarray:
    """Weights of n things in each resample [replicates, n], rows of sum 1."""
    return generator.multinomial(n, np.full(n, 1 / n), size=replicates) / n
