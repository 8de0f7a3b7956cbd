"""Equal tables on every rank: each hears of the rows that the others have met.

A sample is met once an epoch, so the draw from a rank's own rows needs its own losses alone; those
of the others may come at any time before the next plan (methods.md 6.1). They are sent while the
training pass computes. Ids stay int64: losses travel beside them as the bits of a float64, which
holds every float32 and bfloat16 exactly; ids among floats would be rounded from 2^24 on.
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from es_repro.parallel.ranks import Ranks
from es_repro.selection import Selector, require
from es_repro.tasks import Output

__all__ = ["Exchange", "TableSync"]

TableSync = Literal["step", "epoch"]


class Exchange:
    """Carries (index, losses, signals) between the ranks of a run; alone, it does nothing.

    Args:
        ranks: of the run.
        selector: whose tables are kept equal.
        sync: `step` sends after every batch; `epoch` keeps the rows until `settle`, which the
            engine calls at the log interval, before checkpoints and at the end of an epoch.

    Raises:
        ValueError: another `sync`.
    """

    def __init__(self, ranks: Ranks, selector: Selector, sync: TableSync = "step") -> None:
        require(sync in ("step", "epoch"), "run.table_sync", sync, "step or epoch")
        self._ranks, self._selector, self._each_step = ranks, selector, sync == "step"
        self._rows: list[Tensor] = []  # [columns, m] int64 each, not sent yet
        self._sent: tuple[dist.Work | None, Tensor] | None = None
        self._like: Mapping[str, Tensor] = {}

    def send(self, index: Tensor, seen: Output) -> None:
        """Let the others know what this rank's batch [m] said; never waits.

        Args:
            index: [m] int64, equally many on every rank.
            seen: its scores and signals, which the selector has been given already.
        """
        if self._ranks.alone:
            return
        self._like = {name: signal[:0] for name, signal in seen.signals.items()}
        self._rows.append(pack(index, seen.scores, seen.signals))
        if self._each_step:
            self._start()

    def receive(self) -> None:
        """Give the selector what `send` has set going; at the end of a step."""
        if self._sent is None:
            return
        work, gathered = self._sent
        self._sent = None
        if work is not None:
            work.wait()  # on CUDA the stream waits, not the host
        rank = self._ranks.rank
        others = torch.cat([gathered[:rank], gathered[rank + 1 :]])
        index, losses, signals = unpack(others.movedim(0, 1).flatten(1), self._like)
        self._selector.observe_elsewhere(index, losses, **signals)

    def settle(self) -> None:
        """Send and receive whatever has not been yet: all tables are equal from here on."""
        if self._rows:
            self._start()
        self.receive()

    def everyones(self, ids: Tensor, mine: Output) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Scores and signals of all `ids` [h], each rank having `Ranks.share_ids` of them.

        Returns:
            scores [h] and signals [h, ...] in the order of `ids`.
        """
        if self._ranks.alone:
            return mine.scores, mine.signals
        rows = torch.zeros(len(mine.scores), dtype=torch.int64, device=mine.scores.device)
        packed = pack(rows, mine.scores, mine.signals)
        gathered = self._room(packed)
        dist.all_gather_into_tensor(gathered.flatten(0, 1), packed)
        dealt = gathered.permute(1, 2, 0).flatten(1)[:, : len(ids)]  # one by one to the ranks
        return unpack(dealt, {name: signal[:0] for name, signal in mine.signals.items()})[1:]

    def _start(self) -> None:
        packed = torch.cat(self._rows, dim=1)
        self._rows.clear()
        gathered = self._room(packed)
        work = dist.all_gather_into_tensor(gathered.flatten(0, 1), packed, async_op=True)
        self._sent = work, gathered

    def _room(self, packed: Tensor) -> Tensor:
        """Where every rank's rows will lie: [W, columns, m]."""
        return packed.new_empty(self._ranks.world_size, *packed.shape)


def pack(index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> Tensor:
    """Ids, losses and signals of m rows as one int64 tensor [columns, m]."""
    columns = [index, _bits(losses)]
    for name in sorted(signals):
        flat = signals[name].reshape(len(index), -1).T
        columns.extend(_bits(column) for column in flat)
    return torch.stack(columns)


def unpack(packed: Tensor, like: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """What `pack` was given; `like` tells type and shape [*, ...] of the signals."""
    index, losses, *_ = packed
    signals, at = {}, 2
    for name in sorted(like):
        shape = like[name].shape[1:]
        width = shape.numel()
        rows = _values(packed[at : at + width], like[name].dtype)
        signals[name] = rows.T.reshape(-1, *shape)
        at += width
    return index, _values(losses, torch.float32), signals


def _bits(values: Tensor) -> Tensor:
    if values.is_floating_point():
        return values.double().view(torch.int64)
    return values.to(torch.int64)


def _values(bits: Tensor, dtype: torch.dtype) -> Tensor:
    return (
        bits.contiguous().view(torch.float64).to(dtype)
        if dtype.is_floating_point
        else bits.to(dtype)
    )
