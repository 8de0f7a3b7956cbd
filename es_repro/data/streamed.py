"""A loader for data that does not fit in memory: images are decoded as the epoch's plan asks."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from es_repro.data.augmentation import normalise, scale_and_shift
from es_repro.data.base import wanted
from es_repro.data.cuts import Rows
from es_repro.data.decoding import EVALUATION, Decoded, Part, Pictures, Problem, Stored
from es_repro.data.errors import DataDamaged
from es_repro.data.images import SplitName
from es_repro.data.transfer import on_device, to_device
from es_repro.data.transforms import Views
from es_repro.data.workers import Workers
from es_repro.rows import Batch
from es_repro.selection import EpochPlan, PlannedBatchSampler, require
from es_repro.selection.checks import as_int, require_bool

__all__ = ["StreamedData", "StreamedLoader"]

log = logging.getLogger(__name__)

Images = tuple[Tensor, Tensor, Tensor]  # index, pixels or inputs, targets


@dataclass(frozen=True, eq=False)
class StreamedData:
    """What a run trains and evaluates on, still in its files.

    Attributes:
        stored: both splits, by `train` and `test`.
        train: the samples that have ids 0..n-1.
        evaluation: never trained on, labels clean.
        split: what `evaluation` is: the test split, or a validation cut of the training one.
        num_classes: C.
        views: how images look.
        cached: decode every image once, into memory, at `views.resize`.
        max_damaged: how many images may be damaged, and are left out, before the run stops.
        num_workers: processes that decode; 0: the run's own.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    stored: dict[str, Stored]
    train: Rows
    evaluation: Rows
    split: SplitName
    num_classes: int
    views: Views
    cached: bool = False
    max_damaged: int = 0
    num_workers: int = 0

    def __post_init__(self) -> None:
        require_bool("cached", self.cached)
        as_int("max_damaged", self.max_damaged, minimum=0)
        as_int("num_workers", self.num_workers, minimum=0)

    @property
    def num_samples(self) -> int:
        """n, the samples to train on."""
        return len(self.train)

    @property
    def corrupted(self) -> Tensor | None:
        """[n] bool: the samples whose label noise has flipped; None: there is no noise."""
        return self.train.corrupted

    @property
    def fingerprint(self) -> str:
        """Hash of the listings (names or row groups, sizes, labels): pixels would take hours."""
        digest = hashlib.sha256()
        for split in ("train", "test"):
            digest.update(self.stored[split].listing)
        return digest.hexdigest()

    @property
    def facts(self) -> dict[str, int]:
        """What a model or a task may ask for, by name."""
        return {
            "num_classes": self.num_classes, "in_channels": 3,
            "image_size": self.views.image_size,
        }  # fmt: skip

    def loader(
        self, sampler: PlannedBatchSampler, *, seed: int, device: torch.device
    ) -> "StreamedLoader":
        """Batches of the planned samples, decoded as they are planned."""
        return StreamedLoader(self, sampler, seed=seed, device=device)


class StreamedLoader:
    """Meta-batches of the planned samples, decoded by workers that live as long as the loader.

    What a sample looks like is a function of (seed, epoch, id): not of the plan, the order, the
    batch size or the number of workers. Whether an image is left out as damaged depends on its
    bytes alone, so that all workers decide alike; its id is then missing from its batch, which is
    so much shorter, and no selector ever sees it. A batch keeps its place and at least one image.
    Several ranks tolerate none, for they exchange the losses of equally many rows.

    Args:
        data: the data set.
        sampler: says which samples an epoch visits, in which order and batches.
        seed: of the augmentation.
        device: where batches appear.

    Attributes:
        num_samples, num_classes: n and C.
        labels: [n] int64 on the device.
        corrupted: [n] bool on the device, flipped labels; None: there is no noise.
        split: what `evaluation` answers, test or validation.
        damaged: distinct images left out so far, by this process since it started.
    """

    def __init__(
        self, data: StreamedData, sampler: PlannedBatchSampler, *, seed: int, device: torch.device
    ) -> None:
        # Ranks exchange the losses of equally many rows: a batch must not come short on one alone.
        whole = data.max_damaged == 0 or sampler.world_size == 1
        allowed = "0 where several ranks train one run"
        require(whole, "dataset.max_damaged", data.max_damaged, allowed)
        self.sampler, self.split, self.num_classes = sampler, data.split, data.num_classes
        self.num_samples, self.device = data.num_samples, torch.device(device)
        self.labels = data.train.targets.to(self.device)
        self.corrupted = on_device(data.corrupted, self.device)
        resize = data.views.resize if data.cached else None
        train, held = (
            Part(data.stored[chosen.split], chosen, resize)
            for chosen in (data.train, data.evaluation)
        )
        train.fill()
        held.fill()
        self._pictures = Pictures(train, held, data.views, as_int("seed", seed))
        self.num_evaluated = len(data.evaluation)
        self._held = torch.arange(self.num_evaluated)
        pinned = self.device.type == "cuda"
        self._workers = Workers(self._pictures, data.num_workers, pinned=pinned)
        self._most_damaged, self._damaged = data.max_damaged, set[str]()
        views = data.views
        self._affine = scale_and_shift(views.mean, views.std, views.image_size, self.device)
        self._epoch: int | None = None

    @property
    def damaged(self) -> int:
        """How many distinct images were left out so far."""
        return len(self._damaged)

    @property
    def plan(self) -> EpochPlan:
        """The plan of the epoch set last.

        Raises:
            RuntimeError: none was set.
        """
        if self.sampler.plan is None:
            raise RuntimeError("no epoch is planned yet: call set_epoch(epoch) first")
        return self.sampler.plan

    def set_epoch(self, epoch: int) -> None:
        """Let the sampler plan an epoch; nothing is decoded yet."""
        self.sampler.set_epoch(epoch)
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.sampler)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """The epoch's meta-batches from the `start`-th on; those before it are not decoded.

        Yields:
            index [m] int64, inputs [m, 3, S, S] and targets [m] int64, on the device.

        Raises:
            DataDamaged: too many images are damaged, or all of one batch.
        """
        ids, size = self.sampler.indices, self.sampler.batch_size
        pieces = [ids[at * size : (at + 1) * size] for at in range(start, len(self))]
        return self._stream(self._planned(), pieces)

    def visit(self, ids: Tensor, batch_size: int) -> Iterator[Batch]:
        """Batches of given ids [k], in their order, as they look in this epoch."""
        return self._stream(self._planned(), ids.cpu().split(batch_size))

    def evaluation(
        self, batch_size: int, numbers: Iterable[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of the evaluation split, in its order, not augmented.

        Args:
            batch_size: images a batch.
            numbers: of the batches wanted; None: all. The others are not decoded.
        """
        pieces = wanted(self._held.split(batch_size), numbers)
        for _, inputs, targets in self._stream(EVALUATION, pieces):
            yield inputs, targets

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """What `batches` must have yielded for these ids, made one by one in this process.

        Args:
            index: [m] int64, of images that are whole.

        Returns:
            inputs [m, 3, S, S] and targets [m], on the device.

        Raises:
            DataDamaged: one of them is not.
        """
        epoch = self._planned()
        found = [self._pictures.__getitems__([(epoch, sample)]) for sample in index.tolist()]
        for one in found:
            if one.problems:
                raise self._stop(one.problems[0])
        pixels = torch.cat([one.pixels for one in found]).to(self.device)
        targets = torch.cat([one.targets for one in found]).to(self.device)
        return normalise(pixels, *self._affine), targets

    def _stream(self, epoch: int, pieces: Sequence[Tensor]) -> Iterator[Images]:
        asked = [[(epoch, sample) for sample in ids.tolist()] for ids in pieces]
        whole = self._without_damage(self._workers.answers(asked))
        for index, pixels, targets in to_device(whole, self.device):
            yield index, normalise(pixels, *self._affine), targets

    def _without_damage(self, answers: Iterable[Decoded]) -> Iterator[Images]:
        """The images that are whole; the others are named and counted."""
        for decoded in answers:
            for problem in decoded.problems:
                self._leave_out(problem)
            if len(decoded.ids) == 0:
                raise DataDamaged(
                    f"{decoded.problems[0].name}: no image of its batch decodes, and a batch needs "
                    "one; fetch them again, or delete them"
                )
            yield decoded.ids, decoded.pixels, decoded.targets

    def _leave_out(self, problem: Problem) -> None:
        if problem.name in self._damaged:
            return
        self._damaged.add(problem.name)
        if not problem.damaged or len(self._damaged) > self._most_damaged:
            raise self._stop(problem)
        log.warning("%s: %s; left out", problem.name, problem.reason)

    def _stop(self, problem: Problem) -> DataDamaged:
        if not problem.damaged:
            return DataDamaged(f"{problem.name}: {problem.reason}")
        way = f"leave out up to N such images with dataset.max_damaged=N (now {self._most_damaged})"
        if self.sampler.world_size > 1:
            way = "delete it: several ranks leave none out"
        return DataDamaged(f"{problem.name}: {problem.reason}; fetch it again, or {way}")

    def _planned(self) -> int:
        if self._epoch is None:
            raise RuntimeError("no epoch is planned yet: call set_epoch(epoch) first")
        return self._epoch
