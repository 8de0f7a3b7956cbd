"""Mixup and cutmix by hand, and the losses of blended labels."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from es_repro.tasks import Classification
from es_repro.tasks.mixing import Mixing


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def flat(m=4, size=8):
    """Images whose every pixel is their place in the batch."""
    return torch.arange(float(m)).view(m, 1, 1, 1).expand(m, 3, size, size).clone()


def test_mixup_blends_with_the_mirrored_place():
    for _ in range(20):
        mixed, kept = Mixing(0.8, 0.0)(flat())
        assert 0 <= kept <= 1
        expected = kept * torch.arange(4.0) + (1 - kept) * torch.arange(3.0, -1, -1)
        torch.testing.assert_close(mixed, expected.view(4, 1, 1, 1).expand_as(mixed))


def test_cutmix_pastes_a_rectangle_and_tells_its_true_area():
    shares = []
    for _ in range(50):
        mixed, kept = Mixing(0.0, 1.0)(flat())
        own = mixed[0, 0] == 0
        assert torch.equal(mixed[0, 0][~own], torch.full(((~own).sum(),), 3.0))
        assert own.float().mean().item() == pytest.approx(kept)
        rows, columns = (~own).any(1).sum(), (~own).any(0).sum()
        assert (~own).sum() == rows * columns
        shares.append(kept)
    assert min(shares) < 0.5 < max(shares)


def test_the_laws_mean_is_a_half_and_each_kind_has_its_turn():
    kept = torch.tensor([Mixing(0.8, 0.0)(flat(2, 2))[1] for _ in range(2000)])
    # Beta(0.8, 0.8): variance 1 / (4 * 2.6); five standard errors.
    assert abs(kept.mean() - 0.5) < 5 * (1 / (4 * 2.6) / 2000) ** 0.5
    kinds = [len(Mixing(1.0, 1.0)(flat(2, 64))[0][0].unique()) for _ in range(200)]
    assert 60 < sum(kind == 1 for kind in kinds) < 140  # one value: mixup


def test_the_loss_is_that_of_the_blended_label():
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), torch.randn(4, 3, 4, 4)
    labels, task = (
        torch.tensor([0, 1, 2, 3]),
        Classification(num_classes=5, label_smoothing=0.1, mixup=0.8),
    )
    torch.manual_seed(7)
    losses = task(model, images, labels, frozenset()).losses
    torch.manual_seed(7)
    mixed, kept = Mixing(0.8, 0.0)(images)

    hot = F.one_hot(labels, 5).float()
    soft = 0.9 * (kept * hot + (1 - kept) * hot.flip(0)) + 0.1 / 5
    expected = -(soft * model(mixed).log_softmax(1)).sum(1)
    torch.testing.assert_close(losses, expected)


def test_only_training_passes_blend():
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), torch.randn(4, 3, 4, 4)
    labels, task = torch.arange(4), Classification(num_classes=5, mixup=0.8, cutmix=1.0)
    plain = F.cross_entropy(model(images), labels, reduction="none")

    assert not torch.allclose(task(model, images, labels, frozenset()).losses, plain)
    with torch.no_grad():
        assert torch.equal(task(model, images, labels, frozenset()).losses, plain)
    model.eval()
    assert torch.equal(task(model, images, labels, frozenset()).losses, plain)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_negative_alpha_is_named(name):
    with pytest.raises(ValueError, match=rf"^{name}=-1: must be in \[0, inf\)$"):
        Classification(num_classes=2, **{name: -1})
