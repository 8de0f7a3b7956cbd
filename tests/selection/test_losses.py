from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from es_repro.selection import per_sample

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5], [0.0, 3.0, 1.0], [1.0, -2.0, 0.0]])
LABELS = torch.tensor([0, 2, 1, 1])
TARGETS = torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (nn.CrossEntropyLoss(), LABELS),
        (nn.CrossEntropyLoss(label_smoothing=0.1), LABELS),
        (F.cross_entropy, LABELS),
        (partial(F.cross_entropy, label_smoothing=0.1), LABELS),
        (nn.MSELoss(), TARGETS),
        (F.l1_loss, TARGETS),
        (nn.BCEWithLogitsLoss(), TARGETS),
        (nn.SmoothL1Loss(), TARGETS),
        (nn.HuberLoss(), TARGETS),
        (nn.MSELoss(reduction="sum"), TARGETS),
        (nn.KLDivLoss(reduction="batchmean"), TARGETS / 3),
    ],
)
def test_one_loss_a_sample_that_adds_up_to_the_loss(loss, targets):
    losses = per_sample(loss)(LOGITS, targets)
    assert losses.shape == (4,)
    whole = loss(LOGITS, targets)
    sums = getattr(loss, "reduction", "mean") == "sum"
    assert (losses.sum() if sums else losses.mean()).item() == pytest.approx(whole.item(), rel=1e-5)
    for i in range(4):  # each row's loss is its own
        alone = per_sample(loss)(LOGITS[i : i + 1], targets[i : i + 1])
        assert alone.item() == pytest.approx(losses[i].item(), rel=1e-5)


def test_the_original_is_left_alone():
    loss = nn.CrossEntropyLoss()
    per_sample(loss)
    assert loss.reduction == "mean"


def test_labels_may_have_dimensions():
    logits, labels = torch.randn(4, 3, 5), torch.randint(3, (4, 5))
    expected = F.cross_entropy(logits, labels, reduction="none").mean(1)
    assert per_sample(nn.CrossEntropyLoss())(logits, labels).allclose(expected)


def test_gradients_pass():
    logits = LOGITS.clone().requires_grad_()
    per_sample(F.cross_entropy)(logits, LABELS).mean().backward()
    assert logits.grad.abs().sum() > 0


def test_ones_own_loss():
    own = per_sample(lambda logits, labels: (logits.argmax(1) != labels).float())
    assert own(LOGITS, LABELS).tolist() == [0, 1, 0, 1]


def test_a_scalar_is_refused_at_the_first_call():
    scalar = per_sample(lambda logits, labels: F.cross_entropy(logits, labels))
    with pytest.raises(ValueError, match=r'^losses.shape=\(\): .*reduction="none"'):
        scalar(LOGITS, LABELS)


def test_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"^len\(losses\)=2: must be 4, one loss a sample$"):
        per_sample(lambda logits, _: logits[:2, 0])(LOGITS, LABELS)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(ValueError, match=r"^loss_fn='cross_entropy': must be callable$"):
        per_sample("cross_entropy")
