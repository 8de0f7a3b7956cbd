"""Loss: draw the mini-batch in proportion to the current losses, without any memory.

Source: Katharopoulos and Fleuret 2017 in the form of Eq. 2.3 of the paper: w_i = l_i(theta(t)),
drawn without replacement, plain mean, no correction (methods.md 2.2). It is ES with beta1 = 0.
"""

import torch
from torch import Tensor

from es_repro.selection.base import Negative, NonFinite, Selector
from es_repro.selection.checks import as_real
from es_repro.selection.cost import warn_if_dear
from es_repro.selection.sampling import count, draw

__all__ = ["LossSampling"]


class LossSampling(Selector):
    """Batch level, no state per sample, in every epoch.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        batch_ratio: f = b/B, in (0, 1].
        nonfinite: ``raise`` or ``skip``.
        negative: ``clamp`` or ``error``.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    level = "batch"
    batch_ratio: float

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        batch_ratio: float = 0.25,
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
        warn_if_dear(self.batch_ratio)

    @property
    def selects_batches(self) -> bool:
        return self.batch_ratio < 1

    def _pick(self, index: Tensor, losses: Tensor) -> Tensor:
        return draw(losses, count(self.batch_ratio, len(losses)), self.select_stream)
