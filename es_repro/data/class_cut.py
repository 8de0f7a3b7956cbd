"""Some classes of a split as a split of its own, for runs on a part of a large set."""

import torch
from torch import Tensor

from es_repro.data.decoding import Stored

__all__ = ["ClassCut"]


class ClassCut:
    """Every k-th class of a split, with labels 0, 1, ... in their order.

    Args:
        whole: the split.
        num_classes: how many to keep.
        of_classes: how many it has, a multiple of them.
    """

    def __init__(self, whole: Stored, num_classes: int, of_classes: int) -> None:
        step = of_classes // num_classes
        self._whole, self.origin = whole, whole.origin
        self._rows = (whole.targets % step == 0).nonzero().flatten()
        self.targets: Tensor = torch.div(whole.targets[self._rows], step, rounding_mode="floor")

    @property
    def listing(self) -> bytes:
        """That of the whole split: which classes are kept is said by the config."""
        return self._whole.listing

    def name(self, row: int) -> str:
        """Where the image of a row lies."""
        return self._whole.name(int(self._rows[row]))

    def read(self, row: int) -> bytes:
        """The encoded image of a row.

        Raises:
            OSError: it cannot be read.
        """
        return self._whole.read(int(self._rows[row]))
