"""Residual nets for small images, from timm's `ResNet`.

Both start with a 3x3 convolution of stride 1 and no max-pooling: timm's own stem would leave an
8x8 map of a 32x32 image. The last batch norm of every residual branch starts at zero, as timm does
by default (Goyal et al. 2017, section 5.1), so that a block starts as the identity.
"""

from typing import Literal

from torch import nn

from es_repro.selection import require
from es_repro.selection.checks import as_choice, as_int

__all__ = ["cifar_resnet", "small_resnet"]

Name = Literal["resnet18", "resnet50"]
SMALL_STAGES = 3


def cifar_resnet(name: Name, *, num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """ResNet-18 or -50 with the stem for small images; [m, C, H, W] -> [m, num_classes].

    Args:
        name: which of timm's nets.
        num_classes: of the classifier.
        in_channels: C.
        image_size: H and W, at least 8, for it is halved three times.

    Raises:
        ValueError: another name, or an image too small.

    Source: He et al. 2016; the stem as in the CIFAR nets of InfoBatch's code.
    """
    import timm  # here, for it takes two seconds

    as_choice("name", name, Name)
    as_int("image_size", image_size, minimum=8)
    model = timm.create_model(name, num_classes=num_classes, in_chans=in_channels)
    return _with_small_stem(model, in_channels, width=64)


def small_resnet(
    depth: int = 8, width: int = 16, *, num_classes: int, in_channels: int, image_size: int
) -> nn.Module:
    """A residual net of three stages for CPU runs; [m, C, H, W] -> [m, num_classes].

    Args:
        depth: layers with weights, 6k + 2: k basic blocks of two a stage, stem and classifier.
        width: channels of the first stage, even; each further one has twice as many, at half the
            size.
        num_classes: of the classifier.
        in_channels: C.
        image_size: H and W, at least 4, for it is halved twice.

    Raises:
        ValueError: a depth that no whole number of blocks gives, an odd width, or an image too
            small.

    Source: He et al. 2016, section 4.2, with projections where the width changes (timm's way).
    """
    from timm.models.resnet import BasicBlock, ResNet  # as above

    blocks, rest = divmod(as_int("depth", depth) - 2, 2 * SMALL_STAGES)
    require(blocks >= 1 and rest == 0, "depth", depth, "6k + 2: 8, 14, 20, ...")
    require(as_int("width", width, minimum=2) % 2 == 0, "width", width, "even")
    as_int("image_size", image_size, minimum=4)
    model = ResNet(
        BasicBlock,  # type: ignore[arg-type]  # timm means the class, its annotation an instance
        layers=(blocks,) * SMALL_STAGES,
        channels=tuple(width * 2**stage for stage in range(SMALL_STAGES)),
        num_classes=num_classes,
        in_chans=in_channels,
        stem_type="deep",  # replaced, but only after it timm lets the first stage be narrow
        stem_width=width // 2,
    )
    model.layer4 = nn.Identity()  # timm's forward names four stages
    return _with_small_stem(model, in_channels, width)


def _with_small_stem(model: nn.Module, in_channels: int, width: int) -> nn.Module:
    stem = nn.Conv2d(in_channels, width, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")  # as timm's others
    model.conv1, model.maxpool = stem, nn.Identity()
    return model
