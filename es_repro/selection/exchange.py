"""Equal tables on every rank: each hears of the rows that the others have met.

A sample is met once an epoch, so the draw from a rank's own rows needs its own losses alone; those
of the others may come at any time before the next plan (methods.md 6.1). They are sent while the
training pass computes. Ids stay int64: losses travel beside them as the bits of a float64, which
holds every float32 and bfloat16 exactly; ids among floats would be rounded from 2^24 on.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from es_repro.selection.base import Selector

__all__ = ["TableExchange", "TableSync", "pack", "unpack", "with_own_stream"]

TableSync = Literal["step", "epoch"]


class TableExchange:
    """Carries (index, losses, signals) between the ranks of a run; alone, it does nothing.

    Args:
        selector: whose tables are kept equal.
        rank: of this process.
        world_size: W.
        sync: `step` sends after every batch; `epoch` keeps the rows until `settle`.
    """

    def __init__(
        self, selector: Selector, rank: int, world_size: int, sync: TableSync = "step"
    ) -> None:
        self._selector, self._rank, self._world_size = selector, rank, world_size
        self._each_step = sync == "step"
        self._rows: list[Tensor] = []  # [columns, m] int64 each, not sent yet
        self._sent: tuple[dist.Work | None, Tensor] | None = None
        self._like: Mapping[str, Tensor] = {}

    def send_rows(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        """Let the others know what this rank's batch [m] said; never waits.

        Args:
            index: [m] int64, equally many on every rank.
            losses: [m], which the selector has been given already.
            signals: [m, ...], likewise.
        """
        if self._world_size == 1:
            return
        self._like = {name: signal[:0] for name, signal in signals.items()}
        self._rows.append(pack(index, losses, signals))
        if self._each_step:
            self._start()

    def receive(self) -> None:
        """Give the selector what `send_rows` has set going; at the end of a step."""
        if self._sent is None:
            return
        work, gathered = self._sent
        self._sent = None
        if work is not None:
            work.wait()  # on CUDA the stream waits, not the host
        others = torch.cat([gathered[: self._rank], gathered[self._rank + 1 :]])
        index, losses, signals = unpack(others.movedim(0, 1).flatten(1), self._like)
        self._selector.observe_elsewhere(index, losses, **signals)

    def settle(self) -> None:
        """Send and receive whatever has not been yet: all tables are equal from here on."""
        if self._rows:
            self._start()
        self.receive()

    def share_ids(self, ids: Tensor) -> Tensor:
        """This rank's of `ids` [h]: every W-th, [ceil(h / W)]; the last may be another's again."""
        size = -(-len(ids) // self._world_size) * self._world_size
        return ids[torch.arange(size) % len(ids)][self._rank :: self._world_size]

    def everyones_rows(
        self, ids: Tensor, losses: Tensor, signals: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Losses and signals of all `ids` [h], each rank having those of its `share_ids`.

        Returns:
            losses [h] and signals [h, ...] in the order of `ids`.
        """
        if self._world_size == 1:
            return losses, signals
        rows = torch.zeros(len(losses), dtype=torch.int64, device=losses.device)
        packed = pack(rows, losses, signals)
        gathered = self._room(packed)
        dist.all_gather_into_tensor(gathered.flatten(0, 1), packed)
        dealt = gathered.permute(1, 2, 0).flatten(1)[:, : len(ids)]  # one by one to the ranks
        return unpack(dealt, {name: signal[:0] for name, signal in signals.items()})[1:]

    def everyones_streams(self, state: Mapping[str, Any]) -> list[Tensor]:
        """What every rank draws its picks from, as of its selector's state; called by all.

        Empty where the selector is of another make and has no stream of that name.
        """
        if "select_stream" not in state:
            return []
        own = state["select_stream"]
        if self._world_size == 1:
            return [own]
        own = own.to(self._selector.device)
        gathered = own.new_empty(self._world_size, *own.shape)
        dist.all_gather_into_tensor(gathered.flatten(), own)
        return [stream.clone() for stream in gathered.cpu()]  # generators cannot read views

    def _start(self) -> None:
        packed = torch.cat(self._rows, dim=1)
        self._rows.clear()
        gathered = self._room(packed)
        work = dist.all_gather_into_tensor(gathered.flatten(0, 1), packed, async_op=True)
        self._sent = work, gathered

    def _room(self, packed: Tensor) -> Tensor:
        """Where every rank's rows will lie: [W, columns, m]."""
        return packed.new_empty(self._world_size, *packed.shape)


def with_own_stream(
    state: Mapping[str, Any], rank: int, streams: Sequence[Tensor]
) -> Mapping[str, Any]:
    """A selector's state for this rank, whichever rank it was taken on.

    Args:
        state: of a selector.
        rank: of this process.
        streams: of the ranks that there were; a rank beyond them begins the epoch's own anew.
    """
    if rank < len(streams):
        return {**state, "select_stream": streams[rank]}
    return {**state, "device_type": "none"} if streams else state


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
