"""A multi-layer perceptron, for small images and quick runs."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from es_repro.selection.checks import as_int

__all__ = ["mlp"]


def mlp(
    hidden: Sequence[int] = (64, 64), *, num_classes: int, in_channels: int, image_size: int
) -> nn.Module:
    """Linear layers with ReLU between them; [m, C, H, W] -> [m, num_classes].

    Args:
        hidden: widths of the hidden layers; none makes it a linear classifier.
        num_classes: of the last layer.
        in_channels: C.
        image_size: H and W.

    Raises:
        ValueError: a width below 1.
    """
    widths = [as_int("hidden", width, minimum=1) for width in hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise([in_channels * image_size**2, *widths]):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    last = widths[-1] if widths else in_channels * image_size**2
    return nn.Sequential(*layers, nn.Linear(last, num_classes))
