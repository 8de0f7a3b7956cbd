"""A selector in a training loop of one's own: the loader, the loss of a batch, and resume."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Sampler

from es_repro.selection.base import EpochPlan, Selector
from es_repro.selection.batches import Collate, Indexed, IndexedBatch, IndexedCollate, take_rows
from es_repro.selection.checks import require
from es_repro.selection.exchange import TableExchange, with_own_stream
from es_repro.selection.foreign import Foreign, as_selector
from es_repro.selection.sampler import PlannedBatchSampler
from es_repro.selection.scoring import (
    collate_mixes,
    depends_on_other_rows,
    replayed,
    scoring_pass,
)
from es_repro.selection.streams import stream

__all__ = ["LossesOf", "Selection", "require_ids", "require_raising"]

LossesOf = Callable[[nn.Module, Any], Tensor | tuple[Tensor, Mapping[str, Tensor]]]

OURS = ("batch_size", "batch_sampler", "drop_last", "generator", "sampler", "shuffle")


class Selection:
    """Carries a selector through a loop: `epoch` delivers batches, `loss` turns one into a scalar.

    On several ranks (torch.distributed being initialised before) each loads its share of the
    meta-batch, and the tables stay equal.

    Args:
        selector: the method.
        model: what is trained; in a data-parallel wrapper, or compiled, where it is.
        losses_of: ``losses_of(model, data)`` answers the losses [m] of what ``collate_fn`` made, or
            the losses and the signals [m, ...] by name which the selector asks for.
        dataset: map-style, of `selector.num_samples` samples.
        meta_batch_size: B over all ranks.
        collate_fn: torch's default where None.
        seed: of the order of the batches; None: the selector's.
        drop_last: leave out a short last meta-batch.
        check_rows: see once, on the first batch, that a row's loss is its own.
        **loader_options: DataLoader's others: num_workers, persistent_workers, pin_memory, ...

    Raises:
        ValueError: a value that does not fit; the message names it.
    """

    def __init__(
        self,
        selector: Selector,
        model: nn.Module,
        losses_of: LossesOf,
        dataset: Any,  # noqa: ANN401 - anything with items and a length
        meta_batch_size: int,
        *,
        collate_fn: Collate | None = None,
        seed: int | None = None,
        drop_last: bool = False,
        check_rows: bool = True,
        **loader_options: Any,  # noqa: ANN401 - passed on to DataLoader
    ) -> None:
        for name in (name for name in OURS if name in loader_options):
            require(False, name, loader_options[name], "left out: the plan decides it")
        selector = as_selector(selector)
        self._samples = Indexed(dataset)
        n = len(self._samples)
        allowed = f"{n}, the length of the data set"
        require(selector.num_samples == n, "num_samples", selector.num_samples, allowed)
        require_raising(selector)
        seed = selector.seed if seed is None else seed
        self.selector, self.model, self.losses_of = selector, model, losses_of
        several = dist.is_available() and dist.is_initialized()
        rank, world_size = (dist.get_rank(), dist.get_world_size()) if several else (0, 1)
        self.sampler = PlannedBatchSampler(
            selector, meta_batch_size, seed=seed, rank=rank, world_size=world_size,
            drop_last=drop_last,
        )  # fmt: skip
        self._exchange = TableExchange(selector, rank, world_size)
        self._cut, self._collate = _Cut(self.sampler), IndexedCollate(collate_fn)
        self._mixes = check_rows and collate_fn is not None
        self._unchecked = check_rows
        self.loader: DataLoader[Any] = self._load(self._cut, loader_options)
        self._options = loader_options | {"persistent_workers": False}
        self._epoch = self._position = 0  # batches of the epoch that have been handed out
        self._expected: list[list[int]] = []  # the ids of all of them, on this rank

    # ---------------------------------------------------------------- the loop

    @property
    def epochs(self) -> range:
        """The epochs that are still to be trained, the one interrupted being the first."""
        return range(self._epoch, self.selector.num_epochs)

    def epoch(self, epoch: int) -> Iterator[IndexedBatch]:
        """The batches of an epoch on the selector's device, after a resume those that are left.

        Raises:
            RuntimeError: the loader's batches are not the plan's.
        """
        self.begin(epoch)
        batches = iter(self.loader)
        while self._position < len(self._expected):
            yield self.follow(next(batches, None)).to(self.selector.device)
        self.finish()

    def loss(self, batch: IndexedBatch) -> Tensor:
        """The scalar to differentiate: score the batch, pick its rows, reduce their losses.

        Args:
            batch: as `epoch` delivers it.

        Raises:
            ValueError: no such batch, ids out of range or twice, or losses that are not [m].
        """
        return self.objective(self.pick(batch))

    def pick(self, batch: IndexedBatch) -> IndexedBatch:
        """The rows to train on: all where nothing is selected, else those that the scores say."""
        require_ids(batch, self.selector.num_samples)
        self._check_rows(batch)
        self._exchange.receive()
        if not self.selector.selects_batches:
            return batch
        if not self.selector.needs_losses:
            return batch.take(self.selector.select(batch.index, None))
        with scoring_pass(self._bare, self.selector.device):
            losses, signals = self._losses(self._bare, batch)
        picked = self.selector.select(batch.index, losses, **signals)
        self._exchange.send_rows(batch.index, losses, signals)
        return replace(batch.take(picked), scored=True)

    def objective(self, rows: IndexedBatch, of: IndexedBatch | None = None) -> Tensor:
        """The scalar of the rows of `pick`, or of a piece of them: the pieces' scalars add up.

        Args:
            rows: picked, whole or a piece of its `split`.
            of: what they are a piece of.
        """
        losses, signals = self._losses(self.model, rows)
        if not rows.scored:
            self._exchange.receive()  # of the piece before
            seen = losses.detach()
            self.selector.observe(rows.index, seen, **signals)
            self._exchange.send_rows(rows.index, seen, signals)
        share = 1.0 if of is None else len(rows.index) / len(of.index)
        return self.selector.reduce(rows.index, losses) * share

    # ---------------------------------------------------------------- around it

    @property
    def unfinished(self) -> bool:
        """Whether batches of an epoch were handed out that `finish` has not ended."""
        return self._position > 0

    @property
    def plan(self) -> EpochPlan:
        """Of the epoch at hand; after the last one, its own."""
        return self.selector.plan_epoch(min(self._epoch, self.selector.num_epochs - 1))

    @property
    def progress(self) -> float:
        """Share of the run before the batch at hand, in [0, 1): right for epochs of any length."""
        return self.progress_of(1)

    def progress_of(self, accumulated: int) -> float:
        """The same where so many batches make a step: of the first batch of the step at hand."""
        before = max(0, self._position - 1) // accumulated * accumulated
        done = before / max(1, len(self.sampler))
        return min(1.0, (self._epoch + done) / self.selector.num_epochs)

    @property
    def lr_scale(self) -> float:
        """What the plan multiplies the learning rate by, on top of its schedule."""
        return self.plan.lr_scale

    def state_dict(self) -> dict[str, Any]:
        """What a run goes on from, at the end of a step; on several ranks called by all.

        Each rank's serves them all: it holds the draws of every rank.

        Raises:
            FloatingPointError: a loss was not finite, so that this state is not worth keeping.
        """
        self._exchange.settle()
        self.selector.check()
        state = {"epoch": self._epoch, "position": self._position, "seed": self.sampler.seed}
        selector = self.selector.state_dict()
        return state | {"selector": selector, "streams": self._exchange.everyones_streams(selector)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state: `epochs` and `epoch` begin where it was taken.

        Raises:
            ValueError: another method, data set or hyper-parameter, which is named; or no state of
                a Selection.
        """
        keys = {"epoch", "position", "seed", "selector", "streams"}
        require(set(state) == keys, "state", sorted(state), f"of the keys {sorted(keys)}")
        own = with_own_stream(state["selector"], self.sampler.rank, state["streams"])
        self.selector.load_state_dict(own)
        self.sampler.seed = state["seed"]
        self._epoch, self._position = state["epoch"], state["position"]

    # ---------------------------------------------------------------- for trainers that iterate

    def begin(self, epoch: int) -> None:
        """Plan an epoch: the next iterator over `loader` has the batches that are left of it."""
        self._exchange.settle()
        if (parameter := next(self.model.parameters(), None)) is not None:
            require_device(self.selector, parameter.device)
        self.sampler.set_epoch(epoch)
        if epoch != self._epoch:
            self._epoch, self._position = epoch, 0
        self._expected = list(self.sampler)
        self._cut.start = self._position

    def follow(self, batch: object) -> IndexedBatch:
        """Count a batch that the loader delivered, before it leaves the host.

        Raises:
            RuntimeError: it is not the one that is planned next.
        """
        at = self._position
        ids = self._expected[at] if at < len(self._expected) else None
        if not isinstance(batch, IndexedBatch) or batch.index.tolist() != ids:
            raise RuntimeError(
                f"epoch {self._epoch}, batch {at}: the loader does not deliver the planned "
                "samples; was its sampler replaced? The plan is dealt out to the ranks already"
            )
        self._position += 1
        return batch

    def settle(self) -> None:
        """Wait for what the other ranks have met: all tables are equal from here on."""
        self._exchange.settle()

    def finish(self) -> None:
        """End the epoch: re-score what the plan hid, and let the ranks' tables be equal.

        Raises:
            FloatingPointError: a loss of the epoch was not finite; names the ids.
        """
        self._refresh()
        self._exchange.settle()
        self.selector.check()
        self._epoch, self._position = self._epoch + 1, 0

    # ---------------------------------------------------------------- within

    def _refresh(self) -> None:
        """Re-score the samples that the plan hid, without gradient (KAKURENBO)."""
        hidden = self.plan.refresh
        if hidden is None:
            return
        mine, size = self._exchange.share_ids(hidden), self.sampler.rank_batch_size
        batches = self._load([ids.tolist() for ids in torch.split(mine, size)], self._options)
        seen = []
        for batch in batches:
            with scoring_pass(self._bare, self.selector.device):
                seen.append(self._losses(self._bare, batch.to(self.selector.device)))
        losses = torch.cat([losses for losses, _ in seen])
        signals = {name: torch.cat([s[name] for _, s in seen]) for name in self.selector.signals}
        losses, everyones = self._exchange.everyones_rows(hidden, losses, signals)
        self.selector.observe(hidden.to(losses.device), losses, **everyones)

    def _load(self, batches: Any, options: Mapping[str, Any]) -> DataLoader[Any]:  # noqa: ANN401
        return _Loader(
            self.sampler,
            self._samples,
            batch_sampler=batches,
            collate_fn=self._collate,
            **options,
        )

    @property
    def _bare(self) -> nn.Module:
        """The model without the wrapper whose forward would make ready for a backward."""
        if isinstance(self.model, DistributedDataParallel):
            bare: nn.Module = self.model.module
            return bare
        return self.model

    def _losses(self, model: nn.Module, rows: IndexedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Losses [m] float32, and the signals asked for, detached."""
        found = self.losses_of(model, rows.data)
        losses, offered = (found, {}) if isinstance(found, Tensor) else found
        missing = sorted(self.selector.signals - offered.keys())
        allowed = f"with {', '.join(missing)} too, as {self.selector.method_name()} asks for: "
        allowed += f"return losses, {{{missing[0]!r}: ...}}" if missing else ""
        require(not missing, "losses_of: signals", sorted(offered), allowed)
        return losses.float(), {name: offered[name].detach() for name in self.selector.signals}

    def _check_rows(self, batch: IndexedBatch) -> None:
        """See once that rows stand for themselves: a mixed row's loss is no sample's."""
        if not self._unchecked:
            return
        self._unchecked = False
        ids, device = batch.index.tolist(), self.selector.device
        if self._mixes:
            mixed = collate_mixes(self._samples, ids, lambda rows: self._collate(rows).data, device)
            require(not mixed, "collate_fn", self._collate.collate_fn, MIXED)

        def losses_at(places: list[int]) -> Tensor:
            rows = take_rows(batch.data, batch.index.new_tensor(places), len(ids))
            return self._losses(self._bare, IndexedBatch(batch.index, rows))[0]

        with replayed(0, device, self._bare):
            losses = losses_at(list(range(len(ids))))
        self.selector.reduce(batch.index, losses)  # refuses what is not [m]
        mixed = depends_on_other_rows(len(ids), losses_at, device, self._bare)
        require(not mixed, "losses_of", self.losses_of, MIXED)


MIXED = (
    "such that a row does not depend on the rows beside it (mixup, cutmix, a loss over the batch):"
    " a mixed row's loss is no sample's; check_rows=False goes on regardless"
)


class _Loader(DataLoader[Any]):
    """Seeds its workers by (seed, epoch), however often it is iterated; no global generator.

    Persistent ones keep the seeds of the epoch that they began in.
    """

    def __init__(self, plan: PlannedBatchSampler, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self._plan = plan

    def __iter__(self) -> Any:  # noqa: ANN401 - torch's own iterator
        self.generator = stream(self._plan.seed, "workers", self._plan.selector.epoch)
        return super().__iter__()


class _Cut(Sampler[list[int]]):
    """The batches of a sampler from one of them on; trainers count those before it too."""

    def __init__(self, sampler: PlannedBatchSampler) -> None:
        self.sampler, self.start = sampler, 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(list(self.sampler)[self.start :])


def require_raising(selector: Selector) -> None:
    """Refuse `nonfinite="skip"` where nobody skips the step of such losses.

    Raises:
        ValueError: it is.
    """
    allowed = "'raise': in this loop the optimizer takes the step of a loss that is not finite"
    require(selector.nonfinite == "raise", "nonfinite", selector.nonfinite, allowed)


def require_device(selector: Selector, device: torch.device) -> None:
    """Refuse a selector whose tables lie elsewhere than the losses of a model on `device` will.

    Raises:
        ValueError: it does.
    """
    silent = isinstance(selector, Foreign) and not hasattr(selector.inner, "device")
    if silent or device.type in ("cpu", "meta"):  # parameters may wait there for their turn
        return
    allowed = f"{device.type}, where the model lies: create(..., device={device.type!r})"
    require(selector.device.type == device.type, "selector.device", str(selector.device), allowed)


def require_ids(batch: object, num_samples: int) -> None:
    """Refuse a batch without ids, and, where they lie on the host, ids that cannot be right.

    Raises:
        ValueError: names what is wrong.
    """
    if not isinstance(batch, IndexedBatch):
        raise ValueError(
            f"batch={type(batch).__name__}: must be an IndexedBatch, whose sample ids travel with "
            "it from the data set: take batches from Selection.epoch, or wrap with Indexed"
        )
    if batch.index.device.type != "cpu":
        return
    ids = batch.index.tolist()
    outside = [i for i in ids if not 0 <= i < num_samples]
    require(not outside, "index", outside[:5], f"in 0..{num_samples - 1}, the ids of the data set")
    twice = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    require(not twice, "index", twice[:5], "distinct: two rows of the batch have one id")
