"""What is trained on and measured on: one split of a workload, as tensors."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from es_repro.judge.perceptrons import Perceptrons

__all__ = ["VALIDATION", "Problem", "SplitName"]

SplitName = Literal["test", "validation"]
VALIDATION = 0.2  # of the training split: 287 digits tell rates apart, 143 hardly do
EVALUATION_ROWS = 2**18  # of all members together, held at once


@dataclass(frozen=True, eq=False)
class Problem:
    """One split of a workload, as tensors on one device.

    Attributes:
        inputs: [n, d] float32, the rows that have ids 0..n-1.
        targets: [n] int64.
        held_inputs, held_targets: never trained on.
        num_classes: C.
        optimum: parameters of the minimiser, layer by layer, where runs are measured by their
            distance to it; None: by accuracy on the held-out rows.
        note: what a reader must know of the files that it was read from.
    """

    inputs: Tensor
    targets: Tensor
    held_inputs: Tensor
    held_targets: Tensor
    num_classes: int
    optimum: Sequence[Tensor] | None = None
    note: str = ""

    @property
    def worst(self) -> float:
        """What a run that diverged scores on every example."""
        return 0.0 if self.optimum is None else 100.0

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that is trained and measured on."""
        digest = hashlib.sha256()
        tensors = (self.inputs, self.targets, self.held_inputs, self.held_targets)
        for tensor in (*tensors, *(self.optimum or ())):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        names = ("inputs", "targets", "held_inputs", "held_targets")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def rows(self, index: Tensor) -> Tensor:
        """Inputs [S, m, d] of ids [S, m]."""
        return self.inputs.index_select(0, index.flatten()).view(*index.shape, -1)

    @torch.no_grad()
    def measure(self, models: Perceptrons) -> np.ndarray:
        """The measure of each member: [S, held-out rows] of 0 and 100, or [S, 1] of distances.

        A distance is relative to that of the origin, in percent.
        """
        if self.optimum is not None:
            return _distances(models, self.optimum)
        size = max(1, EVALUATION_ROWS // len(models.parameters[0]))
        hits = [
            models(rows).argmax(2) == labels
            for rows, labels in zip(
                self.held_inputs.split(size), self.held_targets.split(size), strict=True
            )
        ]
        return torch.cat(hits, 1).float().mul_(100).cpu().numpy()


def _distances(models: Perceptrons, optimum: Sequence[Tensor]) -> np.ndarray:
    """[S, 1]: the distance of each member to the optimum, as a percentage of the origin's."""
    squares = torch.zeros(len(models.parameters[0]), device=models.parameters[0].device)
    for parameter, best in zip(models.parameters, optimum, strict=True):
        apart = parameter.flatten(1) - best.to(parameter.device).flatten()
        squares += apart.square().sum(1)
    size = torch.stack([best.square().sum() for best in optimum]).sum()
    return (100 * (squares / size.to(squares.device)).sqrt()).unsqueeze(1).cpu().numpy()
