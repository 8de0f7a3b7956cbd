"""ESWP: ES, and a weighted draw of the epoch's samples at its start.

Source: Algorithm 1 of the paper with pruning. In a selecting epoch (1 - r) n ids are drawn without
replacement in proportion to w, each being the value after the sample's last visit, however long
ago; s and w of pruned samples stay. Annealed epochs are full (methods.md 2.8).
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from es_repro.selection.annealing import AnnealingRounding
from es_repro.selection.base import EpochPlan, Negative, NonFinite
from es_repro.selection.checks import as_choice, as_real
from es_repro.selection.es import EvolvedSampling
from es_repro.selection.sampling import count, draw_ids

__all__ = ["EvolvedSamplingWithPruning"]

UnseenWeight = Literal["mean", "literal"]


class EvolvedSamplingWithPruning(EvolvedSampling):
    """Both levels; two float32 and a flag a sample. With batch_ratio 1 it is set level alone.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        batch_ratio: f = b/B, in (0, 1].
        prune_ratio: r, share left out of a selecting epoch, in [0, 1).
        beta1: as of ES.
        beta2: as of ES; the paper takes 0.8 here.
        annealing_start: as of ES.
        annealing_end: as of ES.
        annealing_rounding: as of ES.
        bias_correction: as of ES.
        unseen_weight: what samples never visited weigh in the plan: the ``mean`` of the others, or
            ``literal``, 1/n as in Algorithm 1, which leaves them out for good.
        nonfinite: ``raise`` or ``skip``.
        negative: ``clamp`` or ``error``.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    level = "both"
    prune_ratio: float

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        batch_ratio: float = 0.25,
        prune_ratio: float = 0.2,
        beta1: float = 0.2,
        beta2: float = 0.8,
        annealing_start: float = 0.05,
        annealing_end: float = 0.05,
        annealing_rounding: AnnealingRounding = "half_up",
        bias_correction: bool = False,
        unseen_weight: UnseenWeight = "mean",
        nonfinite: NonFinite = "raise",
        negative: Negative = "clamp",
    ) -> None:
        # Before the rest, because what ES warns of depends on it.
        self.prune_ratio = as_real("prune_ratio", prune_ratio, "[0, 1)")
        super().__init__(
            num_samples,
            num_epochs,
            device=device,
            seed=seed,
            batch_ratio=batch_ratio,
            beta1=beta1,
            beta2=beta2,
            annealing_start=annealing_start,
            annealing_end=annealing_end,
            annealing_rounding=annealing_rounding,
            bias_correction=bias_correction,
            nonfinite=nonfinite,
            negative=negative,
        )
        self.unseen_weight: UnseenWeight = as_choice("unseen_weight", unseen_weight, UnseenWeight)
        self._seen = self._new_table("seen", 0, torch.bool)

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        if self.epoch not in self.selecting_epochs:
            return super()._make_plan(generator)
        kept = count(1 - self.prune_ratio, self.num_samples)
        return EpochPlan(draw_ids(self._plan_weights(), kept, generator))

    def _update(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        super()._update(index, losses, signals)
        seen = self._seen.index_select(0, index) | ~losses.isnan()
        self._seen.index_copy_(0, index, seen)

    def _planned_share(self, epoch: int) -> float:
        return 1 - self.prune_ratio if epoch in self.selecting_epochs else 1.0

    def _plan_weights(self) -> Tensor:
        """[n] float32 on the CPU; uniform while nothing has been seen."""
        weights, seen = self.weights.cpu(), self._seen.cpu()
        alike = bool(seen.all()) or not bool(seen.any())
        if self.unseen_weight == "literal" or alike:
            return weights
        mean = (weights * seen).sum(dtype=torch.float64) / seen.sum()
        return weights.where(seen, mean.float())
