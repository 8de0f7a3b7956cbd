"""Whole runs on streamed images: a kill in mid-epoch, damage in the record, errors in a line."""

import json
import re
import signal

import pytest
import torch
from layouts import photographs, write_class_folders
from test_kill import final_state, same, start

from es_repro.train import train

CLASSES = 3
WORKERS = "run.num_workers=2"


@pytest.fixture
def images(tmp_path):
    root = tmp_path / "data"
    write_class_folders(root / "tiny/train", *photographs(CLASSES, 10, seed=0))
    write_class_folders(root / "tiny/val", *photographs(CLASSES, 3, seed=1))
    return root


@pytest.fixture
def streamed(quick, images):
    """Compose a run of 3 epochs of 8 steps on thirty images."""

    def make(*overrides):
        return quick(
            "dataset=imagenet10", "dataset.places=[tiny]", f"dataset.num_classes={CLASSES}",
            "dataset.image_size=16", "dataset.resize=20", "dataset.cache=null", "subset=null",
            f"run.data_root={images}", "meta_batch_size=4", *overrides,
        )  # fmt: skip

    return make


@pytest.mark.slow
def test_a_kill_in_mid_epoch_with_workers_costs_nothing(streamed, tmp_path):
    def make(root, *more):
        return streamed("method=eswp", "run.checkpoint_every_steps=4", f"run.root={root}", *more)

    whole = train(make(tmp_path / "whole"))
    child = start(make(tmp_path / "killed", WORKERS), kill_at=11)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    (newest,) = (tmp_path / "killed").glob("*/checkpoints/step-000000008.pt")
    assert torch.load(newest, weights_only=True)["position"] == 2  # of 6 steps: pruned

    resumed = train(make(tmp_path / "killed", WORKERS))
    assert resumed["resumed"] == 1
    assert resumed["run"] == whole["run"]
    one, two = final_state(tmp_path / "whole"), final_state(tmp_path / "killed")
    for key in one.keys() - {"clock", "memory"}:
        assert same(one[key], two[key]), key


def test_a_damaged_image_is_in_the_record(streamed, images, tmp_path):
    path = sorted((images / "tiny/train").rglob("*.JPEG"))[7]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        train(streamed("method=baseline"))

    summary = train(streamed("method=baseline", "dataset.max_damaged=1"))
    assert summary["resumed"] == 1  # the same run, with another limit
    assert summary["cost/bp_samples"] == 3 * 29
    history = (tmp_path / "runs" / summary["run"] / "history.jsonl").read_text()
    lines = [json.loads(line) for line in history.splitlines()]
    assert [x["data/damaged"] for x in lines if x["kind"] == "epoch"] == [1, 1, 1]


def test_errors_of_the_data_are_one_line(cli, images):
    def run(*overrides):
        code, _, printed = cli(
            "dataset=imagenet10", "dataset.places=[tiny]", f"run.data_root={images}", *overrides
        )
        return code, printed.splitlines()

    code, lines = run()
    assert code == 1
    assert lines == [
        f"error: {images}/tiny/train: 3 class folders, not 10; it is another data set, or a part "
        "of it is missing"
    ]
    code, (line,) = run("dataset.places=[nowhere]")
    assert code == 1
    assert line.startswith(f"error: nowhere: not found under DATA_ROOT={images}; set DATA_ROOT")
