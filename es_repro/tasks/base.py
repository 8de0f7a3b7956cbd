"""The contract between a task and the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from es_repro.rows import Inputs

__all__ = ["Output", "Task"]


@dataclass(frozen=True)
class Output:
    """What a forward pass says about each row of a batch.

    Attributes:
        losses: [m] float32, with gradient where the pass has one.
        scores: [m] float32, detached: what selectors see as the loss of a row.
        signals: detached per-sample tensors [m, ...], only those that were asked for.
    """

    losses: Tensor
    scores: Tensor
    signals: Mapping[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def join(pieces: Sequence["Output"], order: Tensor | None = None) -> "Output":
        """Put the outputs of consecutive micro-batches together again.

        Args:
            pieces: at least one.
            order: [m] int64 on the CPU, in which the rows were cut; they come out as they were.
        """
        if len(pieces) == 1:
            return pieces[0]
        device = pieces[0].scores.device
        place = None if order is None else order.argsort().to(device, non_blocking=True)

        def whole(parts: list[Tensor]) -> Tensor:
            joined = torch.cat(parts)
            return joined if place is None else joined[place]

        return Output(
            whole([piece.losses for piece in pieces]),
            whole([piece.scores for piece in pieces]),
            {name: whole([p.signals[name] for p in pieces]) for name in pieces[0].signals},
        )


class Task(Protocol):
    """Turns a batch into per-sample losses; knows neither selection nor the loop."""

    signals: frozenset[str]
    """The signals this task can offer beside the losses."""

    headline: str
    """The metric that tables show: a key of `metrics`."""

    larger_is_better: bool
    """Whether a larger headline is the better one."""

    def __call__(
        self, model: nn.Module, inputs: Inputs, targets: Tensor, signals: frozenset[str]
    ) -> Output:
        """One forward pass over [m] rows, answering the signals that are asked for."""
        ...

    def metrics(self) -> MetricCollection:
        """Fresh metrics: `evaluate` feeds them, their `compute` answers one number each."""
        ...

    def evaluate(
        self,
        model: nn.Module,
        inputs: Inputs,
        targets: Tensor,
        metrics: MetricCollection,
        first: int,
    ) -> None:
        """Feed one evaluation batch to `metrics`, without gradient.

        Args:
            model: in eval mode.
            inputs: of m rows.
            targets: [m, ...].
            metrics: as `metrics` makes them.
            first: the place of the first of these rows in the evaluation split, of whose batches
                each rank gets some.
        """
        ...
