"""Sizes, the weighted draw without replacement, and the k smallest of a table."""

import math

import torch
from torch import Tensor

from es_repro.selection.checks import require

__all__ = ["count", "draw", "draw_ids", "smallest"]

WEIGHT_FLOOR = 1e-12  # methods.md 1.3: zero weights come last, all-zero ones are uniform
EXPONENTIAL_FLOOR = 2.0**-25  # half the uniform's resolution: an exact 0 would always be drawn


def count(ratio: float, m: int) -> int:
    """How many of m a ratio stands for: rounded half up, at least 1, at most m.

    Source: methods.md 1.4.
    """
    return max(1, min(m, math.floor(ratio * m + 0.5)))


def draw(weights: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Draw k positions one after the other, each in proportion to the weights still in the pool.

    One exponential race: the k smallest of ``E_i / w_i`` with ``E_i ~ Exp(1)`` have exactly the law
    of sequential draws without replacement. Nothing here waits for the device.

    Args:
        weights: [m] float. Negative ones count as 0; 0 and NaN remain drawable, NaN last of all.
        k: how many, 1..m.
        generator: on the weights' device.

    Returns:
        [k] int64, distinct, ascending; 0..m-1 where k = m.

    Raises:
        ValueError: k is outside 1..m.

    Source: Efraimidis and Spirakis 2006; methods.md 1.3.
    """
    m = len(weights)
    if _takes_all(k, m):
        return torch.arange(m, device=weights.device)
    keys = _race(weights, generator)
    return keys.topk(k, largest=False, sorted=False).indices.sort().values


def draw_ids(weights: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """The same draw for a plan: on the CPU, for any n, at up to 28 bytes an id beside the weights.

    Args:
        weights: [n] float, CPU, as of `draw`.
        k: how many, 1..n.
        generator: on the CPU.

    Returns:
        [k] int64, distinct, ascending.

    Raises:
        ValueError: k is outside 1..n.
    """
    n = len(weights)
    return torch.arange(n) if _takes_all(k, n) else smallest(_race(weights, generator), k)


def smallest(values: Tensor, k: int) -> Tensor:
    """The ids of the k smallest values, ties by id: the first k of a stable sort, as a set.

    For plans alone: it runs on the CPU, waits, and takes n log n at worst.

    Args:
        values: [n] float, CPU, no NaN.
        k: how many, 0..n.

    Returns:
        [k] int64, ascending.
    """
    if k == 0:
        return torch.empty(0, dtype=torch.int64)
    # Not kthvalue: it is quadratic on descending values (400 ms for 160,000 of them).
    bound = values.topk(k, largest=False, sorted=False).values.max()
    chosen = values < bound
    ties = (values == bound).nonzero().squeeze(1)
    chosen[ties[: k - int(chosen.sum())]] = True
    return chosen.nonzero().squeeze(1)


def _takes_all(k: int, m: int) -> bool:
    require(1 <= k <= m, "k", k, f"in 1..{m}, the number of weights")
    return k == m


def _race(weights: Tensor, generator: torch.Generator) -> Tensor:
    """The arrival times E_i / w_i, float32: the first k to arrive are drawn."""
    keys = torch.empty(len(weights), device=weights.device).uniform_(generator=generator)
    # -log1p(-u) is a third of the cost of exponential_ (measured: methods.md 1.3).
    keys.neg_().log1p_().neg_().clamp_(min=EXPONENTIAL_FLOOR)
    keys.div_(weights.float().clamp(min=WEIGHT_FLOOR))
    return keys.nan_to_num_(nan=torch.inf, posinf=torch.inf)
