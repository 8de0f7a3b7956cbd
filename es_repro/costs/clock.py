"""Where the time of training goes: wall-clock alone, and by phase, without waiting in a step."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["PHASES", "Clock"]

PHASES = ("data", "scoring", "selection", "training", "evaluation")

T = TypeVar("T")


class Clock:
    """Times phases by the host's clock on a CPU and by events in the stream on CUDA.

    `running()` brackets training alone: everything between its two ends counts, so that nothing a
    step does can hide between two phases; the device is waited for at its ends only. Phases outside
    it (evaluation) are read at `settle`.

    Args:
        device: where the work runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.train_seconds = 0.0
        self._cuda = device.type == "cuda"
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._started = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time inside as training, also when it ends in an exception."""
        self._start()
        try:
            yield
        finally:
            self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inside `running()`: leave out a checkpoint, say; all seconds are settled meanwhile."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside as the phase `name`, one of `PHASES`."""
        if self._cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._events.append((name, begin, end))
        else:
            start = time.perf_counter()
            yield
            self.seconds[name] += time.perf_counter() - start

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`, counting the time spent to get each as the phase `name`."""
        iterator = iter(items)
        while True:
            with self.phase(name):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def state_dict(self) -> dict[str, float]:
        """Seconds so far; call it paused or stopped, when every event has been read."""
        return {"train": self.train_seconds, **self.seconds}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from the seconds of an interrupted run."""
        self.train_seconds = state["train"]
        self.seconds = {name: state[name] for name in PHASES}

    def settle(self) -> None:
        """Read the events that are still pending; waits for the device."""
        if not self._cuda:
            return
        torch.cuda.synchronize()
        for name, begin, end in self._events:
            self.seconds[name] += begin.elapsed_time(end) / 1000
        self._events.clear()

    def _start(self) -> None:
        self.settle()
        self._started = time.perf_counter()

    def _stop(self) -> None:
        self.settle()
        self.train_seconds += time.perf_counter() - self._started
