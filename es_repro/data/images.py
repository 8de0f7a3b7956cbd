"""Decoded images with their labels, and a data set made of two splits of them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from es_repro.data.resident import ResidentLoader
from es_repro.selection import PlannedBatchSampler, require

__all__ = ["ImageData", "Images", "Source", "SplitName", "fingerprint"]

SplitName = Literal["test", "validation"]


@dataclass(frozen=True, eq=False)
class Images:
    """One split, decoded.

    Attributes:
        images: [n, C, H, W] uint8.
        targets: [n] int64, in [0, number of classes).
        corrupted: [n] bool, labels that noise has flipped; None: there is no noise.
    """

    images: Tensor
    targets: Tensor
    corrupted: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class ImageData:
    """What a run trains and evaluates on.

    Attributes:
        train: the samples that have ids 0..n-1.
        evaluation: never trained on, labels clean.
        split: what `evaluation` is: the test split, or a validation cut of the training one.
        num_classes: C.
        mean, std: one a channel, of pixels scaled to [0, 1].
        augment: random crops and flips at all.
        pad: pixels of reflected border that a random crop may reach into.
        flip: mirror half of the images.
        fingerprint: hash of all pixels and labels, equal for every layout they came in.
        lossy: its files hold JPEGs, where the published ones lose nothing.

    Raises:
        ValueError: a border that an image of this size cannot reflect.
    """

    train: Images
    evaluation: Images
    split: SplitName
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: bool
    pad: int
    flip: bool
    fingerprint: str
    lossy: bool = False

    def __post_init__(self) -> None:
        size = min(self.train.images.shape[-2:])
        require(0 <= self.pad < size, "pad", self.pad, f"in [0, {size}), the image's size")

    @property
    def num_samples(self) -> int:
        """n, the samples to train on."""
        return len(self.train)

    @property
    def corrupted(self) -> Tensor | None:
        """[n] bool: the samples whose label noise has flipped; None: there is no noise."""
        return self.train.corrupted

    @property
    def facts(self) -> dict[str, int]:
        """What a model or a task may ask for, by name."""
        channels, height, _ = self.train.images.shape[1:]
        return {
            "num_classes": self.num_classes, "in_channels": channels, "image_size": height,
        }  # fmt: skip

    def loader(
        self, sampler: PlannedBatchSampler, *, seed: int, device: torch.device
    ) -> ResidentLoader:
        """Batches of the planned samples, from tensors on the device."""
        return ResidentLoader(self, sampler, seed=seed, device=device)


@dataclass(frozen=True, eq=False)
class Source:
    """One split as its files hold it: labels at hand, images decoded on demand.

    So that a subset decodes the rows that it chose and no others.

    Attributes:
        origin: the files, as a message names them.
        targets: [n] int64.
        decode: row numbers [k] int64 -> images [k, C, H, W] uint8.
        lossy: the files hold JPEGs.
    """

    origin: str
    targets: Tensor
    decode: Callable[[Tensor], Tensor]
    lossy: bool = False


def fingerprint(train: Images, evaluation: Images) -> str:
    """Hash of shapes, pixels and labels of both splits."""
    digest = hashlib.sha256()
    for tensor in (train.images, train.targets, evaluation.images, evaluation.targets):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
