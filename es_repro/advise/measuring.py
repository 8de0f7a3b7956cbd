"""The parts of a user's loop, timed in turn on the same batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from es_repro.advise.batches import Batches, Clock, Fetching, drained, synchronise, walked
from es_repro.advise.loop import Loop
from es_repro.selection import count, stream

__all__ = ["Measured", "measure"]

Batch = Any
Show = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Measured:
    """What 30 rounds said; tensors [rounds] hold seconds, one round a batch.

    Attributes:
        train: forward, backward and update on all rows.
        score: forward without gradient on all rows.
        some: the same as `train` on the rows of a batch ratio, gathering them included.
        selecting: scoring all rows, then training on those, as one piece of work.
        fetching: what the batches cost.
        memory: peak bytes on CUDA of a step on all rows (key 1.0) and of selecting ones, by ratio.
    """

    train: Tensor
    score: Tensor
    some: dict[float, Tensor]
    selecting: dict[float, Tensor]
    fetching: Fetching
    memory: dict[float, int] | None

    @property
    def beside(self) -> float:
        """Seconds that a batch costs beside its step: waited for, or taken from it by workers."""
        lost = self.fetching.loop - float(self.train.mean())
        if self.memory is not None:  # what the host waits for may cost the device nothing
            return max(lost, 0.0)
        # A machine that was faster in one part of the measurement than in another is no cost of
        # the batches: they take no more than the work of fetching them.
        return max(min(lost, self.fetching.work), self.fetching.wait)

    def periods(self, step: Tensor, share: float = 1.0) -> Tensor:
        """Seconds [rounds] from one step of a loop to the next.

        A batch costs what it costs beside the step, however short that is, and no loop is faster
        than its loader.

        Args:
            step: seconds [rounds] of the steps alone.
            share: of a whole batch's rows that the loader fetches for each.
        """
        return (step + share * self.beside).clamp(min=share * self.fetching.alone)


def measure(
    loop: Loop,
    batches: Batches,
    ratios: Sequence[float],
    *,
    rounds: int,
    warmup: int,
    device: torch.device,
    clock: Clock,
    show: Show,
) -> Measured:
    """Time the loader, the loop as it is, and the pieces of work that selection is made of.

    Args:
        loop: the user's.
        batches: of its loader.
        ratios: b/B.
        rounds: of every piece.
        warmup: rounds before them.
        device: where the losses live.
        clock: seconds.
        show: called with the share done and what is being timed.
    """
    work = _work(loop, ratios)
    for _ in range(warmup):  # before any clock runs: what compiles or allocates does it here
        _round(work, batches.fetch(), loop, ratios, device, clock)
    show(0.1, "the loader alone")
    alone = drained(batches, rounds)
    first = rounds // 2  # half of the loop's steps before the pieces, half after: drift cancels
    halves = []
    show(0.2, "the loop as it is")
    halves.append(walked(batches, loop.train, first, device, clock))
    seconds = torch.zeros(rounds, len(work), dtype=torch.float64)
    for number in range(rounds):
        show(0.3 + 0.6 * number / rounds, "its parts")
        batch = batches.fetch()
        seconds[number] = _round(work, batch, loop, ratios, device, clock, number % 2 == 1)
    show(0.9, "the loop as it is")
    halves.append(walked(batches, loop.train, rounds - first, device, clock))
    spent, waited = (sum(half) / rounds for half in zip(*halves, strict=True))
    train, score, *rest = seconds.unbind(1)
    return Measured(
        train=train,
        score=score,
        some=dict(zip(ratios, rest[: len(ratios)], strict=True)),
        selecting=dict(zip(ratios, rest[len(ratios) :], strict=True)),
        fetching=Fetching(alone, spent, waited, batches.workers),
        memory=_peaks(work, batches.fetch(), loop, ratios, device),
    )


Piece = Callable[[Batch, dict[float, Tensor]], object]


def _work(loop: Loop, ratios: Sequence[float]) -> list[Piece]:
    """All rows; scoring; some rows by ratio; scoring and some rows by ratio."""

    def some(ratio: float, batch: Batch, picked: dict[float, Tensor]) -> None:
        loop.train(loop.take(batch, picked[ratio]))

    def selecting(ratio: float, batch: Batch, picked: dict[float, Tensor]) -> None:
        loop.score(batch)
        some(ratio, batch, picked)

    return [
        lambda batch, _: loop.train(batch),
        lambda batch, _: loop.score(batch),
        *(partial(some, ratio) for ratio in ratios),
        *(partial(selecting, ratio) for ratio in ratios),
    ]


def _round(
    work: Sequence[Piece],
    batch: Batch,
    loop: Loop,
    ratios: Sequence[float],
    device: torch.device,
    clock: Clock,
    reverse: bool = False,
) -> Tensor:
    """Seconds of every piece of work on one batch, the device waited for around each.

    Each is done twice and the second time counts: in a loop of its own the step before is of the
    same kind, and leaves caches and the allocator as that kind leaves them.
    """
    picked = _picked(len(loop.score(batch)), ratios, device)
    seconds = torch.zeros(len(work), dtype=torch.float64)
    order = range(len(work))
    for number in reversed(order) if reverse else order:
        work[number](batch, picked)
        synchronise(device)
        start = clock()
        work[number](batch, picked)
        synchronise(device)
        seconds[number] = clock() - start
    return seconds


def _picked(m: int, ratios: Sequence[float], device: torch.device) -> dict[float, Tensor]:
    """Any b rows of m by ratio: which they are does not matter to the clock."""
    order = torch.randperm(m, generator=stream(0, "advise", 0))
    return {ratio: order[: count(ratio, m)].sort().values.to(device) for ratio in ratios}


def _peaks(
    work: Sequence[Piece], batch: Batch, loop: Loop, ratios: Sequence[float], device: torch.device
) -> dict[float, int] | None:
    if device.type != "cuda":
        return None
    picked = _picked(len(loop.score(batch)), ratios, device)
    pieces = {1.0: work[0]} | dict(zip(ratios, work[2 + len(ratios) :], strict=True))
    found = {}
    for ratio, piece in pieces.items():
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        piece(batch, picked)
        torch.cuda.synchronize(device)
        found[ratio] = torch.cuda.max_memory_allocated(device)
    return found
