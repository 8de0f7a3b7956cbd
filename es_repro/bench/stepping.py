"""Steps of two runs, interleaved in one process: the only comparison of speed that we trust."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from es_repro.engine import Engine
from es_repro.rows import Batch

__all__ = ["Stepper", "paired_seconds", "quantiles"]


class Stepper:
    """Takes the engine's own whole steps, data included, in an epoch of a given kind.

    Args:
        engine: of a run; nothing of it is recorded.
        epoch: whose plan decides the kind: selecting or not, and its batch size.
    """

    def __init__(self, engine: Engine, epoch: int) -> None:
        engine.epoch = epoch
        engine.warm_up()
        self.engine = engine
        self.selecting = engine.selector.selects_batches
        self._batches = self._full_batches()

    def _full_batches(self) -> Iterator[Batch]:
        while True:
            found = False
            for batch in self.engine.loader.batches():
                if len(batch[0]) == self.engine.loader.sampler.batch_size or not found:
                    found = True
                    yield batch

    def step(self) -> None:
        """One step: fetch a meta-batch, score and select if the epoch does, train."""
        plan = self.engine.loader.plan
        batch = next(self._batches)
        self.engine.train_step(batch, selecting=self.selecting, lr_scale=plan.lr_scale)
        self.engine.interval.clear()  # nobody reads it

    def score(self) -> None:
        """One scoring pass over a meta-batch, as a re-scoring of hidden samples makes it."""
        _, inputs, targets = next(self._batches)
        self.engine.score(inputs, targets)


def paired_seconds(
    work: Sequence[Callable[[], None]], pairs: int, warmup: int, device: torch.device
) -> np.ndarray:
    """Seconds [pairs, len(work)] of each piece of work, in turn, the order reversed each time.

    On CUDA the device is waited for around every piece, so that each second is its own.
    """
    seconds = np.zeros((pairs, len(work)))
    for trial in range(-warmup, pairs):
        order = range(len(work)) if trial % 2 == 0 else reversed(range(len(work)))
        for number in order:
            if device.type == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            work[number]()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if trial >= 0:
                seconds[trial, number] = time.perf_counter() - start
    return seconds


def quantiles(values: np.ndarray, low: float = 0.025, high: float = 0.975) -> tuple[float, float]:
    """Two quantiles of a sample, as plain numbers."""
    return float(np.quantile(values, low)), float(np.quantile(values, high))
