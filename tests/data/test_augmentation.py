"""Crops, flips and normalisation against NumPy and torchvision, image by image."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as reference

from es_repro.data.augmentation import Crops, draw, flip_some, normalise, reflect

CPU = torch.device("cpu")


def noise(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("shape", "pad"), [((5, 8, 8, 3), 4), ((2, 6, 9, 1), 5), ((3, 4, 4, 2), 0)]
)
def test_reflection_is_numpys(shape, pad):
    pixels = noise(*shape)
    expected = np.pad(pixels.numpy(), ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    assert np.array_equal(reflect(pixels, pad), expected)


@pytest.mark.parametrize("shape", [(40, 8, 8, 3), (40, 7, 5, 1), (40, 32, 32, 3)])
def test_crops_and_flips_are_torchvisions(shape):
    n, height, width, _ = shape
    pad, pixels = 3, noise(*shape)
    draws = draw(n, pad, flip=True, seed=1, epoch=2, device=CPU)
    index = torch.randperm(n, generator=torch.Generator().manual_seed(1))[:25]
    taken = Crops(pixels, pad).take(index, draws.tops[index], draws.lefts[index])
    ours = flip_some(taken, draws.flips[index])
    for row, sample in enumerate(index.tolist()):
        padded = reference.pad(pixels[sample].permute(2, 0, 1), [pad] * 4, padding_mode="reflect")
        top, left = int(draws.tops[sample]), int(draws.lefts[sample])
        expected = reference.crop(padded, top, left, height, width)
        if draws.flips[sample]:
            expected = reference.hflip(expected)
        assert torch.equal(ours[row].permute(2, 0, 1), expected)


def test_every_corner_of_the_border_can_be_taken():
    pixels, pad = noise(2, 6, 6, 3), 2
    padded, crops = reflect(pixels, pad), Crops(pixels, pad)
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            corner = torch.tensor([top, top]), torch.tensor([left, left])
            taken = crops.take(torch.tensor([0, 1]), *corner)
            assert torch.equal(taken, padded[:, top : top + 6, left : left + 6])


def test_normalisation_is_torchvisions():
    pixels = noise(6, 5, 7, 3)
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])
    ours = normalise(pixels, (1 / (255 * std)).repeat(7), (-mean / std).repeat(7))
    scaled = pixels.permute(0, 3, 1, 2) / 255
    expected = reference.normalize(scaled, mean.tolist(), std.tolist())
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_draws_are_uniform():
    n, pad = 81_000, 4
    draws = draw(n, pad, flip=True, seed=0, epoch=0, device=CPU)
    cells = (draws.tops * 9 + draws.lefts).bincount(minlength=81)
    # Binomial, 1,000 expected in each of 81 cells: false alarm < 81 * 6e-7.
    assert ((cells - 1000).abs() < 5 * (1000 * 80 / 81) ** 0.5).all()
    assert set(draws.flips.tolist()) == {0, 255}
    assert abs(int((draws.flips > 0).sum()) - n / 2) < 5 * n**0.5 / 2


def test_no_flip_means_none():
    assert not draw(100, 4, flip=False, seed=0, epoch=0, device=CPU).flips.any()


def test_flips_do_not_move_the_crops():
    plain, mirrored = (
        draw(100, 4, flip=flip, seed=0, epoch=0, device=CPU) for flip in (False, True)
    )
    assert torch.equal(plain.tops, mirrored.tops)
    assert torch.equal(plain.lefts, mirrored.lefts)


def test_draws_differ_by_seed_and_epoch_alone():
    def tops(seed, epoch):
        return draw(100, 4, flip=True, seed=seed, epoch=epoch, device=CPU).tops.tolist()

    assert tops(0, 0) == tops(0, 0)
    assert tops(0, 0) != tops(0, 1)
    assert tops(0, 0) != tops(1, 0)
