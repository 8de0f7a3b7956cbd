"""OrderDP: of a random part of the samples, train on those with the highest losses.

Source: OrderDP 2026. Each epoch draws floor(a * n) ids uniformly without replacement and keeps the
floor(c * floor(a * n)) of them whose last known loss is highest, so that the share a * c of the
samples is trained; a loss is refreshed when its sample is trained, and by nothing else.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from es_repro.selection.base import EpochPlan, Negative, NonFinite, Selector
from es_repro.selection.checks import as_real
from es_repro.selection.sampling import draw_ids, smallest

__all__ = ["OrderDP"]

EXACT = 1e-9  # before a floor, for 0.29 * 100 is 28.999...


class OrderDP(Selector):
    """Set level; a float32 a sample. A NaN loss marks what was never seen and ranks first.

    Neither reweighting nor annealing; in epoch 0 nothing is known and the kept part is random.

    Args:
        num_samples: n; at least one of them is kept.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        draw_ratio: a, share of the samples that are candidates of an epoch, in (0, 1].
        keep_ratio: c, share of the candidates that are trained, in (0, 1].
        nonfinite: ``raise`` or ``skip``.
        negative: ``clamp`` (nothing to clamp here) or ``error``.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    level = "set"

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        draw_ratio: float = 0.75,
        keep_ratio: float = 0.8,
        nonfinite: NonFinite = "raise",
        negative: Negative = "clamp",
    ) -> None:
        super().__init__(
            num_samples,
            num_epochs,
            device=device,
            seed=seed,
            nonfinite=nonfinite,
            negative=negative,
        )
        self.draw_ratio = as_real("draw_ratio", draw_ratio, "(0, 1]")
        self.keep_ratio = as_real("keep_ratio", keep_ratio, "(0, 1]")
        self.prune_ratio = 1 - self.draw_ratio * self.keep_ratio
        self.last_losses = self._new_table("last_losses", math.nan)

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        drawn = max(1, math.floor(self.draw_ratio * self.num_samples + EXACT))
        kept = max(1, math.floor(self.keep_ratio * drawn + EXACT))
        candidates = draw_ids(torch.ones(self.num_samples), drawn, generator)
        losses = self.last_losses.cpu()[candidates]
        unseen, seen = candidates[losses.isnan()], candidates[~losses.isnan()]
        if len(unseen) >= kept:  # a tie of them all: by id, epoch 0 would be the file's beginning
            return EpochPlan(unseen[draw_ids(torch.ones(len(unseen)), kept, generator)])
        highest = seen[smallest(-losses[~losses.isnan()], kept - len(unseen))]
        return EpochPlan(torch.cat((unseen, highest)).sort().values)

    def _update(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        known = self.last_losses.index_select(0, index)
        self.last_losses.index_copy_(0, index, torch.where(losses.isnan(), known, losses))

    def _planned_share(self, epoch: int) -> float:
        return self.draw_ratio * self.keep_ratio
