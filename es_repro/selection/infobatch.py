"""InfoBatch: leave out a random part of the low losses, scale up those that stay.

Source: Qin et al. 2024. With m the mean of the last known losses, the low samples are those seen
with a loss < m; floor((1 - r) * |low|) of them are kept at random, and a kept one counts 1/(1 - r)
times, so that an epoch's summed gradient stays unbiased (methods.md 2.4).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from es_repro.selection.base import EpochPlan, Negative, NonFinite, Selector
from es_repro.selection.checks import as_real, require_bool
from es_repro.selection.sampling import draw_ids

__all__ = ["InfoBatch"]

EXACT = 1e-9  # before a floor that released code takes (methods.md 1.4)
LOW_SHARE = (
    0.7  # q of the cost model: losses are skewed, most lie below their mean (methods.md 2.4)
)


class InfoBatch(Selector):
    """Set level; a float32 and a flag a sample. A NaN loss marks what was never seen.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        prune_ratio: r, share of the low samples left out, in [0, 0.9].
        delta: share of the epochs, from the first on, that prune; in [0, 1].
        exact_rescale: weigh by low over kept samples; rounding makes 1/(1 - r) inexact.
        nonfinite: ``raise`` or ``skip``.
        negative: ``clamp`` (nothing to clamp here) or ``error``.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    level = "set"
    prune_ratio: float

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        prune_ratio: float = 0.5,
        delta: float = 0.875,
        exact_rescale: bool = False,
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
        self.prune_ratio = as_real("prune_ratio", prune_ratio, "[0, 0.9]")
        self.delta = as_real("delta", delta, "[0, 1]")
        require_bool("exact_rescale", exact_rescale)
        self.exact_rescale = exact_rescale
        self.pruning_epochs = range(math.floor(self.delta * self.num_epochs + EXACT))
        self.last_losses = self._new_table("last_losses", math.nan)
        self._rescaled = self._new_table("rescaled", 0, torch.bool)
        self._rescale = self._new_table("rescale", 1.0, scalar=True)

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        self._rescaled.fill_(False)
        if self.epoch not in self.pruning_epochs:
            return super()._make_plan(generator)
        low = self._low_ids()
        kept = math.floor((1 - self.prune_ratio) * len(low) + EXACT)
        chosen = low[draw_ids(torch.ones(len(low)), kept, generator)] if kept else low[:0]
        planned = torch.ones(self.num_samples, dtype=torch.bool)
        planned[low] = False
        planned[chosen] = True
        self._rescaled[chosen.to(self.device)] = True
        exact = self.exact_rescale and kept
        self._rescale.fill_(len(low) / kept if exact else 1 / (1 - self.prune_ratio))
        return EpochPlan(planned.nonzero().squeeze(1))

    def _update(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        known = self.last_losses.index_select(0, index)
        self.last_losses.index_copy_(0, index, torch.where(losses.isnan(), known, losses))

    def _weighted(self, index: Tensor, losses: Tensor) -> Tensor:
        rescaled = self._rescaled.index_select(0, index)
        return torch.where(rescaled, self._rescale, 1.0) * losses

    def _planned_share(self, epoch: int) -> float:
        return 1 - self.prune_ratio * LOW_SHARE if epoch in self.pruning_epochs else 1.0

    def _low_ids(self) -> Tensor:
        """[|low|] int64 on the CPU: seen, and strictly below the mean of all that were seen."""
        # float64 sums equal float32 values exactly: equal losses are never below their own mean.
        losses = self.last_losses.cpu().double()
        return (losses < losses.nanmean()).nonzero().squeeze(1)
