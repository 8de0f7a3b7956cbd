"""torchvision's folder of CIFAR: what is read, what is refused, and what is never executed."""

import os
import pickle

import numpy as np
import pytest
import torch
from layouts import pictures, write_batch, write_home_page
from torchvision.datasets import CIFAR10

from es_repro.data import DataDamaged
from es_repro.data.pickled import LAYOUTS, read_pickled

TRAIN, TEST = pictures(10, 3, seed=0), pictures(10, 1, seed=1)


@pytest.fixture
def folder(tmp_path):
    return write_home_page(tmp_path, train=TRAIN, test=TEST)


def read(folder):
    return read_pickled(folder.parent, LAYOUTS["cifar10"])


def test_files_of_python_2_are_read_in_order(folder):
    for source, (images, labels) in zip(read(folder), (TRAIN, TEST), strict=True):
        assert source.targets.tolist() == labels.tolist()
        rows = torch.arange(len(labels)).flip(0)
        decoded = source.decode(rows)
        assert np.array_equal(decoded.permute(0, 2, 3, 1).numpy(), images[rows])


def test_torchvision_reads_the_same(folder, monkeypatch):
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda _: True)
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda _: None)
    theirs = CIFAR10(str(folder.parent), train=True)
    ours, _ = read(folder)
    assert np.array_equal(theirs.data, ours.decode(torch.arange(30)).permute(0, 2, 3, 1).numpy())
    assert theirs.targets == ours.targets.tolist()


def test_pickles_of_today_are_read_too(folder):
    content = {"data": np.zeros((2, 3072), dtype=np.uint8), "labels": [3, 4]}
    (folder / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    assert read(folder)[1].targets.tolist() == [3, 4]


def test_a_missing_batch_is_named(folder):
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataDamaged, match="data_batch_3: missing from its folder; delete"):
        read(folder)


@pytest.mark.parametrize("keep", [0, 10, 2000, -1])
def test_a_truncated_batch_is_named(folder, keep):
    file = folder / "data_batch_2"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataDamaged, match="data_batch_2: no whole CIFAR batch"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "2 images but 1 labels"),
        ({"data": np.zeros((2, 3072), np.uint8)}, "KeyError"),
        ({"data": np.zeros((2, 3071), np.uint8), "labels": [1, 2]}, "not rows of 3072"),
        ({"data": np.zeros((2, 3072)), "labels": [1, 2]}, "data is float64"),
        (["data", "labels"], "no whole CIFAR batch"),
    ],
)
def test_a_batch_that_contradicts_itself_is_named(folder, content, words):
    write_batch(folder / "test_batch", content)
    with pytest.raises(DataDamaged, match=rf"test_batch: .*{words}"):
        read(folder)


def test_code_in_a_batch_is_not_run(folder, tmp_path):
    class Intruder:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "intruded"),)

    (folder / "test_batch").write_bytes(pickle.dumps({"data": Intruder()}, protocol=2))
    with pytest.raises(DataDamaged, match=r"test_batch: .*it asks for .*mkdir"):
        read(folder)
    assert not (tmp_path / "intruded").exists()
