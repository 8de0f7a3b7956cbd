"""Steps of two runs, interleaved in one process: the only comparison of speed that we trust."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from es_repro.engine import Engine
from es_repro.rows import Batch

__all__ = ["Stepper", "paired_seconds"]


class Stepper:
    """Takes the engine's own whole steps, data included, in an epoch of a given kind.

    Args:
        engine: of a run; nothing of it is recorded.
        epoch: whose plan decides the kind: selecting or not, and its batch size.

    Attributes:
        selecting: whether a scoring pass goes before each step.
        phases: seconds by phase of every step taken, in their order.
    """

    def __init__(self, engine: Engine, epoch: int) -> None:
        engine.epoch, engine.position = epoch, 0
        engine.warm_up()  # plans the epoch too
        self.engine = engine
        self.selecting = engine.selector.selects_batches
        self.phases: list[dict[str, float]] = []
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
        engine, before = self.engine, dict(self.engine.clock.seconds)
        # More steps than an epoch has must not run out of the schedule.
        engine.position %= max(1, len(engine.loader))
        with engine.clock.running():
            with engine.clock.phase("data"):
                batch = next(self._batches)
            lr_scale = engine.loader.plan.lr_scale
            engine.train_step(batch, selecting=self.selecting, lr_scale=lr_scale)
        engine.interval.clear()  # nobody reads it
        after = engine.clock.seconds
        self.phases.append({name: after[name] - before[name] for name in after})

    def score(self) -> None:
        """Fetch and score a meta-batch, as a re-scoring of hidden samples does."""
        index, inputs, targets = next(self._batches)
        seen = self.engine.score(inputs, targets)
        self.engine.selector.observe(index, seen.scores, **seen.signals)


def paired_seconds(
    work: Sequence[Callable[[], object]], pairs: int, warmup: int, device: torch.device
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
