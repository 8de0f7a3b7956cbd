"""The passes of a run taken once beforehand, so that no clock sees compilation and allocation."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from es_repro.passes import preserved_buffers
from es_repro.process.generators import isolated_generators
from es_repro.rows import take_rows
from es_repro.selection import count

if TYPE_CHECKING:  # it rehearses its own passes
    from es_repro.engine import Engine

__all__ = ["rehearse"]


def rehearse(engine: "Engine") -> float:
    """One training pass over a whole meta-batch, and a selecting epoch's two; nothing is kept.

    Parameters, buffers, generators, tables and counts come out as they were.

    Returns:
        Seconds it took, compilation included.
    """
    started = time.perf_counter()
    engine.loader.set_epoch(engine.epoch)
    index = engine.loader.sampler.indices[: engine.loader.sampler.rank_batch_size]
    cost = engine.cost
    index, inputs, targets = next(iter(engine.loader.visit(index, len(index))))
    few = torch.arange(count(engine.selector.batch_ratio or 1.0, len(index)), device=index.device)
    pieces = engine.settings.score_micro_batch, engine.settings.micro_batch_size
    engine.compiler.fix_sizes([len(index), len(few), *pieces])
    engine.cost = replace(cost)
    with preserved_buffers(engine.net), isolated_generators(engine.fabric.device):
        with engine.memory.step(engine.net, selecting=False):
            engine.train_batch(index, inputs, targets, False)
        if len(few) < len(index):
            if engine.selector.needs_losses:
                engine.score(inputs, targets)
            with engine.memory.step(engine.net, selecting=True):
                engine.train_batch(index[few], take_rows(inputs, few), targets[few], True)
    engine.optimizer.zero_grad(set_to_none=True)
    engine.cost = cost
    if engine.fabric.device.type == "cuda":
        torch.cuda.synchronize(engine.fabric.device)
    return time.perf_counter() - started
