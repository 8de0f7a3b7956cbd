"""The selection of one meta-batch alone: score update and weighted draw, in microseconds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from es_repro.bench.ratios import Estimate, estimate
from es_repro.bench.stepping import paired_seconds
from es_repro.selection import count, create, stream

__all__ = ["Draw", "measure_draws"]

NUM_SAMPLES = 50_000  # of the table that is updated
BATCH_RATIO = 0.25  # Sec. 4.1
CALLS = 20  # a measured piece: one call alone is near the clock's own cost


@dataclass(frozen=True)
class Draw:
    """One size of meta-batch.

    Attributes:
        meta_batch_size: B; a quarter is drawn.
        seconds: of ES's `select`: update of s and w, weighted draw.
        multinomial_seconds: of the same update and torch.multinomial.
        ratio: the one over the other, in pairs.
    """

    meta_batch_size: int
    seconds: float
    multinomial_seconds: float
    ratio: Estimate


def measure_draws(
    sizes: list[int],
    pairs: int,
    device: torch.device,
    show: Callable[[float, str], None] = lambda *_: None,
) -> list[Draw]:
    """Time `select` of ES beside the same with torch.multinomial, for each meta-batch size."""
    found = []
    for number, size in enumerate(sizes):
        show(number / len(sizes), f"drawing from B = {size}")
        found.append(_measure(size, pairs, device))
    return found


def _measure(size: int, pairs: int, device: torch.device) -> Draw:
    generator = stream(0, "made batches", size)
    index = torch.randperm(max(NUM_SAMPLES, size), generator=generator)[:size].to(device)
    losses = torch.rand(size, generator=generator).to(device)
    ours, theirs = (
        create("es", max(NUM_SAMPLES, size), 20, device=device, batch_ratio=BATCH_RATIO)
        for _ in range(2)
    )
    ours.plan_epoch(2)  # annealing is over
    theirs.plan_epoch(2)
    weights, kept = theirs.weights, count(BATCH_RATIO, size)
    assert weights is not None

    def select() -> None:
        for _ in range(CALLS):
            ours.select(index, losses)

    def update_and_multinomial() -> None:
        for _ in range(CALLS):
            theirs.observe(index, losses)
            drawn = weights.index_select(0, index)
            torch.multinomial(drawn, kept, generator=theirs.select_stream).sort()

    seconds = paired_seconds([select, update_and_multinomial], pairs, 2, device) / CALLS
    middle = np.median(seconds, axis=0)
    ratio = estimate(seconds[:, 0] / seconds[:, 1])
    return Draw(size, float(middle[0]), float(middle[1]), ratio)
