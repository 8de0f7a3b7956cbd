"""The loss of masked autoencoding by hand, against transformers' own, and its evaluation."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from es_repro.models import masked_autoencoder
from es_repro.tasks import MaskedAutoencoding, pictures
from es_repro.tasks.masked_autoencoding import (
    evaluation_noise,
    from_patches,
    patch_statistics,
    reconstruction_losses,
    to_patches,
)
from es_repro.tasks.reconstructions import PICTURES_FILE, reconstruct


@pytest.fixture
def model():
    torch.manual_seed(0)
    return masked_autoencoder(
        image_size=16, in_channels=3, patch_size=4, width=16, depth=1, heads=2,
        decoder_width=16, decoder_depth=1, decoder_heads=2,
    )  # fmt: skip


def images(m=6, seed=1):
    return torch.rand(m, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_only_hidden_patches_count():
    # Two images of three patches of two numbers; squared errors (0, 4), (1, 1), (9, 1).
    wanted = torch.zeros(2, 3, 2)
    predicted = torch.tensor([[[0.0, 2.0], [1.0, -1.0], [3.0, 1.0]]]).repeat(2, 1, 1)
    mask = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])

    losses = reconstruction_losses(predicted, wanted, mask)

    assert losses.tolist() == [2.0, (1.0 + 5.0) / 2]


def test_patches_are_cut_row_by_row_and_put_together_again():
    image = torch.arange(2 * 16).view(1, 2, 4, 4)
    patches = to_patches(image, 4)

    # The second patch: rows 0 and 1, columns 2 and 3; channel 0 holds 0..15, channel 1 16..31.
    assert patches[0, 1].tolist() == [2, 18, 3, 19, 6, 22, 7, 23]
    assert torch.equal(from_patches(patches, 2), image)


def test_a_patchs_deviation_is_the_unbiased_one():
    mean, deviation = patch_statistics(torch.tensor([[[1.0, 2.0, 3.0, 6.0]]]))
    assert mean.item() == 3.0
    assert deviation.item() == pytest.approx(((4 + 1 + 0 + 9) / 3 + 1e-6) ** 0.5)


@pytest.mark.parametrize("normalise", [True, False])
def test_the_mean_is_transformers_own_loss(model, normalise):
    model.config.norm_pix_loss = normalise
    rows, task = images(), MaskedAutoencoding(normalise_pixels=normalise)
    torch.manual_seed(3)
    theirs = model(rows).loss
    torch.manual_seed(3)
    output = task(model, rows, torch.zeros(6), frozenset())

    assert output.losses.shape == output.scores.shape == (6,)
    assert output.losses.dtype == torch.float32
    assert len(output.losses.unique()) == 6
    assert not output.scores.requires_grad
    torch.testing.assert_close(output.losses.mean(), theirs)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    ours = torch.autograd.grad(output.losses.mean(), trained)
    known = torch.autograd.grad(theirs, trained)
    for one, other in zip(ours, known, strict=True):
        torch.testing.assert_close(one, other)


def test_training_masks_follow_the_global_generator(model):
    rows, task = images(), MaskedAutoencoding()
    first, second = (task(model, rows, torch.zeros(6), frozenset()).scores for _ in range(2))
    assert not torch.equal(first, second)

    state = torch.get_rng_state()
    third = task(model, rows, torch.zeros(6), frozenset()).scores
    torch.set_rng_state(state)
    assert torch.equal(task(model, rows, torch.zeros(6), frozenset()).scores, third)


def evaluated(model, rows, size, every=1):
    """The loss of the batches, of which `every` metrics get one in turn, as ranks do."""
    task = MaskedAutoencoding()
    metrics = [task.metrics() for _ in range(every)]
    for number, batch in enumerate(rows.split(size)):
        fed = metrics[number % every]
        task.evaluate(model, batch, torch.zeros(len(batch)), fed, number * size)
    seen = [one["loss"] for one in metrics]
    return (sum(x.mean_value for x in seen) / sum(x.weight for x in seen)).item()


def test_evaluation_hides_the_same_patches_whatever_the_batches_and_draws_nothing(model):
    rows, state = images(11), torch.get_rng_state()
    first = evaluated(model, rows, 11)

    assert evaluated(model, rows, 11) == first
    assert evaluated(model, rows, 3) == pytest.approx(first, rel=1e-6)
    assert evaluated(model, rows, 3, every=2) == pytest.approx(first, rel=1e-6)
    assert evaluated(model, rows.flip(0), 11) != pytest.approx(first, rel=1e-4)
    assert torch.equal(torch.get_rng_state(), state)
    noise = evaluation_noise(range(11), 16)
    assert torch.equal(evaluation_noise(range(4, 6), 16), noise[4:6])
    assert len(noise.argsort(1).unique(dim=0)) == 11


def test_evaluation_is_the_mean_over_images(model):
    rows = images(5)
    expected = 0.0
    for place, row in enumerate(rows.split(1)):
        noise = evaluation_noise(range(place, place + 1), 16)
        with torch.no_grad():
            predicted = model(row, noise=noise).logits
        wanted = to_patches(row, 16)
        mean, deviation = patch_statistics(wanted)
        errors = (predicted - (wanted - mean) / deviation)[0].square().mean(1)
        hidden = noise[0].argsort()[4:]  # 4 of 16 are seen
        expected += errors[hidden].mean().item() / 5
    assert evaluated(model, rows, 2) == pytest.approx(expected, rel=1e-5)


def test_a_reconstruction_keeps_what_was_seen(model):
    rows = images(4)
    hidden, filled = reconstruct(model.eval(), rows, range(4))

    assert hidden.mean() == 0.75
    assert torch.equal(filled[hidden == 0], rows[hidden == 0])
    assert not torch.isclose(filled[hidden == 1], rows[hidden == 1]).all()


def test_the_picture_shows_original_seen_and_predicted(model):
    rows = images(5)
    ((name, content),) = pictures(model.eval(), rows, count=2, mean=(0.0,), std=(1.0,)).items()

    assert name == PICTURES_FILE
    shown = np.asarray(Image.open(io.BytesIO(content)))
    # 16 pixels are shown eightfold; 4 pixels between images.
    assert shown.shape == (2 * 128 + 4, 3 * 128 + 2 * 4, 3)
    original = (rows[4].permute(1, 2, 0) * 255).round().numpy()  # of five, the first and the last
    assert (shown[132::8, :128:8] == original).all()
    hidden = reconstruct(model, rows[4:], [4])[0][0].permute(1, 2, 0).numpy() == 1
    seen = shown[132::8, 132:260:8]
    assert (seen[hidden] == 128).all()
    assert (seen[~hidden] == original[~hidden]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskedAutoencoding(normalise_pixels="yes"), r"^normalise_pixels='yes': must be"),
        (lambda: pictures(None, torch.zeros(1), count=0, mean=(0.0,), std=(1.0,)), r"^count=0"),
    ],
)
def test_a_bad_value_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
