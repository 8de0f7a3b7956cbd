"""What an image goes through between its file and a batch, all of it on bytes.

Normalisation is no part of it: bytes are a quarter of what a loader's workers would hand over as
floats, and the device normalises a whole batch in one go.
"""

import contextlib
import hashlib
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from es_repro.selection import require
from es_repro.selection.checks import as_int, as_real, as_reals, require_bool

__all__ = ["Views", "decode", "drawing", "resized"]

BICUBIC = v2.InterpolationMode.BICUBIC
TRANSLATION = 0.45  # of the image's size, the most that timm lets RandAugment shift it


@dataclass(frozen=True)
class Views:
    """How images look in training and in evaluation.

    Attributes:
        image_size: height and width of every view, in pixels.
        resize: shorter side before the centre crop of an evaluated image, at least `image_size`.
        mean, std: one a channel, of pixels scaled to [0, 1].
        augment: random crops and all that follows; off, training looks like evaluation.
        crop_scale: area of a random crop, least and most, as a share of the image's.
        flip: mirror half of the images.
        auto_augment: timm's RandAugment by its string, such as `rand-m9-mstd0.5-inc1`; None: none.
        erasing: chance of a rectangle to be replaced by noise.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    image_size: int
    resize: int
    mean: Sequence[float]
    std: Sequence[float]
    augment: bool = True
    crop_scale: Sequence[float] = (0.08, 1.0)
    flip: bool = True
    auto_augment: str | None = None
    erasing: float = 0.0

    def __post_init__(self) -> None:
        as_int("image_size", self.image_size, minimum=1)
        as_int("resize", self.resize, minimum=self.image_size)
        for name, interval in (("mean", "[0, 1]"), ("std", "(0, 1]")):
            values = as_reals(name, getattr(self, name), interval)
            require(len(values) == 3, name, getattr(self, name), "one number a channel, 3")
        require_bool("augment", self.augment)
        require_bool("flip", self.flip)
        scale = as_reals("crop_scale", self.crop_scale, "(0, 1]")
        ascending = len(scale) == 2 and scale[0] <= scale[1]
        require(ascending, "crop_scale", self.crop_scale, "two shares in (0, 1], ascending")
        known = self.auto_augment is None or str(self.auto_augment).startswith("rand-")
        require(known, "auto_augment", self.auto_augment, "null, or timm's string: rand-...")
        as_real("erasing", self.erasing, "[0, 1]")

    def training(self) -> nn.Module:
        """Of an image [3, H, W] uint8: [3, S, S] uint8, drawn from the global generators."""
        if not self.augment:
            return self.evaluation()
        size, scale = self.image_size, tuple(self.crop_scale)
        steps: list[nn.Module] = [
            v2.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC, antialias=True)
        ]
        if self.flip:
            steps.append(v2.RandomHorizontalFlip())
        if self.auto_augment is not None:
            steps.append(_RandAugment(self.auto_augment, size, self.mean))
        if self.erasing > 0:
            steps.append(_Erasing(self.erasing, self.mean, self.std))
        return nn.Sequential(*steps)

    def evaluation(self) -> nn.Module:
        """Of an image [3, H, W] uint8: [3, S, S] uint8, the same every time."""
        return nn.Sequential(
            v2.Resize(self.resize, interpolation=BICUBIC, antialias=True),
            v2.CenterCrop(self.image_size),
        )


def decode(encoded: bytes) -> Tensor:
    """An encoded image as [3, H, W] uint8, channels last in memory; grey ones get three channels.

    Raises:
        ValueError: it does not decode; the message says why.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(str(error).split(" <")[0] or type(error).__name__) from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def resized(image: Tensor, size: int) -> Tensor:
    """An image [3, H, W] uint8 with `size` pixels along its shorter side."""
    return F.resize(image, [size], interpolation=BICUBIC, antialias=True)


@contextlib.contextmanager
def drawing(seed: int, epoch: int, sample: int) -> Iterator[None]:
    """Inside, Python's, NumPy's and torch's generators are a function of the three keys alone.

    The transforms take no generator. Whatever is drawn, all three come out unmoved.
    """
    digest = hashlib.blake2b(f"{seed}/augment/{epoch}/{sample}".encode(), digest_size=8).digest()
    key = int.from_bytes(digest, "big")
    before = random.getstate()
    numbers = np.random.get_state()  # noqa: NPY002 - the global one is meant
    # Not torch.manual_seed: that one would seed the accelerator too.
    generator = torch.random.default_generator
    state = generator.get_state()
    random.seed(key)
    np.random.seed(key % 2**32)  # noqa: NPY002 - as above
    generator.manual_seed(key)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numbers)  # noqa: NPY002 - as above
        generator.set_state(state)


class _RandAugment(nn.Module):
    """timm's, which works on PIL's images and draws from Python's and NumPy's generators."""

    def __init__(self, name: str, size: int, mean: Sequence[float]) -> None:
        from timm.data.auto_augment import rand_augment_transform  # here, for it takes two seconds

        super().__init__()
        grey = tuple(min(255, round(255 * channel)) for channel in mean)
        options: dict[str, Any] = {
            "translate_const": int(size * TRANSLATION),
            "img_mean": grey,
            "interpolation": Image.Resampling.BICUBIC,
        }
        try:
            self._augment = rand_augment_transform(name, options)
        except (AssertionError, KeyError, ValueError, IndexError) as error:
            allowed = "a string that timm's rand_augment_transform takes"
            raise ValueError(f"auto_augment={name!r}: must be {allowed}") from error

    def forward(self, image: Tensor) -> Tensor:
        return F.pil_to_tensor(self._augment(F.to_pil_image(image)))


class _Erasing(nn.Module):
    """timm's random erasing, by noise of the normalised pixels' law; the rest stays as it is."""

    def __init__(self, chance: float, mean: Sequence[float], std: Sequence[float]) -> None:
        from timm.data.random_erasing import RandomErasing  # as above

        super().__init__()
        self._erase = RandomErasing(probability=chance, mode="pixel", device="cpu")
        self._mean, self._std = (torch.tensor(x).view(3, 1, 1) * 255 for x in (mean, std))

    def forward(self, image: Tensor) -> Tensor:
        inputs = (image.float() - self._mean) / self._std
        pixels = self._erase(inputs) * self._std + self._mean
        return pixels.round().clamp(0, 255).to(torch.uint8)
