"""Baseline: every sample once an epoch, every batch whole, the plain mean.

It is also what every other method does in its annealed epochs (methods.md 2.1).
"""

import torch

from es_repro.selection.base import NonFinite, Selector

__all__ = ["Baseline"]


class Baseline(Selector):
    """No selection at all.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        nonfinite: what `check` does about non-finite losses, ``raise`` or ``skip``.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(num_samples, num_epochs, device=device, seed=seed, nonfinite=nonfinite)
