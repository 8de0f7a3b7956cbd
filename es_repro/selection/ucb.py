"""UCB: keep the samples whose loss has the highest upper confidence bound.

Source: Raju, Daruwalla and Lipasti 2021 in the form of the InfoBatch authors' baseline (methods.md
2.6). On each trained visit with loss l, alpha weighting the new value:

    V <- (1 - alpha) * V + alpha * (l - m)^2,   m <- (1 - alpha) * m + alpha * l

and a plan keeps the (1 - r) n highest u = m + c * V; what was never seen counts as +inf.
"""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from es_repro.selection.base import EpochPlan, Negative, NonFinite, Selector
from es_repro.selection.checks import as_choice, as_int, as_real
from es_repro.selection.sampling import count, smallest

__all__ = ["UpperConfidenceBound"]

Bonus = Literal["variance", "count"]
EmaWeightOn = Literal["new", "old"]
FirstVariance = Literal["zero", "square"]


class UpperConfidenceBound(Selector):
    """Set level; two float32 and a flag a sample. A NaN mean marks what was never seen.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        prune_ratio: r, share left out of a selecting epoch, in [0, 1).
        beta: the weight of the running averages, in (0, 1].
        confidence: c >= 0.
        period: epochs from one selection to the next, the first at epoch 1; ``auto`` is
            min(10, max(1, E // 20)).
        bonus: ``variance`` adds c * V; ``count`` adds c * sqrt(ln e / visits), e being the epochs
            so far (UCB1 with many arms a round); it costs a count of 4 bytes a sample.
        ema_weight_on: whether beta weighs the ``new`` value or the ``old`` average.
        first_variance: V after the first visit: ``zero``, or the ``square`` alpha * l^2.
        nonfinite: ``raise`` or ``skip``.
        negative: ``clamp`` (nothing to clamp here) or ``error``.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    level = "set"
    uses_history = True
    prune_ratio: float

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        prune_ratio: float = 0.3,
        beta: float = 0.8,
        confidence: float = 1,
        period: int | Literal["auto"] = "auto",
        bonus: Bonus = "variance",
        ema_weight_on: EmaWeightOn = "new",
        first_variance: FirstVariance = "zero",
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
        self.prune_ratio = as_real("prune_ratio", prune_ratio, "[0, 1)")
        self.beta = as_real("beta", beta, "(0, 1]")
        self.confidence = as_real("confidence", confidence, "[0, inf)")
        self.period = _as_period(period)
        self.bonus: Bonus = as_choice("bonus", bonus, Bonus)
        self.ema_weight_on: EmaWeightOn = as_choice("ema_weight_on", ema_weight_on, EmaWeightOn)
        self.first_variance: FirstVariance = as_choice(
            "first_variance", first_variance, FirstVariance
        )
        self.mean = self._new_table("mean", math.nan)
        self.variance = self._new_table("variance", 0.0)
        self._held = self._new_table("held", 1, torch.bool)  # kept since the last selection
        if bonus == "count":
            self._visits = self._new_table("visits", 0, torch.int32)

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        if self.epoch == 0:
            return super()._make_plan(generator)
        period = self.period
        every = min(10, max(1, self.num_epochs // 20)) if isinstance(period, str) else period
        if (self.epoch - 1) % every == 0:
            kept = smallest(-self._bounds(), count(1 - self.prune_ratio, self.num_samples))
            self._held.fill_(False)
            self._held[kept.to(self.device)] = True
        return EpochPlan(self._held.cpu().nonzero().squeeze(1))

    def _bounds(self) -> Tensor:
        """[n] float32 on the CPU: the upper confidence bounds, +inf where never seen."""
        if self.bonus == "count":
            spread = (math.log(self.epoch) / self._visits.cpu().clamp(min=1)).sqrt()
        else:
            spread = self.variance.cpu()
        bounds = self.mean.cpu() + self.confidence * spread
        return bounds.masked_fill(bounds.isnan(), math.inf)

    def _update(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        alpha = self.beta if self.ema_weight_on == "new" else 1 - self.beta
        skipped = losses.isnan()
        mean, variance = self.mean.index_select(0, index), self.variance.index_select(0, index)
        first = mean.isnan()
        square = self.first_variance == "square"
        start = alpha * losses.square() if square else torch.zeros_like(losses)
        spread = (1 - alpha) * variance + alpha * (losses - mean).square()
        moved = (1 - alpha) * mean + alpha * losses
        new_variance = torch.where(first, start, spread)
        new_mean = torch.where(first, losses, moved)
        self.variance.index_copy_(0, index, torch.where(skipped, variance, new_variance))
        self.mean.index_copy_(0, index, torch.where(skipped, mean, new_mean))
        if self.bonus == "count":
            visits = self._visits.index_select(0, index)
            self._visits.index_copy_(0, index, visits + ~skipped)

    def _planned_share(self, epoch: int) -> float:
        return 1 - self.prune_ratio if epoch > 0 else 1.0


def _as_period(period: object) -> int | Literal["auto"]:
    if period == "auto":
        return "auto"
    try:
        return as_int("period", period, minimum=1)
    except ValueError as error:
        raise ValueError(f"period={period!r}: must be 'auto' or an integer >= 1") from error
