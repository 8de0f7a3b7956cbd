"""ES: draw the mini-batch by a mix of the current loss and an average of the sample's past ones.

Source: Evolved Sampling, Eq. 3.1 and Algorithm 1 of the paper. For each sample of the meta-batch,
once a visit, both lines from the same s:

    w <- beta1 * s + (1 - beta1) * l
    s <- beta2 * s + (1 - beta2) * l

then b of B are drawn without replacement in proportion to w. The first and the last epochs train
on everything and feed the table (annealing).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from es_repro.selection.annealing import AnnealingRounding, selecting_epochs
from es_repro.selection.base import Level, Negative, NonFinite, Selector
from es_repro.selection.checks import as_real, require_bool
from es_repro.selection.cost import warn_if_dear
from es_repro.selection.sampling import count, draw

__all__ = ["EvolvedSampling"]


class EvolvedSampling(Selector):
    """Batch level; two float32 a sample, s and w, both 1/n at first.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        batch_ratio: f = b/B, in (0, 1]; 1 needs no scoring pass and is the baseline.
        beta1: share of the history in w, in [0, 1]; 0 is the method ``loss``.
        beta2: memory of the average s, in [0, 1].
        annealing_start: share of the epochs at the start without selection, in [0, 1].
        annealing_end: the same at the end.
        annealing_rounding: of either window to whole epochs: half_up, floor or ceil.
        bias_correction: divide s by 1 - beta2^t where it enters w, t being the sample's earlier
            visits; s enters as it is where that is 0. Costs a count of 4 bytes a sample.
        nonfinite: ``raise`` or ``skip``.
        negative: ``clamp`` (the table stays raw) or ``error``.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    level: Level = "batch"
    uses_history = True
    uses_differences = True
    batch_ratio: float
    weights: Tensor

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        batch_ratio: float = 0.25,
        beta1: float = 0.2,
        beta2: float = 0.9,
        annealing_start: float = 0.05,
        annealing_end: float = 0.05,
        annealing_rounding: AnnealingRounding = "half_up",
        bias_correction: bool = False,
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
        self.batch_ratio = as_real("batch_ratio", batch_ratio, "(0, 1]")
        self.beta1 = as_real("beta1", beta1, "[0, 1]")
        self.beta2 = as_real("beta2", beta2, "[0, 1]")
        require_bool("bias_correction", bias_correction)
        self.selecting_epochs = selecting_epochs(
            self.num_epochs, annealing_start, annealing_end, annealing_rounding
        )
        self.annealing_start, self.annealing_end = float(annealing_start), float(annealing_end)
        self.annealing_rounding, self.bias_correction = annealing_rounding, bias_correction
        warn_if_dear(self.batch_ratio, self.prune_ratio or 0.0)
        self.scores = self._new_table("scores", 1 / self.num_samples)
        self.weights = self._new_table("weights", 1 / self.num_samples)
        if bias_correction:
            self._visits = self._new_table("visits", 0, torch.int32)

    @property
    def selects_batches(self) -> bool:
        return self.batch_ratio < 1 and self.epoch in self.selecting_epochs

    def _update(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        skipped = losses.isnan()
        scores = self.scores.index_select(0, index)
        history = self._corrected(scores, index, skipped) if self.bias_correction else scores
        weights = self.beta1 * history + (1 - self.beta1) * losses
        evolved = self.beta2 * scores + (1 - self.beta2) * losses
        kept = self.weights.index_select(0, index)
        self.weights.index_copy_(0, index, torch.where(skipped, kept, weights))
        self.scores.index_copy_(0, index, torch.where(skipped, scores, evolved))

    def _pick(self, index: Tensor, losses: Tensor) -> Tensor:
        # The table keeps the last good weight of a skipped sample; its NaN here draws it last.
        weights = self.weights.index_select(0, index).masked_fill(losses.isnan(), torch.nan)
        return draw(weights, count(self.batch_ratio, len(losses)), self.select_stream)

    def _corrected(self, scores: Tensor, index: Tensor, skipped: Tensor) -> Tensor:
        """The scores over their share of losses, and one visit more on the count."""
        visits = self._visits.index_select(0, index)
        self._visits.index_copy_(0, index, visits + ~skipped)
        share = 1 - self.beta2 ** visits.float()
        return torch.where(share > 0, scores / share, scores)
