"""The recipes as they are written, copied out of the page and run."""

import re
from pathlib import Path

import pytest
import torch
from test_lightning import C, N, losses_of, network
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "trainers.md"
EPOCHS = 3


def recipe(title):
    section = PAGE.read_text().partition(f"## {title}")[2]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


def test_accelerate():
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(
        torch.randn(N, 6, generator=generator), torch.randint(C, (N,), generator=generator)
    )
    model = network()
    before = nn.utils.parameters_to_vector(model.parameters()).clone()
    given = {
        "data": data, "epochs": EPOCHS, "model": model, "losses_of": losses_of,
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
    }  # fmt: skip
    exec(recipe("Accelerate"), given)
    assert given["selection"].epochs == range(EPOCHS, EPOCHS)
    assert (given["selector"].scores != 1 / N).all()
    assert not nn.utils.parameters_to_vector(model.parameters()).equal(before)


class Pictures(Dataset):
    """Random pictures of a size that the transforms must change."""

    transform = None

    def __len__(self):
        return 12

    def __getitem__(self, i):
        from PIL import Image

        generator = torch.Generator().manual_seed(i)
        pixels = torch.randint(256, (40, 40, 3), generator=generator, dtype=torch.uint8)
        return self.transform(Image.fromarray(pixels.numpy())), i % 3


@pytest.mark.slow
def test_timm():
    given = {
        "data": Pictures(), "epochs": 2, "name": "test_resnet", "num_classes": 3, "workers": 0,
        "device": "cpu",
        "losses_of": lambda model, batch: cross_entropy(
            model(batch[0]), batch[1], reduction="none"
        ),
    }  # fmt: skip
    exec(recipe("timm").replace(", 128,", ", 8,"), given)
    assert given["selection"].epochs == range(2, 2)
    assert torch.isfinite(given["loss"])
