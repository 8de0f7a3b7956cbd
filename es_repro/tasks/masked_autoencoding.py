"""Masked autoencoding: predict the pixels of hidden patches, one loss an image (He et al. 2022)."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from es_repro.rows import Inputs
from es_repro.selection import stream
from es_repro.selection.checks import require_bool
from es_repro.tasks.base import Output

__all__ = [
    "MaskedAutoencoding", "evaluation_noise", "from_patches", "patch_statistics",
    "reconstruction_losses", "to_patches",
]  # fmt: skip

EPSILON = 1e-6  # of the deviation of a patch: MAE's own
MASK_SEED = 0  # of the evaluation's masks, which are the same for every run


class MaskedAutoencoding:
    """Reconstruction of hidden patches by a ViTMAE (`es_repro.models.masked_autoencoder`).

    In training the model draws the masks from the global generator, as dropout is drawn: the same
    image hides other patches every time it is seen, and a resumed run goes on with the same masks.
    A scoring pass would therefore score another mask than the one trained on: use it with b = B,
    where there is none and the training losses are the scores (the paper's set-up). In evaluation
    an image's mask depends on its place in the split alone, so that epochs and runs compare.

    Args:
        normalise_pixels: targets are the pixels of each patch, shifted and scaled to mean 0 and
            deviation 1 of their own.

    Raises:
        ValueError: not true or false.
    """

    signals = frozenset[str]()
    headline = "loss"
    larger_is_better = False

    def __init__(self, *, normalise_pixels: bool = True) -> None:
        require_bool("normalise_pixels", normalise_pixels)
        self.normalise_pixels = normalise_pixels

    def __call__(
        self, model: nn.Module, inputs: Inputs, targets: Tensor, signals: frozenset[str]
    ) -> Output:
        losses = self._losses(model, inputs, None)
        return Output(losses, losses.detach())

    def metrics(self) -> MetricCollection:
        return MetricCollection({"loss": MeanMetric()})

    def evaluate(
        self,
        model: nn.Module,
        inputs: Inputs,
        targets: Tensor,
        metrics: MetricCollection,
        first: int,
    ) -> None:
        places = range(first, first + len(targets))
        with torch.no_grad():
            noise = evaluation_noise(places, num_patches(model))
            metrics["loss"].update(self._losses(model, inputs, noise.to(targets.device)))

    def _losses(self, model: nn.Module, inputs: Inputs, noise: Tensor | None) -> Tensor:
        assert isinstance(inputs, Tensor)
        _, predicted, mask, _ = model(inputs, noise=noise, return_dict=False)
        wanted = to_patches(inputs.float(), predicted.shape[1])
        if self.normalise_pixels:
            mean, deviation = patch_statistics(wanted)
            wanted = (wanted - mean) / deviation
        return reconstruction_losses(predicted.float(), wanted, mask.float())


def reconstruction_losses(predicted: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Squared error of the hidden patches of each image.

    Args:
        predicted: [m, L, D], L patches of D numbers.
        wanted: likewise.
        mask: [m, L], 1 where a patch was hidden, else 0; at least one a row.

    Returns:
        [m]: the mean over the hidden patches of the mean over their numbers.
    """
    of_patches = (predicted - wanted).square().mean(2)
    return (of_patches * mask).sum(1) / mask.sum(1)


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each patch's numbers: [m, L, D] -> two of [m, L, 1]."""
    variance, mean = torch.var_mean(patches, dim=2, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def to_patches(images: Tensor, num_patches: int) -> Tensor:
    """Cut square images [m, C, H, H] into L = k * k patches of P * P pixels.

    Returns:
        [m, L, P * P * C]: patches row by row; in each its pixels row by row, channels last.
    """
    side = math.isqrt(num_patches)
    m, channels, height, _ = images.shape
    size = height // side
    cut = images.reshape(m, channels, side, size, side, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(m, num_patches, size * size * channels)


def from_patches(patches: Tensor, channels: int) -> Tensor:
    """Put patches together again: [m, L, P * P * C] -> [m, C, H, H]."""
    m, count, numbers = patches.shape
    side, size = math.isqrt(count), math.isqrt(numbers // channels)
    cut = patches.reshape(m, side, side, size, size, channels)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(m, channels, side * size, side * size)


def evaluation_noise(places: Iterable[int], patches: int) -> Tensor:
    """What orders the patches of the evaluation images at these places: [m, L], on the CPU."""
    purpose = "evaluation mask"
    return torch.stack(
        [torch.rand(patches, generator=stream(MASK_SEED, purpose, place)) for place in places]
    )


def num_patches(model: nn.Module) -> int:
    """L, as a ViTMAE counts it."""
    vit: Any = model.vit
    return int(vit.embeddings.patch_embeddings.num_patches)
