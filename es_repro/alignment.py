"""The guard of the first contract: the sample ids of a batch are those of its rows."""

import torch

from es_repro.data import Loader
from es_repro.rows import Batch, same_rows

__all__ = ["Alignment"]


class Alignment:
    """Fetches the rows of the first batches again, by id, and compares.

    Args:
        loader: whose batches are checked.
        steps: how many, from the start and from every resume.
    """

    def __init__(self, loader: Loader, steps: int = 3) -> None:
        self._loader = loader
        self.left = steps

    def check(self, batch: Batch, step: int) -> None:
        """Compare one batch bit for bit; waits for the device.

        Raises:
            RuntimeError: what `index` says is not what came.
        """
        index, inputs, targets = batch
        self.left -= 1
        same_inputs, same_targets = self._loader.rows(index)
        if not (same_rows(inputs, same_inputs) and torch.equal(targets, same_targets)):
            raise RuntimeError(
                f"step {step}: the rows of the batch are not those of its sample ids; "
                "the loader has lost track of them"
            )
