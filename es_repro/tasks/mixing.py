"""Training images blended with others of their batch: mixup and cutmix, with their labels."""

import torch
from torch import Tensor

from es_repro.selection.checks import as_real

__all__ = ["Mixing"]


class Mixing:
    """Blends each image with the one that mirrors its place in the batch, all in the same shares.

    One of the two is done to a batch, with equal chances where both are on. Drawn from the global
    CPU generator, as dropout is, so that nothing waits for the device.

    Args:
        mixup: alpha of the Beta(alpha, alpha) law of the share that an image keeps; 0: no mixup.
        cutmix: the same of the area that it keeps; 0: no cutmix.

    Raises:
        ValueError: below 0.

    Source: Zhang et al. 2018, Yun et al. 2019; a share a batch, as timm and MAE's code do it.
    """

    def __init__(self, mixup: float, cutmix: float) -> None:
        self.mixup = as_real("mixup", mixup, "[0, inf)")
        self.cutmix = as_real("cutmix", cutmix, "[0, inf)")

    def __bool__(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    def __call__(self, images: Tensor) -> tuple[Tensor, float]:
        """Blend a batch [m, C, H, W].

        Returns:
            the blended batch, and the share of its own label that each row keeps; the rest belongs
            to the label at the mirrored place (`labels.flip(0)`).
        """
        cut = self.cutmix > 0 and (self.mixup == 0 or bool(torch.rand(()) < 0.5))
        alpha = torch.tensor(self.cutmix if cut else self.mixup)
        kept = float(torch.distributions.Beta(alpha, alpha).sample())
        if cut:
            return _pasted(images, kept)
        return torch.lerp(images.flip(0), images, kept), kept


def _pasted(images: Tensor, kept: float) -> tuple[Tensor, float]:
    """Paste a rectangle of the mirrored image, of area 1 - kept before the border cuts it."""
    height, width = images.shape[2:]
    side = (1 - kept) ** 0.5
    (top, bottom), (left, right) = (_interval(size, int(size * side)) for size in (height, width))
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.flip(0)[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _interval(size: int, length: int) -> tuple[int, int]:
    middle = int(torch.randint(size, ()))
    return max(0, middle - length // 2), min(size, middle + length // 2)
