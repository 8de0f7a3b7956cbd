"""The processes of a run: which of them this one is, and what they tell one another.

torchrun's environment decides how many there are. What tensors on the device say travels by the
device's own collectives; what the hosts must agree on (to stop, to save) goes over a group on the
CPU, so that nothing waits for a device.
"""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor, nn

from es_repro.parallel import world
from es_repro.process.machine import Precision
from es_repro.selection import EpochPlan, require

__all__ = ["Ranks", "Strategy", "connect"]

PRECISIONS: Mapping[Precision, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}
Strategy = Literal["ddp", "fsdp"]

T = TypeVar("T")


def connect(device: torch.device, precision: Precision, strategy: Strategy = "ddp") -> "Ranks":
    """Join the other processes of this launch, or stay alone where there are none.

    Args:
        device: its type is what counts: each rank of a host takes the one of its own number.
        precision: of the passes.
        strategy: ddp (a whole model on every rank) or fsdp (parameters sharded over the ranks).

    Raises:
        ValueError: another strategy, or more ranks on this host than devices.
    """
    require(strategy in ("ddp", "fsdp"), "run.strategy", strategy, "ddp or fsdp")
    world_size, local_size = world.world_size(), world.local_size()
    environment: Any = LightningEnvironment()
    chosen: Any = "auto"
    if world_size > 1:
        environment = TorchElasticEnvironment()
        chosen = DDPStrategy() if strategy == "ddp" else _fsdp(world_size)
        if device.type == "cuda":
            there = torch.cuda.device_count()
            allowed = f"at most {there}, the CUDA devices of this host (or run.device=cpu)"
            require(local_size <= there, "nproc-per-node", local_size, allowed)
    fabric = Fabric(
        accelerator=device.type,
        devices=local_size,
        num_nodes=world_size // local_size,
        strategy=chosen,
        precision=PRECISIONS[precision],
        plugins=[environment],
    )
    if world_size > 1:
        fabric.launch()
    return Ranks(fabric)


def _fsdp(world_size: int) -> ModelParallelStrategy:
    # The model comes sharded already (`sharding.shard`): its optimizer is built over the shards.
    return ModelParallelStrategy(
        lambda model, _: model,
        data_parallel_size=world_size,
        tensor_parallel_size=1,
        save_distributed_checkpoint=False,
    )


class Ranks:
    """This process among those of the run; alone, nothing is sent and everything is its own.

    Every method that speaks to others is called by all ranks, in the same order.

    Args:
        fabric: launched.

    Attributes:
        rank, world_size: this one's number, and W.
        main: whether this is rank 0, the one that writes, shows and holds the lease.
        device: of this rank.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.rank, self.world_size = fabric.global_rank, fabric.world_size
        self.alone, self.main = self.world_size == 1, self.rank == 0
        self.local_size = 1 if self.alone else world.local_size()
        strategy = fabric.strategy
        self.mesh = strategy.device_mesh if isinstance(strategy, ModelParallelStrategy) else None
        self._hosts = None if self.alone else dist.new_group(backend="gloo")
        self._asked: tuple[dist.Work | None, Tensor] | None = None

    @property
    def device(self) -> torch.device:
        return self.fabric.device

    # ---------------------------------------------------------------- between hosts

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """Whether any rank had set each flag one call ago (alone: now); hardly ever waits.

        One call late, so that the answer has travelled while a step was computed.
        """
        if self.alone:
            return flags
        before = self._heard(len(flags))
        mine = torch.tensor(flags, dtype=torch.uint8)
        work = dist.all_reduce(mine, dist.ReduceOp.MAX, group=self._hosts, async_op=True)
        self._asked = work, mine
        return before

    def agree_now(self, *flags: bool) -> tuple[bool, ...]:
        """Whether any rank sets each flag; waits for all of them."""
        self._heard(len(flags))
        self.agree(*flags)
        return flags if self.alone else self._heard(len(flags))

    def _heard(self, count: int) -> tuple[bool, ...]:
        if self._asked is None:
            return (False,) * count
        work, flags = self._asked
        self._asked = None
        if work is not None:
            work.wait()
        return tuple(bool(flag) for flag in flags.tolist())

    def everyones(self, mine: T) -> list[T]:
        """One small object of every rank, by rank; of what a checkpoint may hold, on the CPU."""
        if self.alone:
            return [mine]
        written = io.BytesIO()
        torch.save(mine, written)  # torch's own pickling of tensors between ranks is broken in 2.12
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, written.getvalue(), group=self._hosts)
        loaded = (torch.load(io.BytesIO(x), "cpu", weights_only=True) for x in found)
        return list(loaded)

    def largest(self, mine: Mapping[str, int | None]) -> dict[str, int | None]:
        """The largest of the ranks' values of each name, None where none knows one."""
        found = self.everyones(mine)
        return {name: max((x[name] or 0 for x in found), default=0) or None for name in mine}

    def from_main(self, make: Callable[[], T]) -> T:
        """What `make` answers on rank 0, where alone it is called."""
        if self.alone:
            return make()
        found: list[Any] = [make() if self.main else None]
        dist.broadcast_object_list(found, src=0, group=self._hosts)
        answer: T = found[0]
        return answer

    @contextlib.contextmanager
    def one_first(self) -> Iterator[None]:
        """The first rank of each host goes through, then its others: who finds, need not fetch."""
        first = self.alone or self.fabric.local_rank == 0
        if not first:
            dist.barrier(group=self._hosts)
        try:
            yield
        finally:
            if first and not self.alone:
                dist.barrier(group=self._hosts)

    def require_same(self, plan: EpochPlan, epoch: int) -> None:
        """See that every rank has planned the same epoch: one small collective.

        Raises:
            RuntimeError: they differ; nobody has trained on it yet.
        """
        if self.alone:
            return
        digest = hashlib.blake2b(digest_size=8)
        for ids in (plan.indices, plan.refresh):
            digest.update(b"none" if ids is None else ids.cpu().numpy().tobytes())
        digest.update(repr((epoch, plan.lr_scale, plan.batch_ratio)).encode())
        mine = int.from_bytes(digest.digest(), "big", signed=True)
        ends = torch.tensor([mine, ~mine])  # ~x falls as x grows, and has no overflow
        dist.all_reduce(ends, dist.ReduceOp.MAX, group=self._hosts)
        if ends[0] != ~ends[1]:
            raise RuntimeError(f"epoch {epoch}: the ranks' plans differ, so their tables do too")

    # ---------------------------------------------------------------- between devices

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over the ranks of a float tensor on the device."""
        return tensor if self.alone else self._reduced(tensor, dist.ReduceOp.SUM) / self.world_size

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over the ranks of a tensor on the device."""
        return tensor if self.alone else self._reduced(tensor, dist.ReduceOp.SUM)

    def most(self, tensor: Tensor) -> Tensor:
        """The largest of the ranks' values of a tensor on the device."""
        return tensor if self.alone else self._reduced(tensor, dist.ReduceOp.MAX)

    def total(self, *counts: int) -> list[int]:
        """The sums over the ranks of host integers, exact to 2^63."""
        if self.alone:
            return list(counts)
        mine = torch.tensor(counts, dtype=torch.int64)
        dist.all_reduce(mine, group=self._hosts)
        return [int(count) for count in mine.tolist()]

    def _reduced(self, tensor: Tensor, how: Any) -> Tensor:  # noqa: ANN401 - RedOpType is private
        found = tensor.clone()
        dist.all_reduce(found, how)
        return found

    def share_buffers(self, model: nn.Module) -> None:
        """Give rank 0's buffers to all: its running statistics are the model's, as under DDP."""
        for buffer in () if self.alone else model.buffers():
            dist.broadcast(buffer, src=0)

    def no_sync(self, model: Any, skip: bool) -> contextlib.AbstractContextManager[Any]:  # noqa: ANN401 - Fabric's
        """Around all micro-batches but the last: their gradients need not travel."""
        if self.alone or not skip:
            return contextlib.nullcontext()
        return self.fabric.no_backward_sync(model)

    # ---------------------------------------------------------------- shares of the work

    def share(self, items: Iterable[T]) -> Iterator[tuple[T, bool]]:
        """This rank's of `items`, and whether each counts.

        All ranks get equally many (sharded parameters are gathered in every pass): where they do
        not divide evenly, a rank gets the first one again, to go through and to forget.
        """
        first, mine, number = None, 0, -1
        for number, item in enumerate(items):
            first = item if number == 0 else first
            if number % self.world_size == self.rank:
                mine += 1
                yield item, True
        if first is not None and mine * self.world_size < number + 1:
            yield first, False

    def share_ids(self, ids: Tensor) -> Tensor:
        """This rank's of `ids` [h]: every W-th, [ceil(h / W)]; the last may be another's again."""
        size = -(-len(ids) // self.world_size) * self.world_size
        return ids[torch.arange(size) % len(ids)][self.rank :: self.world_size]
