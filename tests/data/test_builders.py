"""digits and cifar by name: the same data from every layout, and errors that say what to do."""

import os
import random
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import CLASSES, pictures, write_home_page, write_hub, write_parquet
from sklearn.datasets import load_digits

from es_repro.data import DataDamaged, DataNotFound, builders, cifar, digits

TRAIN, TEST = pictures(10, 6, seed=0), pictures(10, 2, seed=1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(name, root, layout):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(builders, "fetch", refuse)


@pytest.fixture
def hub(tmp_path):
    write_hub(tmp_path, train=TRAIN, test=TEST)
    return tmp_path


def test_digits_are_those_of_scikit_learn_cut_by_class():
    data = digits()
    assert (len(data.train), len(data.evaluation)) == (1438, 359)
    assert data.train.images.shape == (1438, 1, 8, 8)
    assert data.train.images.dtype == torch.uint8
    assert data.evaluation.targets.bincount().min() >= 34  # a fifth of 174..183
    pixels = torch.cat((data.train.images, data.evaluation.images)).view(1797, -1)
    ours = sorted(map(tuple, (pixels / 255 * 16).round().int().tolist()))
    assert ours == sorted(map(tuple, load_digits().data.astype(int).tolist()))


def test_digits_are_normalised_to_mean_zero_and_deviation_one():
    data = digits()
    inputs = (data.train.images / 255 - data.mean[0]) / data.std[0]
    assert inputs.mean().abs() < 0.002
    assert (inputs.std() - 1).abs() < 0.002


def test_digits_are_not_augmented_by_default():
    assert not digits().augment
    assert digits(augment=True).augment


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_every_layout_gives_the_same_data(tmp_path, name):
    train, test = pictures(CLASSES[name], 2, seed=0), pictures(CLASSES[name], 1, seed=1)
    write_hub(tmp_path / "hub", name, train=train, test=test)
    for split, content in (("train", train), ("test", test)):
        file = tmp_path / "spelt" / name / name / f"{split}-00000-of-00001.parquet"
        write_parquet(file, *content, image="image", label="fine_label")
    write_home_page(tmp_path / "page", name, train=train, test=test)
    sets = [cifar(name, data_root=tmp_path / place) for place in ("hub", "spelt", "page")]
    assert len({data.fingerprint for data in sets}) == 1
    assert sets[0].num_classes == CLASSES[name]
    for data in sets:
        assert np.array_equal(data.train.images.permute(0, 2, 3, 1), train[0])
        assert data.evaluation.targets.tolist() == test[1].tolist()


def test_parquet_comes_before_the_pickled_folder(hub):
    write_home_page(hub, train=TEST, test=TRAIN)
    assert len(cifar(data_root=hub).train) == 60


def test_the_data_root_may_be_a_string_with_a_tilde(hub, monkeypatch):
    monkeypatch.setenv("HOME", str(hub))
    assert len(cifar(data_root="~").train) == 60


def test_what_a_run_trains_on_shows_in_the_fingerprint(hub):
    choices = [{}, {"subset": 30}, {"subset": 30, "subset_seed": 1}, {"label_noise": 0.5},
               {"label_noise": 0.5, "noise_seed": 1}, {"split": "validation"}]  # fmt: skip
    prints = [cifar(data_root=hub, **choice).fingerprint for choice in choices]
    assert len(set(prints)) == len(prints)
    assert prints[1] == cifar(data_root=hub, subset=0.5).fingerprint


def test_a_validation_cut_is_called_so(hub):
    data = cifar(data_root=hub, split="validation", validation=0.5)
    assert data.split == "validation"
    assert (len(data.train), len(data.evaluation)) == (30, 30)


def test_global_generators_are_untouched(hub):
    def states():
        numpys = str(np.random.get_state())  # noqa: NPY002 - the global one is meant
        return torch.get_rng_state().tolist(), numpys, random.getstate()

    before = states()
    digits(subset=100, label_noise=0.2, split="validation")
    cifar(data_root=hub, subset=20, label_noise=0.2)
    assert states() == before


@pytest.mark.parametrize("download", ["auto", "never"])
def test_absent_data_says_what_to_set(tmp_path, download):
    with pytest.raises(DataNotFound) as caught:
        cifar("cifar100", data_root=tmp_path, download=download)
    line = str(caught.value)
    assert line.startswith(f"cifar100: not found under DATA_ROOT={tmp_path}; set DATA_ROOT to")
    assert "in cifar100/ or uoft-cs/cifar100/ (./, plain_text/, cifar100/, data/)" in line
    assert "cifar-100-python/" in line
    assert ("no network in tests" if download == "auto" else "download=never") in line
    assert "\n" not in line


def test_data_is_downloaded_where_none_is_found(tmp_path, monkeypatch):
    def fetch(name, root, layout):
        write_home_page(root, name, train=TRAIN, test=TEST)

    monkeypatch.setattr(builders, "fetch", fetch)
    assert len(cifar(data_root=tmp_path).train) == 60
    with pytest.raises(DataNotFound):
        cifar("cifar100", data_root=tmp_path, download="never")


def test_another_number_of_classes_is_named(tmp_path):
    write_hub(tmp_path, "cifar100", train=TRAIN, test=TEST)
    with pytest.raises(DataDamaged, match=r"train\.parquet: 10 of 100 classes have rows"):
        cifar("cifar100", data_root=tmp_path)
    write_hub(tmp_path, train=pictures(11, 1, seed=0), test=TEST)
    with pytest.raises(DataDamaged, match=r"train\.parquet: labels run from 0 to 10"):
        cifar("cifar10", data_root=tmp_path)


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("name", "cifar", "'cifar10' or 'cifar100'"),
        ("download", "always", "'auto' or 'never'"),
        ("augment", "yes", "true or false"),
        ("flip", 1, "true or false"),
        ("pad", 32, "in [0, 32), the image's size"),
        ("pad", -1, "in [0, 32), the image's size"),
    ],
)
def test_a_bad_value_is_named(hub, argument, value, allowed):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole line is compared
        cifar(**{"data_root": hub, argument: value})
    assert str(caught.value) == f"{argument}={value!r}: must be {allowed}"


def test_real_cifar_10_is_what_it_says():
    root = Path(os.environ.get("DATA_ROOT", "data"))
    try:
        data = cifar("cifar10", data_root=root, download="never", subset=2000)
    except DataNotFound as error:
        pytest.skip(f"needs real CIFAR-10: {error}")
    assert data.train.targets.bincount().tolist() == [200] * 10
    assert data.evaluation.targets.bincount().tolist() == [1000] * 10
    means = (data.evaluation.images / 255).mean((0, 2, 3))
    assert (means - torch.tensor(data.mean)).abs().max() < 0.01
