"""Pictures of what a masked autoencoder sees and makes of it."""

import io
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from es_repro.rows import Inputs
from es_repro.selection.checks import as_int
from es_repro.tasks.masked_autoencoding import (
    evaluation_noise,
    from_patches,
    num_patches,
    patch_statistics,
    to_patches,
)

__all__ = ["PICTURES_FILE", "pictures", "reconstruct"]

PICTURES_FILE = "reconstructions.png"
GAP = 4  # pixels between two images
SMALLEST = 128  # pixels: smaller images are shown in whole multiples of their size
GREY = 0.5


def reconstruct(
    model: nn.Module, images: Tensor, places: Sequence[int], normalised: bool = True
) -> tuple[Tensor, Tensor]:
    """What the model is shown of some images, and what it makes of them.

    Args:
        model: a ViTMAE, in eval mode.
        images: [m, C, H, H].
        places: where each stands in the evaluation split: they hide what they hide there.
        normalised: the model predicts patches of mean 0 and deviation 1; they get those of the
            true patch back, without which nothing could be seen.

    Returns:
        mask [m, C, H, H], 1 at hidden pixels; and the images with their hidden patches predicted.
    """
    count, channels = num_patches(model), images.shape[1]
    noise = evaluation_noise(places, count).to(images.device)
    with torch.no_grad():
        _, predicted, mask, _ = model(images, noise=noise, return_dict=False)
    true, predicted = to_patches(images.float(), count), predicted.float()
    if normalised:
        mean, deviation = patch_statistics(true)
        predicted = predicted * deviation + mean
    hidden = mask.float().unsqueeze(2).expand_as(true)
    filled = torch.where(hidden > 0, predicted, true)
    return from_patches(hidden, channels), from_patches(filled, channels)


def pictures(
    model: nn.Module,
    inputs: Inputs,
    *,
    count: int = 6,
    normalised: bool = True,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> dict[str, bytes]:
    """Some evaluation images, a line each: original, what the model sees, what it predicts.

    Args:
        model: a ViTMAE, in eval mode.
        inputs: [m, C, H, H], the first rows of the evaluation split.
        count: how many of them to show, evenly spaced: a split is often sorted by class.
        normalised: see `reconstruct`.
        mean: by which the inputs were normalised, one a channel or one for all.
        std: likewise.

    Raises:
        ValueError: a count below 1.
    """
    assert isinstance(inputs, Tensor)
    last = len(inputs) - 1
    count = min(as_int("count", count, minimum=1), last + 1)
    places = [round(k * last / max(1, count - 1)) for k in range(count)]
    images = inputs[places]
    hidden, filled = reconstruct(model, images, places, normalised)
    shift, scale = (torch.tensor(x, device=images.device).view(1, -1, 1, 1) for x in (mean, std))
    original, predicted = ((x.float() * scale + shift).clamp(0, 1) for x in (images, filled))
    seen = torch.where(hidden > 0, torch.full_like(original, GREY), original)
    return {PICTURES_FILE: _png(torch.stack([original, seen, predicted], dim=1))}


def _png(tiles: Tensor) -> bytes:
    """A table of images [lines, columns, C, H, W] in [0, 1] on white, as a PNG file."""
    from PIL import Image  # here, for few runs need it

    times = max(1, -(-SMALLEST // tiles.shape[-1]))
    tiles = tiles.expand(-1, -1, 3, -1, -1)
    tiles = tiles.repeat_interleave(times, 3).repeat_interleave(times, 4)
    tiles = nn.functional.pad(tiles, (0, GAP, 0, GAP), value=1.0)
    lines, columns, _, height, width = tiles.shape
    pixels = tiles.permute(0, 3, 1, 4, 2).reshape(lines * height, columns * width, 3)
    pixels = (pixels[:-GAP, :-GAP] * 255).round().to(torch.uint8).cpu()
    file = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(file, format="PNG")
    return file.getvalue()
