"""Replay: train on what another run picked, without scoring anything.

No method of its own but another run's picks: the samples, their order, batches, weights and
learning-rate factors are those of the trace, so that what was picked is parted from what picking
costs. With the model and the seed of the recorded run its weights come out again, bit for bit; with
another model, that run was the proxy that chose for it.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from es_repro.selection.base import EpochPlan, NonFinite, Selector
from es_repro.selection.checks import as_int, as_real, require
from es_repro.selection.sampling import count

__all__ = ["EpochTrace", "Replay", "Trace", "pack_bits", "unpack_bits"]

_BITS = 8


@dataclass(frozen=True, eq=False)
class EpochTrace:
    """What one epoch of a run was made of.

    Attributes:
        planned: [ceil(n/8)] uint8, a bit a sample: the epoch's plan.
        trained: [ceil(n/8)] uint8, likewise: those of them that were back-propagated.
        steps: pairs (rows, times): steps that trained so many rows, in order, on each rank.
        lr_scale: as of the plan.
        batch_ratio: as of the plan.
        weights: [k] float32: how much each planned sample, in the order of ids, counts in the
            objective; None: all once.
    """

    planned: Tensor
    trained: Tensor
    steps: tuple[tuple[int, int], ...]
    lr_scale: float = 1.0
    batch_ratio: float = 1.0
    weights: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run was trained on, epoch by epoch.

    Attributes:
        num_samples: n.
        num_epochs: E; a run that ended after its steps may have come to fewer `epochs`.
        seed: of the order in which samples were visited.
        meta_batch_size: B, over all ranks.
        world_size: number of ranks.
        method: what picked.
        epochs: from the first on.
        batch_ratio: b/B of a selecting epoch, None where none was.
        nonfinite: what the run did about losses that were not finite.
        data: the data's fingerprint.

    Raises:
        ValueError: numbers that cannot be a run's; the message names the first.
    """

    num_samples: int
    num_epochs: int
    seed: int
    meta_batch_size: int
    world_size: int
    method: str
    epochs: tuple[EpochTrace, ...] = field(repr=False)
    batch_ratio: float | None = None
    nonfinite: NonFinite = "raise"
    data: str = ""

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_epochs", "meta_batch_size", "world_size"):
            as_int(name, getattr(self, name), minimum=1)
        as_int("seed", self.seed)
        for number, epoch in enumerate(self.epochs):
            self._check(f"epoch {number}: ", epoch)

    def _check(self, where: str, epoch: EpochTrace) -> None:
        size, masks = -(-self.num_samples // _BITS), []
        for name, bits in (("planned", epoch.planned), ("trained", epoch.trained)):
            right = bits.dtype == torch.uint8 and bits.shape == (size,)
            told = f"{bits.dtype} {tuple(bits.shape)}"
            require(right, where + name, told, f"torch.uint8 ({size},), a bit a sample")
            masks.append(unpack_bits(bits, self.num_samples))
        planned, trained = masks
        strangers = int((trained & ~planned).sum())
        require(strangers == 0, f"{where}samples trained but not planned", strangers, "none")
        rows = self.world_size * sum(rows * times for rows, times in epoch.steps)
        distinct = int(trained.sum())
        require(rows == distinct, f"{where}rows of its steps", rows, f"{distinct}, as trained")
        as_real(f"{where}lr_scale", epoch.lr_scale, "[0, inf)")
        as_real(f"{where}batch_ratio", epoch.batch_ratio, "(0, 1]")
        if epoch.weights is not None:
            shape, fitting = tuple(epoch.weights.shape), (int(planned.sum()),)
            require(shape == fitting, f"{where}weights.shape", shape, f"{fitting}, as planned")

    @cached_property
    def picks_in_batches(self) -> bool:
        """Whether parts of batches were picked, so that it matters how batches are cut."""
        return any(not torch.equal(epoch.planned, epoch.trained) for epoch in self.epochs)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that determines what a replay trains on: 16 hex digits."""
        digest = hashlib.blake2b(digest_size=8)
        facts = (self.num_samples, self.num_epochs, self.seed, self.nonfinite)
        cut = (self.meta_batch_size, self.world_size) if self.picks_in_batches else ()
        digest.update(repr((facts, cut)).encode())
        for epoch in self.epochs:
            digest.update(repr((epoch.steps if cut else (), epoch.lr_scale)).encode())
            digest.update(repr(epoch.batch_ratio).encode())
            for tensor in (epoch.planned, epoch.trained, epoch.weights):
                values = [] if tensor is None else tensor.contiguous().view(torch.uint8).tolist()
                digest.update(bytes(values) + b";")
        return digest.hexdigest()

    @property
    def as_method(self) -> dict[str, str]:
        """What stands as the `method` in the config of a run that follows it."""
        return {"name": Replay.method_name(), "of": self.method, "trace": self.fingerprint}

    def num_rows(
        self, meta_batch_size: int, world_size: int = 1, max_steps: int | None = None
    ) -> int:
        """How many rows a replay back-propagates, over all its ranks.

        Args:
            meta_batch_size: B of the replay, divisible by `world_size`.
            world_size: W of the replay.
            max_steps: after which it ends; None: after its epochs.

        Raises:
            ValueError: it would go on after the last step of the run that it follows.
        """
        rows, steps, most = 0, 0, math.inf if max_steps is None else max_steps
        for epoch in self.epochs:
            planned = self._planned_steps(epoch, meta_batch_size, world_size)
            for size, times in epoch.steps if self.picks_in_batches else planned:
                taken = int(min(times, most - steps))
                rows, steps = rows + size * taken * world_size, steps + taken
        allowed = f"at most {steps}, the steps of the replayed run"
        require(steps == most or not self._ends_early, "max_steps", max_steps, allowed)
        return rows

    @property
    def _ends_early(self) -> bool:
        """Whether the run ended after some steps, with a part of its epochs before it."""
        if len(self.epochs) < self.num_epochs or not self.picks_in_batches:
            return len(self.epochs) < self.num_epochs
        last = self.epochs[-1]
        planned = self._planned_steps(last, self.meta_batch_size, self.world_size)
        return sum(times for _, times in last.steps) < sum(times for _, times in planned)

    def _planned_steps(
        self, epoch: EpochTrace, meta_batch_size: int, world_size: int
    ) -> tuple[tuple[int, int], ...]:
        """The batches that each rank makes of a plan, as of `EpochTrace.steps`."""
        planned = int(unpack_bits(epoch.planned, self.num_samples).sum())
        size = count(epoch.batch_ratio, meta_batch_size // world_size)
        whole, rest = divmod(planned // world_size, size)
        return (size, whole), (rest, int(rest > 0))


class Replay(Selector):
    """Plans and picks from a trace; it keeps no table, and observes losses only to watch them.

    Args:
        num_samples: n, as of the trace.
        num_epochs: E, as of the trace.
        device: where the losses live.
        seed: of nothing: the trace's own orders the samples.
        trace: of the run to be followed.

    Raises:
        ValueError: a trace of another n or E; the message names it.
    """

    is_method = False

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        trace: Trace,
    ) -> None:
        nonfinite = trace.nonfinite
        super().__init__(num_samples, num_epochs, device=device, seed=seed, nonfinite=nonfinite)
        for name, mine in (("num_samples", self.num_samples), ("num_epochs", self.num_epochs)):
            theirs = getattr(trace, name)
            require(theirs == mine, f"replay {name}", theirs, f"{mine}, as of this run")
        self.trace, self.order_seed, self.batch_ratio = trace, trace.seed, trace.batch_ratio
        self._trained = self._new_table("trained", 0, torch.bool)
        self._weights = self._new_table("weights", 1.0)
        self._strangers = self._new_table("strangers", 0, torch.int64, scalar=True)
        self._rows: list[int] = []
        self._picked = 0  # batches of the epoch

    @property
    def selects_batches(self) -> bool:
        """Whether the epoch now planned left out a part of its batches."""
        epoch = self._recorded(self.epoch)
        return not torch.equal(epoch.planned, epoch.trained)

    @property
    def needs_losses(self) -> bool:
        return False

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The trace, by its content."""
        return {"trace": self.trace.fingerprint}

    def check_cut(self, meta_batch_size: int, world_size: int) -> None:
        trace = self.trace
        mine = {"meta_batch_size": meta_batch_size, "world_size": world_size}
        for name, value in mine.items() if trace.picks_in_batches else ():
            theirs = getattr(trace, name)
            allowed = f"{theirs}, as of the replayed run, which picked parts of such batches"
            require(value == theirs, name, value, allowed)

    def check(self) -> None:
        super().check()
        if strangers := int(self._strangers):
            raise RuntimeError(
                f"replay: {strangers} rows were trained that the replayed run had not picked: "
                "batches were cut otherwise than there"
            )

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        recorded = self._recorded(self.epoch)
        n, device = self.num_samples, self.device
        ids = unpack_bits(recorded.planned, n).nonzero().squeeze(1)
        self._trained.copy_(unpack_bits(recorded.trained, n))
        self._weights.fill_(1.0)
        if recorded.weights is not None:
            self._weights[ids.to(device)] = recorded.weights.to(device)
        self._read_steps()
        self._picked = 0
        return EpochPlan(ids, lr_scale=recorded.lr_scale, batch_ratio=recorded.batch_ratio)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"picked": self._picked}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._picked = state["picked"]
        self._read_steps()

    def _pick(self, index: Tensor, losses: Tensor) -> Tensor:
        return self._pick_unscored(index)

    def _pick_unscored(self, index: Tensor) -> Tensor:
        # Not the batches observed: of one whose gradients are accumulated each piece is.
        step, steps = self._picked, len(self._rows)
        self._picked += 1
        allowed = f"below {steps}, the steps of the replayed run in epoch {self.epoch}"
        require(step < steps, "step of the epoch", step, allowed)
        # How many is known from the trace: asking the device would wait for it.
        rows = min(self._rows[step], len(index))
        picked = self._trained.index_select(0, index)
        positions = picked.float().topk(rows, sorted=False).indices.sort().values
        self._strangers += rows - picked.index_select(0, positions).sum()
        return positions

    def _weighted(self, index: Tensor, losses: Tensor) -> Tensor:
        return self._weights.index_select(0, index) * losses

    def _read_steps(self) -> None:
        steps = self._recorded(self.epoch).steps
        self._rows = [rows for rows, times in steps for _ in range(times)]

    def _recorded(self, epoch: int) -> EpochTrace:
        there = len(self.trace.epochs)
        allowed = f"below {there}, the epochs that the replayed run came to"
        require(epoch < there, "epoch", epoch, allowed)
        return self.trace.epochs[epoch]


def pack_bits(mask: Tensor) -> Tensor:
    """A bit a sample: mask [n] bool -> [ceil(n/8)] uint8; sample i is bit i % 8 of byte i // 8."""
    padded = torch.zeros(-(-len(mask) // _BITS) * _BITS, dtype=torch.uint8, device=mask.device)
    padded[: len(mask)] = mask
    powers = 2 ** torch.arange(_BITS, device=mask.device)
    return (padded.view(-1, _BITS) * powers).sum(1).to(torch.uint8)


def unpack_bits(bits: Tensor, num_samples: int) -> Tensor:
    """The mask [n] bool that `pack_bits` made `bits` of."""
    places = torch.arange(_BITS, dtype=torch.uint8, device=bits.device)
    spread = (bits.unsqueeze(1) >> places) & 1
    return spread.flatten()[:num_samples].bool()
