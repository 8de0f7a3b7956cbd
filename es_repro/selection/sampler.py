"""The sampler that carries a selector's plan into any DataLoader."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from es_repro.selection.base import EpochPlan, Selector
from es_repro.selection.checks import as_int, require, require_bool
from es_repro.selection.foreign import as_selector
from es_repro.selection.sampling import count
from es_repro.selection.streams import stream

__all__ = ["PlannedBatchSampler"]


class PlannedBatchSampler(Sampler[list[int]]):
    """Shuffles a plan and cuts it into meta-batches: a ``batch_sampler`` for a DataLoader.

    `set_epoch` plans and shuffles; iterating does neither, so an epoch may be iterated as often as
    a loader likes. Every planned id is visited once; ranks get equally many, ids k, k + W, ... of
    the shuffle, and lose the W - 1 last of it at most: an id is never repeated to even them out.

    Args:
        selector: whose plans are carried; it is told the rank, so that each draws by itself. It
            may be of another make (`es_repro.selection.foreign` says what the contract is).
        meta_batch_size: B over all ranks, divisible by their number.
        seed: of the shuffle, equal on all ranks, unless the selector brings its own.
        rank: of this process.
        world_size: W.
        drop_last: leave out a short last meta-batch, unless it is the only one.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    def __init__(
        self,
        selector: Selector,
        meta_batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self.selector = selector = as_selector(selector)
        self.world_size = as_int("world_size", world_size, minimum=1)
        self.meta_batch_size = as_int("meta_batch_size", meta_batch_size, minimum=1)
        divisible = self.meta_batch_size % self.world_size == 0
        allowed = f"divisible by world_size={self.world_size}"
        require(divisible, "meta_batch_size", meta_batch_size, allowed)
        self.rank = as_int("rank", rank, minimum=0)
        require(self.rank < self.world_size, "rank", rank, f"in 0..{self.world_size - 1}")
        selector.rank = self.rank
        self.seed = as_int("seed", seed if selector.order_seed is None else selector.order_seed)
        require_bool("drop_last", drop_last)
        self.drop_last = drop_last
        selector.check_cut(self.meta_batch_size, self.world_size)
        self.plan: EpochPlan | None = None
        self._indices: Tensor | None = None

    def set_epoch(self, epoch: int) -> None:
        """Plan an epoch and shuffle it: a function of (seed, epoch, set of planned ids)."""
        self.plan = self.selector.plan_epoch(epoch)
        ids = _ascending(self.plan.indices.cpu())
        share = len(ids) // self.world_size
        enough = f"at least world_size={self.world_size}"
        require(share > 0, "planned samples", len(ids), enough)
        order = torch.randperm(len(ids), generator=stream(self.seed, "order", epoch))
        self._indices = ids[order[self.rank : share * self.world_size : self.world_size]]

    @property
    def indices(self) -> Tensor:
        """This rank's ids in the order of their visits: [k] int64, CPU.

        Raises:
            RuntimeError: `set_epoch` has not been called yet.
        """
        if self._indices is None:
            raise RuntimeError("no epoch is planned yet: call set_epoch(epoch) before iterating")
        return self._indices

    @property
    def rank_batch_size(self) -> int:
        """B / W: rows of a whole meta-batch on this rank."""
        return self.meta_batch_size // self.world_size

    @property
    def batch_size(self) -> int:
        """Rows of a batch on this rank, in the epoch now planned."""
        ratio = 1.0 if self.plan is None else self.plan.batch_ratio
        return count(ratio, self.rank_batch_size)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.indices), self.batch_size)
        return whole if whole and (self.drop_last or not rest) else whole + 1

    def __iter__(self) -> Iterator[list[int]]:
        ids, size = self.indices, self.batch_size  # of this epoch, whatever is planned meanwhile
        starts = range(0, len(self) * size, size)
        return (ids[start : start + size].tolist() for start in starts)


def _ascending(ids: Tensor) -> Tensor:
    """The ids [k] in ascending order, in which every method of ours plans them anyway."""
    return ids if bool((ids[1:] > ids[:-1]).all()) else ids.sort().values
