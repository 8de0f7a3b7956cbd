"""Order: train on the b largest losses of the meta-batch.

Source: Ordered SGD, Kawaguchi and Lu 2020, with the sizes of the paper and in two passes, so that
only b rows are back-propagated (methods.md 2.3).
"""

import torch
from torch import Tensor

from es_repro.selection.base import Negative, NonFinite, Selector
from es_repro.selection.checks import as_real
from es_repro.selection.cost import warn_if_dear
from es_repro.selection.sampling import count

__all__ = ["OrderedSGD"]


class OrderedSGD(Selector):
    """Batch level, no state per sample, nothing random; ties go to the earlier position.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        batch_ratio: f = b/B, in (0, 1].
        nonfinite: ``raise`` or ``skip``.
        negative: ``clamp`` (nothing to clamp here) or ``error``.

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
        # NaN would sort as the largest. A stable sort, because top-k breaks ties as it likes.
        ranked = losses.nan_to_num(nan=-torch.inf).sort(descending=True, stable=True).indices
        return ranked[: count(self.batch_ratio, len(losses))].sort().values
