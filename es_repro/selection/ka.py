"""KA: hide the samples that are learned and sure, re-score them at the epoch's end, raise the LR.

Source: KAKURENBO, Thao Nguyen et al. 2023 (methods.md 2.5). Of the K = floor(cap_e * n) lowest
losses those are hidden whose prediction was right with a confidence >= tau; the others are moved
back and not replaced. cap_e decays over the run; the learning rate is multiplied by 1/(1 - cap_e).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from es_repro.selection.base import EpochPlan, Negative, NonFinite, Selector
from es_repro.selection.checks import (
    as_choice,
    as_int,
    as_real,
    as_reals,
    require,
    require_bool,
)
from es_repro.selection.cost import Cost
from es_repro.selection.sampling import smallest

__all__ = ["Kakurenbo"]

EXACT = 1e-9  # before a floor that released code takes (methods.md 1.4)
LrScale = Literal["cap", "realised", "none"]


class Kakurenbo(Selector):
    """Set level; a float32 and a flag a sample. A loss of +inf marks what was never seen.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        max_fraction: F, the largest share that may be hidden, in [0, 1).
        threshold: tau, the confidence that hiding asks for, in [0, 1].
        fraction_milestones: shares of the epochs at which the next factor begins, ascending.
        fraction_factors: of F, one more than the milestones, in [0, 1].
        lr_scale: ``cap`` 1/(1 - cap_e), as released; ``realised`` 1/(1 - hidden share); ``none``.
        lr_scale_from_epoch: the first epoch whose learning rate is scaled.
        refresh: re-score the hidden samples at the end of the epoch; else they keep stale values.
        require_prediction: hide right and sure predictions alone, which needs a task with classes;
            without it any sample seen may be hidden.
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
        max_fraction: float = 0.3,
        threshold: float = 0.7,
        fraction_milestones: Sequence[float] = (0.3, 0.6, 0.8),
        fraction_factors: Sequence[float] = (1, 0.8, 0.6, 0.4),
        lr_scale: LrScale = "cap",
        lr_scale_from_epoch: int = 1,
        refresh: bool = True,
        require_prediction: bool = True,
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
        self.max_fraction = as_real("max_fraction", max_fraction, "[0, 1)")
        self.threshold = as_real("threshold", threshold, "[0, 1]")
        milestones = as_reals("fraction_milestones", fraction_milestones, "[0, 1]")
        ascending = all(first < second for first, second in pairwise(milestones))
        require(ascending, "fraction_milestones", milestones, "ascending")
        factors = as_reals("fraction_factors", fraction_factors, "[0, 1]")
        wanted = len(milestones) + 1
        allowed = f"{wanted} numbers, one more than fraction_milestones"
        require(len(factors) == wanted, "fraction_factors", factors, allowed)
        self.fraction_milestones, self.fraction_factors = milestones, factors
        self.lr_scale: LrScale = as_choice("lr_scale", lr_scale, LrScale)
        self.lr_scale_from_epoch = as_int("lr_scale_from_epoch", lr_scale_from_epoch, minimum=0)
        require_bool("refresh", refresh)
        require_bool("require_prediction", require_prediction)
        self.refresh, self.require_prediction = refresh, require_prediction
        self.signals = frozenset({"correct", "confidence"} if require_prediction else ())
        self.last_losses = self._new_table("last_losses", math.inf)
        self._hideable = self._new_table("hideable", 0, torch.bool)

    def cap(self, epoch: int) -> float:
        """The largest share that an epoch may hide: the decaying factor times F."""
        reached = sum(
            epoch >= milestone * self.num_epochs - EXACT for milestone in self.fraction_milestones
        )
        return self.fraction_factors[reached] * self.max_fraction

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        n, cap = self.num_samples, self.cap(self.epoch)
        hideable = self._hideable.cpu()
        lowest = smallest(self.last_losses.cpu(), math.floor(cap * n + EXACT))
        hidden = lowest[hideable[lowest]]
        planned = torch.ones(n, dtype=torch.bool)
        planned[hidden] = False
        last = self.epoch == self.num_epochs - 1  # what its refresh would tell is never used
        refreshed = self.refresh and len(hidden) > 0 and not last
        return EpochPlan(
            planned.nonzero().squeeze(1),
            lr_scale=self._lr_factor(cap, len(hidden) / n),
            refresh=hidden if refreshed else None,
        )

    def _lr_factor(self, cap: float, hidden_share: float) -> float:
        if self.lr_scale == "none" or self.epoch < self.lr_scale_from_epoch:
            return 1.0
        return 1 / (1 - (cap if self.lr_scale == "cap" else hidden_share))

    def _update(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        skipped = losses.isnan()
        if self.require_prediction:
            sure = signals["confidence"].float() >= self.threshold
            hideable = signals["correct"].bool() & sure
        else:
            hideable = ~skipped
        known = self.last_losses.index_select(0, index)
        marked = self._hideable.index_select(0, index)
        self.last_losses.index_copy_(0, index, torch.where(skipped, known, losses))
        self._hideable.index_copy_(0, index, torch.where(skipped, marked, hideable))

    def _bp_fraction(self) -> float:
        return 1 - self.max_fraction

    def _epoch_cost(self, epoch: int) -> Cost:
        """As if the whole cap were hidden, which is the most that can be saved."""
        cap = self.cap(epoch)
        return Cost(cap if self.refresh else 0.0, 1 - cap)
