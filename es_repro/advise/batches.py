"""Batches for as long as they are asked for, and what fetching them costs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from es_repro.selection import require

__all__ = ["Batches", "Clock", "Fetching", "drained", "synchronise", "walked"]

Batch = Any
Clock = Callable[[], float]


class Batches:
    """A loader's batches, epoch after epoch, without the last of each: it may be short.

    Args:
        loader: anything that can be iterated again and again.
        rounds: batches that an epoch must have.
        clock: seconds.

    Attributes:
        workers: processes that fetch beside the loop; 0: the loop's own does, or nobody says.
        steady: whether the batch fetched last came at the loader's own pace: neither at the start
            of an epoch nor out of what its workers had fetched ahead.
        seconds: how long the last fetch took.

    Raises:
        ValueError: the loader is used up by one pass, or has too few batches; from `fetch`.
    """

    def __init__(self, loader: Iterable[Batch], rounds: int, clock: Clock) -> None:
        require(iter(loader) is not loader, "loader", type(loader).__name__, "iterable repeatedly")
        self._loader, self._rounds, self._clock = loader, rounds, clock
        self.workers: int = getattr(loader, "num_workers", 0)
        ahead = self.workers * (getattr(loader, "prefetch_factor", None) or 2)
        self._ahead = min(ahead, rounds // 2)
        self._batches = self._endless()
        self._fetched = 0  # at one pace
        self.seconds = 0.0

    @property
    def steady(self) -> bool:
        return self._fetched > self._ahead + 1

    def fetch(self) -> Batch:
        """The next batch."""
        start = self._clock()
        batch = next(self._batches)
        self.seconds = self._clock() - start
        self._fetched += 1
        return batch

    def change_pace(self) -> None:
        """From here on batches are used up faster or slower than before."""
        self._fetched = 0

    def close(self) -> None:
        """Let the loader's workers go."""
        self._batches.close()  # type: ignore[attr-defined]  # a generator

    def _endless(self) -> Iterator[Batch]:
        while True:
            found, held = 0, None
            for batch in self._loader:
                if found == 1:
                    self._fetched = 0
                if found:
                    yield held
                held = batch
                found += 1
            if not found:
                raise ValueError("loader: must hold batches; it is empty")
            allowed = f"at most {found}, the batches that the loader has in an epoch"
            require(found >= self._rounds, "rounds", self._rounds, allowed)


@dataclass(frozen=True)
class Fetching:
    """Means over the batches, in seconds.

    Attributes:
        alone: a batch, when nothing but the loader runs: its throughput.
        loop: a whole step of the loop, its batch fetched and trained on.
        wait: of it, what the loop waited for the batch, by the host's clock.
        workers: processes that fetch.
    """

    alone: float
    loop: float
    wait: float
    workers: int

    @property
    def work(self) -> float:
        """Seconds that fetching a batch keeps processors busy, at most."""
        return self.alone * max(1, self.workers)


def drained(batches: Batches, rounds: int) -> float:
    """Seconds a batch when nothing is done with them."""
    spent: list[float] = []
    batches.change_pace()
    while len(spent) < rounds:
        batches.fetch()
        if batches.steady:
            spent.append(batches.seconds)
    return sum(spent) / rounds


def walked(
    batches: Batches,
    train: Callable[[Batch], object],
    rounds: int,
    device: torch.device,
    clock: Clock,
) -> tuple[float, float]:
    """Seconds of whole steps of the loop and, of them, of waiting for their batches; both summed.

    Inside, nothing waits for the device but what the loop itself does.
    """
    spent = waited = 0.0
    counted = 0
    batches.change_pace()
    while counted < rounds:
        start = clock()
        batch = batches.fetch()
        train(batch)
        if batches.steady:
            spent += clock() - start
            waited += batches.seconds
            counted += 1
        else:
            synchronise(device)
    start = clock()
    synchronise(device)
    return spent + clock() - start, waited


def synchronise(device: torch.device) -> None:
    """Wait for the device, where there is one to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
