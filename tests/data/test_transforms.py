"""Views of an image: what they are a function of, and what they leave alone."""

import random

import numpy as np
import pytest
import torch
from layouts import encoded, photographs
from PIL import Image

from es_repro.data.transforms import Views, decode, drawing, resized

(PICTURE, *_), _ = photographs(1, 2, seed=0, size=(40, 60))
IMAGE = torch.from_numpy(PICTURE).permute(2, 0, 1)
GREY = (0.5, 0.5, 0.5)


def views(**options):
    return Views(**({"image_size": 24, "resize": 28, "mean": GREY, "std": GREY} | options))


def test_evaluation_is_a_resize_and_a_centre_crop():
    found = views().evaluation()(IMAGE)
    # 40 x 60 becomes 28 x 42, of which rows 2..25 and columns 9..32 are the centre.
    expected = Image.fromarray(PICTURE).resize((42, 28), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(expected)).permute(2, 0, 1)[:, 2:26, 9:33]
    assert found.shape == (3, 24, 24)
    assert (found.int() - expected.int()).abs().max() <= 1  # torch's bicubic against PIL's


@pytest.mark.parametrize(
    "options", [{}, {"auto_augment": "rand-m9-mstd0.5-inc1"}, {"erasing": 1.0}]
)
def test_a_view_is_a_function_of_seed_epoch_and_id(options):
    training = views(**options).training()

    def view(*key):
        with drawing(*key):
            return training(IMAGE)

    first = view(0, 1, 2)
    assert first.shape == (3, 24, 24)
    assert first.dtype == torch.uint8
    for other in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert not torch.equal(view(*other), first)
    assert torch.equal(view(0, 1, 2), first)


def test_all_three_generators_come_out_unmoved_and_are_seeded_inside():
    def draws():
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = draws()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    inside = []
    for _ in range(2):
        with drawing(3, 4, 5):
            inside.append(draws())
    assert draws() == expected
    assert inside[0] == inside[1]
    with pytest.raises(KeyError), drawing(0, 0, 0):
        raise KeyError
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    assert draws() == expected


def test_without_augmentation_training_looks_like_evaluation():
    plain = views(augment=False)
    assert torch.equal(plain.training()(IMAGE), plain.evaluation()(IMAGE))


def test_half_of_the_crops_are_mirrored():
    left_to_right = torch.arange(24, dtype=torch.uint8).mul(10).expand(3, 24, 24)
    training = views(crop_scale=(1.0, 1.0)).training()
    mirrored = 0
    for sample in range(400):
        with drawing(0, 0, sample):
            view = training(left_to_right)
        mirrored += int(view[0, 12, 0] > view[0, 12, -1])
    assert abs(mirrored - 200) < 50  # 5 deviations: false alarm < 6e-7


def test_erasing_leaves_the_rest_of_an_image_as_it_is():
    whole = views(crop_scale=(1.0, 1.0), flip=False).training()
    erased = views(crop_scale=(1.0, 1.0), flip=False, erasing=1.0).training()
    with drawing(0, 0, 0):
        before = whole(IMAGE)
    with drawing(0, 0, 0):
        after = erased(IMAGE)
    changed = (before != after).any(0)
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    assert 0 < int(changed.sum()) <= int(box) <= 24 * 24 / 3 + 24  # timm erases at most a third


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1"])
def test_every_kind_of_image_gets_three_channels(mode, tmp_path):
    path = tmp_path / "x.tiff"
    Image.fromarray(PICTURE).convert(mode).save(path)
    image = decode(path.read_bytes())
    assert image.shape == (3, 40, 60)
    assert image.dtype == torch.uint8


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "cannot identify image file"),
        (b"not an image", "cannot identify image file"),
        (encoded(PICTURE, "JPEG")[:-40], "image file is truncated"),
        (encoded(PICTURE, "PNG")[:200], "truncated"),
    ],
)
def test_what_does_not_decode_says_why(blob, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        decode(blob)
    assert "0x" not in str(caught.value)


def test_resizing_keeps_the_ratio_of_the_sides():
    assert resized(IMAGE, 20).shape == (3, 20, 30)


def test_an_unknown_rand_augment_is_named():
    with pytest.raises(ValueError, match=r"^auto_augment='rand-q9': must be a string that timm"):
        views(auto_augment="rand-q9").training()
