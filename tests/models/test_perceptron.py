"""The perceptron: its layers, its output, its refusals."""

import pytest
import torch
from torch import nn

from es_repro.models import mlp

DIGITS = {"num_classes": 10, "in_channels": 1, "image_size": 8}


@pytest.mark.parametrize(
    ("hidden", "parameters"),
    [((64, 64), 64 * 64 + 64 + 64 * 64 + 64 + 640 + 10), ([], 650), ([5], 64 * 5 + 5 + 50 + 10)],
)
def test_layers_are_those_asked_for(hidden, parameters):
    model = mlp(hidden, **DIGITS)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert sum(isinstance(layer, nn.ReLU) for layer in model) == len(hidden)
    assert isinstance(model[-1], nn.Linear)


def test_images_become_logits_in_either_memory_format():
    model = mlp(num_classes=4, in_channels=3, image_size=8)
    inputs = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = model(inputs)
    assert logits.shape == (5, 4)
    assert torch.equal(logits, model(inputs.contiguous(memory_format=torch.channels_last)))


def test_a_bad_width_is_named():
    with pytest.raises(ValueError, match=r"^hidden=0: must be an integer >= 1$"):
        mlp((64, 0), **DIGITS)
