"""What a run has spent, said and picked, counted without waiting for the device."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from es_repro.data import Loader
from es_repro.parallel.ranks import Ranks
from es_repro.selection import EpochPlan

__all__ = ["Cost", "Interval", "Picks", "effective_sample_size", "midranks"]


@dataclass
class Cost:
    """The counted axes of cost; host integers, since every count is known from shapes alone.

    Attributes:
        optimizer_steps: updates of the parameters.
        selecting_steps: those of them that followed a scoring pass.
        scoring_passes: forward passes without gradient, a micro-batch each; ranks take theirs at
            the same time, which counts once.
        backward_passes: forward and backward passes, likewise.
        forward_samples: rows through any forward pass, scoring and re-scoring included.
        bp_samples: rows back-propagated.
        flops: of the model; a backward pass counts as two forward passes.
    """

    optimizer_steps: int = 0
    selecting_steps: int = 0
    scoring_passes: int = 0
    backward_passes: int = 0
    forward_samples: int = 0
    bp_samples: int = 0
    flops: int = 0

    def over(self, ranks: Ranks) -> "Cost":
        """The counts of all ranks: their steps and passes are the same, their rows are not."""
        counts = ranks.total(self.forward_samples, self.bp_samples, self.flops)
        names = ("forward_samples", "bp_samples", "flops")
        return replace(self, **dict(zip(names, counts, strict=True)))

    def state_dict(self) -> dict[str, int]:
        """The counts, by name."""
        return asdict(self)


class Interval:
    """What each step since the last look said, kept on the device and read at once.

    Args:
        size: the most steps between two looks.
        device: where they were computed.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.length = 0
        self._numbers = torch.zeros(size, 2, device=device)

    def add(self, objective: Tensor, meta_loss: Tensor) -> None:
        """Keep the two numbers [] of a step."""
        self._numbers[self.length, 0] = objective
        self._numbers[self.length, 1] = meta_loss
        self.length += 1

    def read(self, ranks: Ranks) -> tuple[np.ndarray, np.ndarray]:
        """Objectives and meta-batch losses of the steps, oldest first; waits, and starts anew.

        Means over the ranks: each has as many rows in a step, and one's NaN is everyone's.
        """
        objectives, losses = ranks.mean(self._numbers[: self.length]).T.cpu().numpy().copy()
        self.clear()
        return objectives, losses

    def clear(self) -> None:
        """Forget the steps so far."""
        self.length = 0


class Picks:
    """How often each sample was back-propagated, in this epoch and in all.

    Args:
        loader: says which classes samples have, where there are classes, how long they are, where
            they have lengths, and which have a wrong label, where there is label noise.
        ranks: on whose device the counts live; nothing is read from there before
            `epoch_summary`. Each rank counts its own rows until then.

    Attributes:
        rows: rows of each training pass of this epoch, on this rank.
    """

    def __init__(self, loader: Loader, ranks: Ranks) -> None:
        device = ranks.device
        self._labels, self._ranks = loader.labels, ranks
        lengths: Tensor | None = getattr(loader, "lengths", None)
        self._length_ranks = None if lengths is None else midranks(lengths)
        self._corrupted: Tensor | None = getattr(loader, "corrupted", None)
        self._epoch = torch.zeros(loader.num_samples, dtype=torch.int32, device=device)
        self._total = torch.zeros_like(self._epoch)
        self._planned = torch.zeros_like(self._epoch)  # how often, where there is label noise
        self._one = torch.ones(1, dtype=torch.int32, device=device)
        self.rows: list[int] = []

    def add(self, index: Tensor) -> None:
        """Count the rows [m] of one training pass."""
        self._epoch.index_add_(0, index, self._one.expand(len(index)))
        self.rows.append(len(index))

    def trained(self) -> Tensor:
        """[n] bool: the samples back-propagated in this epoch, on any rank; called by all."""
        return self._ranks.sum(self._epoch) > 0

    def epoch_summary(self, plan: EpochPlan) -> dict[str, float | list[int]]:
        """Close the epoch: never-picked share and, where there are such, by class and length.

        `selection/length_correlation` is Spearman's, between a sample's length and whether it was
        picked; absent where all samples were, or none.
        """
        epoch = self._ranks.sum(self._epoch)
        self._total += epoch
        found: dict[str, float | list[int]] = {
            "selection/never_picked": (self._total == 0).float().mean().item(),
            "selection/distinct": int((epoch > 0).sum().item()),
        }
        if self._labels is not None:
            counts = torch.bincount(self._labels, weights=epoch.double())
            found["selection/class_counts"] = [int(count) for count in counts.tolist()]
        if self._length_ranks is not None:
            picked = (epoch > 0).to(self._length_ranks.dtype)
            correlation = float(torch.corrcoef(torch.stack([self._length_ranks, picked]))[0, 1])
            if math.isfinite(correlation):
                found["selection/length_correlation"] = correlation
        if self._corrupted is not None:
            planned = torch.zeros_like(epoch)
            planned[plan.indices.to(epoch.device)] = 1
            self._planned += planned
            found |= self._noise(planned, epoch)
        self._epoch.zero_()
        self.rows.clear()
        return found

    def summary(self) -> dict[str, float]:
        """The shares of wrong labels over all epochs so far; nothing without label noise."""
        return {} if self._corrupted is None else self._noise(self._planned, self._total)

    def _noise(self, planned: Tensor, trained: Tensor) -> dict[str, float]:
        """Share of wrong labels among samples planned and trained, by how often they were [n]."""
        assert self._corrupted is not None
        wrong = self._corrupted.double()
        shares = {"noise/share": wrong.mean()}
        for name, counts in (("planned", planned), ("bp", trained)):
            shares[f"noise/{name}_share"] = (wrong * counts).sum() / counts.sum().clamp(min=1)
        return {name: float(share) for name, share in shares.items()}

    def state_dict(self) -> dict[str, Any]:
        """The counts of all ranks, exact also in the middle of an epoch."""
        return {
            "epoch": self._ranks.sum(self._epoch), "total": self._total,
            "planned": self._planned, "rows": self.rows,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the counts of an interrupted run."""
        # Whatever ranks have counted so far, rank 0 goes on from their sum.
        self._epoch.copy_(state["epoch"] if self._ranks.main else torch.zeros_like(self._epoch))
        self._total.copy_(state["total"])
        self._planned.copy_(state["planned"])
        self.rows = list(state["rows"])


def midranks(values: Tensor) -> Tensor:
    """Ranks [n] float64 of values [n], from 0; equal values share the mean of their ranks."""
    _, group, size = values.unique(return_inverse=True, return_counts=True)
    last = size.cumsum(0).double() - 1
    return (last - (size - 1) / 2)[group]


def effective_sample_size(weights: Tensor) -> float:
    """`(sum w)^2 / (n sum w^2)` of weights [n], in (0, 1]; 1 where all are equal (or all zero)."""
    weights = weights.double().clamp(min=0)
    square = weights.square().sum()
    share = weights.sum().square() / (len(weights) * square)
    return float(torch.where(square > 0, share, torch.ones_like(share)))
