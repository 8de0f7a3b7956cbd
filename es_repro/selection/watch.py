"""Spotting bad losses on the device, read back only when asked."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Sighting", "Watch"]

CAPACITY = 8  # ids kept of the first offending batch: enough to look the rows up
NO_ID = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Sighting:
    """The first offending batch since the last look, and how many losses offended since."""

    count: int
    epoch: int
    batch: int
    ids: tuple[int, ...]

    def __str__(self) -> str:
        more = ", ..." if len(self.ids) == CAPACITY else ""
        named = ", ".join(str(i) for i in self.ids)
        return (
            f"of sample ids [{named}{more}] (epoch {self.epoch}, batch {self.batch} of it; "
            f"{self.count} in all since the last check)"
        )


class Watch:
    """A counter and a small buffer on the device: `note` never waits, `look` does.

    Args:
        device: where the losses live.
    """

    def __init__(self, device: torch.device) -> None:
        self._count = torch.zeros((), dtype=torch.int64, device=device)
        self._when = torch.zeros(2, dtype=torch.int64, device=device)  # epoch, batch
        self._ids = torch.full((CAPACITY,), NO_ID, dtype=torch.int64, device=device)

    def note(self, index: Tensor, bad: Tensor, epoch: int, batch: int) -> None:
        """Count the bad rows; keep the ids of the first batch that has any.

        Args:
            index: [m] int64 sample ids.
            bad: [m] bool.
            epoch: of the batch.
            batch: its place in the epoch.
        """
        if len(index) == 0:
            return
        kept = min(CAPACITY, len(index))
        ids = torch.where(bad, index, NO_ID).topk(kept, largest=False).values
        # Overwritten until the count leaves 0, so that they end as the first offending batch's.
        spotless = self._count == 0
        self._ids[:kept] = torch.where(spotless, ids, self._ids[:kept])
        self._when[0] = torch.where(spotless, epoch, self._when[0])
        self._when[1] = torch.where(spotless, batch, self._when[1])
        self._count += bad.sum()

    def look(self) -> Sighting | None:
        """What was seen since the last look, and forget it; waits for the device."""
        count, epoch, batch, *ids = torch.cat([self._count[None], self._when, self._ids]).tolist()
        if count == 0:
            return None
        self._count.zero_()
        self._ids.fill_(NO_ID)
        return Sighting(count, epoch, batch, tuple(i for i in ids if i != NO_ID))

    @property
    def count(self) -> Tensor:
        """Bad losses since the last look: [] int64 on the device."""
        return self._count.clone()

    @property
    def buffers(self) -> dict[str, Tensor]:
        """The tensors that make up its state, to be saved and copied into."""
        return {"count": self._count, "when": self._when, "ids": self._ids}
