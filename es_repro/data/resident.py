"""A loader for data that fits on the device: pixels live there as bytes and are augmented there."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from es_repro.data.augmentation import (
    Crops,
    Draws,
    draw,
    flip_some,
    normalise,
    scale_and_shift,
)
from es_repro.data.base import wanted
from es_repro.data.transfer import on_device
from es_repro.selection import EpochPlan, PlannedBatchSampler
from es_repro.selection.checks import as_int

if TYPE_CHECKING:  # they build this loader
    from es_repro.data.images import ImageData, Images

__all__ = ["ResidentLoader"]

Batch = tuple[Tensor, Tensor, Tensor]


class ResidentLoader:
    """Meta-batches of the planned samples, cut out of tensors on the device.

    `batches` and `visit` never wait for the device. What a sample looks like is a function of
    (seed, epoch, id): not of the plan, the order, the batch size or the device.

    Args:
        data: the data set.
        sampler: says which samples an epoch visits, in which order and batches.
        seed: of the augmentation.
        device: where pixels lie and batches appear.
        dtype: of the inputs.
        channels_last: memory format of the inputs.

    Attributes:
        num_samples, num_classes: n and C.
        labels: [n] int64 on the device.
        corrupted: [n] bool on the device, flipped labels; None: there is no noise.
        split: what `evaluation` answers, test or validation.
        plan: of the epoch set last.
    """

    def __init__(
        self,
        data: "ImageData",
        sampler: PlannedBatchSampler,
        *,
        seed: int,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = True,
    ) -> None:
        self.seed, self.device = as_int("seed", seed), torch.device(device)
        self.sampler, self.split, self.num_classes = sampler, data.split, data.num_classes
        self.num_samples = len(data.train)
        self.labels = data.train.targets.to(self.device)
        self.corrupted = on_device(data.corrupted, self.device)
        self.dtype = dtype
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.pad = data.pad if data.augment else 0
        self.flip = data.flip and data.augment
        self.train = data.train
        self.crops = Crops(_channels_behind(data.train, self.device), self.pad)
        self.num_evaluated = len(data.evaluation)
        self.held_pixels = _channels_behind(data.evaluation, self.device)
        self.held_targets = data.evaluation.targets.to(self.device)
        width = data.train.images.shape[-1]
        self.scale, self.shift = scale_and_shift(data.mean, data.std, width, self.device)
        self._order = self.labels[:0]
        self._draws: Draws | None = None

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
        """Let the sampler plan an epoch and draw its augmentation."""
        self.sampler.set_epoch(epoch)
        self._order = self.sampler.indices.to(self.device)
        self._draws = draw(
            self.num_samples,
            self.pad,
            flip=self.flip,
            seed=self.seed,
            epoch=epoch,
            device=self.device,
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """The epoch's meta-batches from the `start`-th on.

        Yields:
            index [m] int64, inputs [m, C, H, W] and targets [m] int64, on the device.
        """
        draws, order, size = self._drawn(), self._order, self.sampler.batch_size
        for position in range(start, len(self)):
            yield self._batch(order[position * size : (position + 1) * size], draws)

    def visit(self, ids: Tensor, batch_size: int) -> Iterator[Batch]:
        """Batches of given ids [k], in their order, as they look in this epoch."""
        draws, order = self._drawn(), ids.to(self.device, non_blocking=True)
        for begin in range(0, len(ids), batch_size):
            yield self._batch(order[begin : begin + batch_size], draws)

    def evaluation(
        self, batch_size: int, numbers: Iterable[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of the evaluation split, in its order, not augmented.

        Args:
            batch_size: images a batch.
            numbers: of the batches wanted; None: all.
        """
        pixels = wanted(self.held_pixels.split(batch_size), numbers)
        targets = wanted(self.held_targets.split(batch_size), numbers)
        for images, labels in zip(pixels, targets, strict=True):
            yield self._inputs(images), labels

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """What `batches` must have yielded for these ids, made one by one and another way.

        From the images as they were given, on the CPU where they still lie; equal bit for bit.

        Args:
            index: [m] int64.

        Returns:
            inputs [m, C, H, W] and targets [m], on the device.
        """
        draws, ids = self._drawn(), index.cpu()
        pixels = torch.stack([self._picture(sample, draws) for sample in ids.tolist()])
        return self._inputs(pixels.to(self.device)), self.train.targets[ids].to(self.device)

    def _picture(self, sample: int, draws: Draws) -> Tensor:
        """One augmented image, [H, W, C] uint8: its rows and columns looked up in the original."""
        image = self.train.images[sample]
        corner = int(draws.tops[sample]) - self.pad, int(draws.lefts[sample]) - self.pad
        ys, xs = (
            [_mirrored(at, size) for at in range(start, start + size)]
            for start, size in zip(corner, image.shape[1:], strict=True)
        )
        if int(draws.flips[sample]):
            xs.reverse()
        return image[:, ys][:, :, xs].permute(1, 2, 0)

    def _batch(self, index: Tensor, draws: Draws) -> Batch:
        pixels = self.crops.take(index, draws.tops[index], draws.lefts[index])
        if self.flip:
            pixels = flip_some(pixels, draws.flips[index])
        return index, self._inputs(pixels), self.labels[index]

    def _inputs(self, pixels: Tensor) -> Tensor:
        inputs = normalise(pixels, self.scale, self.shift)
        return inputs.to(self.dtype).contiguous(memory_format=self.format)

    def _drawn(self) -> Draws:
        if self._draws is None:
            raise RuntimeError("nothing is drawn yet: call set_epoch(epoch) first")
        return self._draws


def _channels_behind(split: "Images", device: torch.device) -> Tensor:
    return split.images.to(device).permute(0, 2, 3, 1).contiguous()


def _mirrored(at: int, size: int) -> int:
    """Where in 0..size-1 a coordinate beyond the border finds its pixel."""
    inside = -at if at < 0 else at
    return 2 * (size - 1) - inside if inside >= size else inside
