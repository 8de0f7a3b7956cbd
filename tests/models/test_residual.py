"""The residual nets: shapes, sizes, stems and costs that are known."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from es_repro.models import cifar_resnet, small_resnet

CIFAR = {"num_classes": 10, "in_channels": 3, "image_size": 32}


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def gflops(model):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, 32, 32))
    return counter.get_total_flops() / 1e9


@pytest.mark.parametrize(
    ("name", "parameters", "cost"),
    [("resnet18", 11_173_962, 1.11), ("resnet50", 23_520_842, 2.60)],
)
def test_size_and_cost_are_those_of_the_cifar_nets(name, parameters, cost):
    model = cifar_resnet(name, **CIFAR)
    assert num_parameters(model) == parameters
    assert gflops(model) == pytest.approx(cost, rel=0.005)


@pytest.mark.parametrize(
    "model",
    [cifar_resnet("resnet18", **CIFAR), small_resnet(**CIFAR), small_resnet(width=10, **CIFAR)],
)
def test_the_stem_keeps_the_resolution(model):
    assert isinstance(model.conv1, nn.Conv2d)
    assert (model.conv1.kernel_size, model.conv1.stride) == ((3, 3), (1, 1))
    assert isinstance(model.maxpool, nn.Identity)
    assert model.conv1(torch.zeros(1, 3, 32, 32)).shape[-2:] == (32, 32)


@pytest.mark.parametrize(("depth", "parameters"), [(8, 78_042), (20, 272_474)])
def test_small_nets_have_the_depth_they_say(depth, parameters):
    model = small_resnet(depth, **CIFAR)
    assert num_parameters(model) == parameters  # 0.27M for 20 layers: He et al. 2016, table 6
    main = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in name
    ]
    assert len(main) == depth


def test_small_nets_double_their_width_as_they_halve_the_size():
    features, model = torch.zeros(2, 3, 32, 32), small_resnet(width=16, **CIFAR)
    features = model.bn1(model.conv1(features))
    shapes = []
    for stage in (model.layer1, model.layer2, model.layer3):
        features = stage(features)
        shapes.append(tuple(features.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize(
    ("make", "channels", "size"),
    [
        (lambda **shape: cifar_resnet("resnet18", **shape), 3, 32),
        (lambda **shape: cifar_resnet("resnet18", **shape), 1, 8),
        (lambda **shape: cifar_resnet("resnet50", **shape), 3, 8),
        (lambda **shape: small_resnet(**shape), 1, 8),
        (lambda **shape: small_resnet(14, 4, **shape), 3, 32),
    ],
)
def test_images_become_logits_and_every_parameter_learns(make, channels, size):
    model = make(num_classes=7, in_channels=channels, image_size=size)
    inputs = torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(0))
    logits = model(inputs.contiguous(memory_format=torch.channels_last))
    assert logits.shape == (4, 7)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_blocks_start_as_the_identity():
    model = small_resnet(20, **CIFAR)
    assert all(not block.bn2.weight.any() for block in [*model.layer1, *model.layer2])


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"depth": 10}, "depth=10: must be 6k + 2: 8, 14, 20, ..."),
        ({"depth": 2}, "depth=2: must be 6k + 2: 8, 14, 20, ..."),
        ({"depth": 8.0}, "depth=8.0: must be an integer"),
        ({"width": 15}, "width=15: must be even"),
        ({"width": 0}, "width=0: must be an integer >= 2"),
        ({"image_size": 2}, "image_size=2: must be an integer >= 4"),
    ],
)
def test_a_bad_value_is_named(settings, line):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole line is compared
        small_resnet(**(CIFAR | settings))
    assert str(caught.value) == line


def test_another_net_is_refused():
    with pytest.raises(ValueError, match=r"^name='resnet34': must be 'resnet18' or 'resnet50'$"):
        cifar_resnet("resnet34", **CIFAR)
