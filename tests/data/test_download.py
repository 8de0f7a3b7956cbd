"""The download: whole or not at all, quiet, and never for ever."""

import socket
import urllib.error
from pathlib import Path

import pytest
from layouts import pictures, write_home_page
from torchvision.datasets import CIFAR10

from es_repro.data.download import SILENCE_SECONDS, download
from es_repro.data.pickled import LAYOUTS, read_pickled

TRAIN, TEST = pictures(10, 1, seed=0), pictures(10, 1, seed=1)
LAYOUT = LAYOUTS["cifar10"]


@pytest.fixture
def served(monkeypatch):
    """Stand in for torchvision's download; answers what it saw."""
    seen = []

    def fetch(self, root, download):
        assert download
        seen.append(socket.getdefaulttimeout())
        print("Extracting ...")  # noqa: T201 - as some versions of torchvision do
        write_home_page(Path(root), train=TRAIN, test=TEST)

    monkeypatch.setattr(CIFAR10, "__init__", fetch)
    return seen


def test_the_folder_appears_whole_and_alone(tmp_path, served, capsys):
    root = tmp_path / "not" / "there"
    download("cifar10", root, LAYOUT)
    assert [path.name for path in root.iterdir()] == [LAYOUT.folder]
    assert len(read_pickled(root, LAYOUT)[0].targets) == 10
    assert capsys.readouterr().out == ""


def test_silence_ends_it_and_the_limit_is_lifted_again(tmp_path, served):
    before = socket.getdefaulttimeout()
    download("cifar10", tmp_path, LAYOUT)
    assert served == [SILENCE_SECONDS]
    assert socket.getdefaulttimeout() == before


def test_a_faster_job_wins(tmp_path, served):
    mine = write_home_page(tmp_path, train=TEST, test=TRAIN)
    before = (mine / "test_batch").read_bytes()
    download("cifar10", tmp_path, LAYOUT)
    assert (mine / "test_batch").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [LAYOUT.folder]


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(self, root, download):
        (Path(root) / "half.tar.gz").write_bytes(b"half")
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(CIFAR10, "__init__", fail)
    with pytest.raises(OSError, match="no route to host"):
        download("cifar10", tmp_path, LAYOUT)
    assert list(tmp_path.iterdir()) == []
