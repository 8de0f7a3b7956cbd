"""What a selector does, seen from outside: a whole run of it on losses that are made up.

A sample's loss falls with each visit of its own and, half as fast, with the visits of the others;
96 samples differ in how hard they are, from id 0, the easiest, to id 95. The plans, the picks and
the tables are the selector's own.
"""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from es_repro.selection import PlannedBatchSampler, Selector, create

__all__ = ["EPOCHS", "META_BATCH", "SAMPLES", "Trace", "trace"]

SAMPLES, EPOCHS, META_BATCH = 96, 20, 24
_NOISE, _FLOOR = 0.2, 0.02


@dataclass(frozen=True)
class Trace:
    """A run of a method.

    Attributes:
        visits: a line an epoch and sample: loss, planned, trained, rescored, and the tables.
        tables: names of the columns that are tables of the method's.
        selecting: a line an epoch: whether it left anything out.
    """

    visits: pd.DataFrame
    tables: tuple[str, ...]
    selecting: "pd.Series[bool]"


class _Losses:
    """The made-up losses; `trained` says which samples a step was taken on."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)
        hardness = torch.linspace(0, 1, SAMPLES)
        self._start = 1.2 + 1.6 * hardness
        self._rate = 0.42 * (1 - hardness) ** 1.5 + 0.03
        self._own = torch.zeros(SAMPLES)

    def now(self) -> Tensor:
        """The losses as they are, [n], noise included."""
        learned = self._own + 0.5 * self._own.mean()
        noise = 1 + _NOISE * torch.randn(SAMPLES, generator=self._generator)
        return (self._start * (-self._rate * learned).exp() * noise).clamp(min=0) + _FLOOR

    def trained(self, index: Tensor) -> None:
        self._own[index] += 1


def trace(name: str, **hyperparameters: object) -> Trace:
    """Run a method over all epochs.

    Args:
        name: as `create` takes it.
        **hyperparameters: likewise.
    """
    selector = create(name, SAMPLES, EPOCHS, **hyperparameters)
    batches = PlannedBatchSampler(selector, META_BATCH)
    losses, frames = _Losses(), []
    for epoch in range(EPOCHS):
        frames.append(_epoch(selector, batches, losses, epoch))
    visits = pd.concat(frames, ignore_index=True)
    whole = visits.groupby("epoch")["trained"].all()
    return Trace(visits, tuple(_tables(selector)), ~whole)


def _epoch(
    selector: Selector, batches: PlannedBatchSampler, made: _Losses, epoch: int
) -> pd.DataFrame:
    batches.set_epoch(epoch)
    assert batches.plan is not None  # set_epoch has planned
    rescored = batches.plan.refresh
    planned = batches.plan.indices
    trained = torch.zeros(SAMPLES, dtype=torch.bool)
    seen = made.now()
    for ids in batches:
        index, now = torch.tensor(ids), made.now()
        seen[index] = now[index]
        picked = torch.arange(len(index))
        if selector.selects_batches:
            picked = selector.select(index, now[index], **_signals(selector, now[index]))
        else:
            selector.observe(index, now[index], **_signals(selector, now[index]))
        trained[index[picked]] = True
        made.trained(index[picked])
    if rescored is not None:
        now = made.now()[rescored]
        selector.observe(rescored, now, **_signals(selector, now))
    return pd.DataFrame({
        "epoch": epoch, "sample": range(SAMPLES), "loss": seen.numpy(),
        "planned": _marked(planned), "trained": trained.numpy(),
        "rescored": _marked(torch.empty(0, dtype=torch.int64) if rescored is None else rescored),
        **{name: table.numpy() for name, table in _tables(selector).items()},
    })  # fmt: skip


def _signals(selector: Selector, losses: Tensor) -> dict[str, Tensor]:
    """A right prediction is one that has more than half of the probability: loss < ln 2."""
    known = {"confidence": (-losses).exp(), "correct": losses < 0.6931}
    return {name: known[name] for name in selector.signals}


def _tables(selector: Selector) -> dict[str, Tensor]:
    """The method's float tables of one value a sample, by name."""
    tensors = selector.state_dict()["tensors"]
    return {
        name: table
        for name, table in tensors.items()
        if table.shape == (SAMPLES,) and table.is_floating_point() and "/" not in name
    }


def _marked(ids: Tensor) -> list[bool]:
    marks = torch.zeros(SAMPLES, dtype=torch.bool)
    marks[ids] = True
    return [bool(mark) for mark in marks.tolist()]
