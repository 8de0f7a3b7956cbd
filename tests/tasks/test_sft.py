"""Per-sample losses of responses, by hand."""

import pytest
import torch
from torch import nn

from es_repro.rows import Tokens
from es_repro.tasks import Sft

NONE = frozenset()
# What the model below says of 3 rows of 5 tokens: losses of tokens 1..4, 0 without a label.
BY_TOKEN = torch.tensor([[0.0, 0.0, 2.0, 4.0], [0.0, 3.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
COUNTS = torch.tensor([2, 1, 4])


class Says(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, input_ids, attention_mask, labels):
        assert labels.shape == (3, 5)
        return BY_TOKEN * self.factor


def rows():
    fields = {name: torch.ones(3, 5) for name in ("input_ids", "attention_mask", "labels")}
    return Tokens(fields, torch.tensor([5, 5, 5]))


@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", [3.0, 3.0, 1.0]), ("sum", [6.0, 3.0, 4.0])]
)
def test_a_sample_s_loss_is_over_its_response_tokens(reduction, expected):
    model = Says()
    output = Sft(reduction)(model, rows(), COUNTS, NONE)
    assert output.losses.tolist() == output.scores.tolist() == expected
    assert output.losses.dtype == torch.float32
    assert not output.scores.requires_grad
    output.losses.mean().backward()
    assert model.factor.grad == pytest.approx(sum(expected) / 3)


def test_metrics_are_over_tokens_and_over_samples():
    task = Sft()
    metrics = task.metrics()
    for _ in range(2):
        task.evaluate(Says(), rows(), COUNTS, metrics, 0)
    found = metrics.compute()
    assert float(found["loss"]) == pytest.approx(13 / 7)
    assert float(found["sample_loss"]) == pytest.approx(7 / 3)
    assert task.headline in found
    assert task.larger_is_better is False


def test_images_and_other_reductions_are_refused():
    with pytest.raises(TypeError, match=r"^task=sft: needs a data set of token sequences"):
        Sft()(Says(), torch.ones(3, 5), COUNTS, NONE)
    with pytest.raises(ValueError, match=r"^reduction='max': must be 'mean' or 'sum'$"):
        Sft("max")
