"""Sizes, the weighted draw without replacement, and the k smallest of a table."""

import math

import torch
from torch import Tensor

from es_repro.selection.checks import require
from es_repro.selection.streams import stream

__all__ = ["count", "draw", "draw_ids", "smallest"]

WEIGHT_FLOOR = 1e-12  # methods.md 1.3: zero weights come last, all-zero ones are uniform
EXPONENTIAL_FLOOR = 2.0**-25  # half the uniform's resolution: an exact 0 would always be drawn
PIECE = 24_576  # values of a plan worked on at a time: in the cache, and too few to wake threads
SAMPLE = 2**16  # values that say about where the k-th smallest lies
SIGMAS = 6  # of that sample's rank: outside it one time in 5e8, and then all values are looked at


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
    """The same draw for a plan: on the CPU, for any n, at about 15 bytes an id beside the weights.

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
    if _takes_all(k, n):
        return torch.arange(n)
    keys = torch.empty(n).uniform_(generator=generator)
    for some_keys, some_weights in zip(
        torch.split(keys, PIECE), torch.split(weights, PIECE), strict=True
    ):
        _arrive(some_keys, some_weights)
    return smallest(keys, k)


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
    bound = _kth_smallest(values, k)
    chosen = values < bound
    ties = (values == bound).nonzero().squeeze(1)
    chosen[ties[: k - int(chosen.sum())]] = True
    return chosen.nonzero().squeeze(1)


def _kth_smallest(values: Tensor, k: int) -> Tensor:
    """The k-th smallest value, []: sought among the few that a random sample says it may be."""
    n = len(values)
    if n <= 4 * SAMPLE:
        return _largest_of_smallest(values, k)
    places = torch.randint(n, (SAMPLE,), generator=stream(0, "sample", 0))
    sample = values[places].sort().values
    share = k / n
    slack = SIGMAS * math.sqrt(share * (1 - share) / SAMPLE) + 1 / SAMPLE
    first, last = (math.floor((share + side * slack) * SAMPLE) for side in (-1, 1))
    low = sample[first] if first > 0 else values.new_tensor(-math.inf)
    high = sample[last] if last < SAMPLE else values.new_tensor(math.inf)
    below, near = 0, []
    for piece in torch.split(values, PIECE):
        under = piece < low
        below += int(under.sum())
        near.append(piece[(piece <= high).logical_xor_(under)])  # low <= value <= high
    candidates = torch.cat(near)
    if not below < k <= below + len(candidates):
        return _largest_of_smallest(values, k)
    return _largest_of_smallest(candidates, k - below)


def _largest_of_smallest(values: Tensor, k: int) -> Tensor:
    # Not kthvalue: it is quadratic on descending values (400 ms for 160,000 of them).
    return values.topk(k, largest=False, sorted=False).values.max()


def _takes_all(k: int, m: int) -> bool:
    require(1 <= k <= m, "k", k, f"in 1..{m}, the number of weights")
    return k == m


def _race(weights: Tensor, generator: torch.Generator) -> Tensor:
    """The arrival times E_i / w_i, float32: the first k to arrive are drawn."""
    keys = torch.empty(len(weights), device=weights.device).uniform_(generator=generator)
    return _arrive(keys, weights)


def _arrive(uniform: Tensor, weights: Tensor) -> Tensor:
    """The same from uniform numbers in [0, 1), in their place."""
    # -log1p(-u) is a third of the cost of exponential_ (measured: methods.md 1.3).
    uniform.neg_().log1p_().neg_().clamp_(min=EXPONENTIAL_FLOOR)
    uniform.div_(weights.float().clamp(min=WEIGHT_FLOOR))
    return uniform.nan_to_num_(nan=torch.inf, posinf=torch.inf)
