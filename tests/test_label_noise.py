"""Label noise in whole runs: what is recorded of it, for every kind of data set."""

import json

import pytest
import torch
from glue_files import write_task, write_tokenizer

from es_repro.build import load_data
from es_repro.report.folders import read_members, read_runs
from es_repro.report.runs import tidy
from es_repro.selection import PlannedBatchSampler, create
from es_repro.train import train
from tests.data.layouts import photographs, write_class_folders

NOISE = ("dataset.label_noise=0.2", "epochs=4", "subset=400", "meta_batch_size=40")


def test_which_labels_are_wrong_and_how_many_were_trained_is_recorded(quick, tmp_path):
    config = quick(*NOISE, "method=eswp", "dataset.noise_seed=5")
    summary = train(config)
    folder = tmp_path / "runs" / summary["run"]
    data = load_data(config)

    kept = json.loads((folder / "corrupted.json").read_text())
    ids = kept.pop("ids")
    assert ids == data.corrupted.nonzero().squeeze(1).tolist()
    assert kept == {
        "label_noise": 0.2, "noise_seed": 5, "num_samples": 400, "num_corrupted": len(ids),
    }  # fmt: skip
    assert 50 < len(ids) < 110  # 80 +- 8: false alarm < 3e-4, and the seed is fixed
    clean = load_data(quick("subset=400"))
    assert (data.train.targets != clean.train.targets).nonzero().squeeze(1).tolist() == ids
    assert torch.equal(data.evaluation.targets, clean.evaluation.targets)

    lines = [json.loads(x) for x in (folder / "history.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert len(epochs) == 4
    for line in epochs:
        assert line["noise/share"] == len(ids) / 400
        assert 0 < line["noise/planned_share"] < 1
    # High losses are wrong labels: more of them are trained than planned by the end.
    assert epochs[-1]["noise/bp_share"] > epochs[-1]["noise/planned_share"]
    # All epochs plan 320 and train 80: the run's share is the mean of theirs.
    mean = sum(line["noise/bp_share"] for line in epochs) / 4
    assert summary["noise/bp_share"] == pytest.approx(mean)

    members = read_members(tmp_path / "runs")
    frame = tidy(members, read_runs(tmp_path / "runs", {summary["run"]}))
    assert frame["noise/bp_share"].iloc[0] == pytest.approx(summary["noise/bp_share"])
    assert frame["noise/planned_share"].iloc[0] == pytest.approx(summary["noise/planned_share"])


def test_the_wrong_labels_are_those_of_the_noise_seed_alone(quick, tmp_path):
    def ids(*overrides):
        folder = tmp_path / "runs" / train(quick(*NOISE, "epochs=1", *overrides))["run"]
        return json.loads((folder / "corrupted.json").read_text())["ids"]

    first = ids("method=baseline", "seed=0")
    assert first == ids("method=es", "seed=7")
    assert first != ids("method=baseline", "dataset.noise_seed=1")


def test_no_noise_leaves_no_trace(quick, tmp_path):
    summary = train(quick("epochs=1"))
    assert not (tmp_path / "runs" / summary["run"] / "corrupted.json").exists()
    assert not [name for name in summary if name.startswith("noise/")]


@pytest.fixture
def sources(tmp_path):
    """A tiny set of each kind below DATA_ROOT, and how a command asks for it."""
    write_task(tmp_path, "cola")
    tokenizer = write_tokenizer(tmp_path / "words")
    write_class_folders(tmp_path / "imagenet10/train", *photographs(10, 4, seed=0))
    write_class_folders(tmp_path / "imagenet10/val", *photographs(10, 1, seed=1))
    return {
        "glue": ("dataset=glue", "dataset.name=cola", f"dataset.tokenizer={tokenizer}"),
        "streamed": ("dataset=imagenet10",),
        "digits": ("dataset=digits",),
    }


@pytest.mark.parametrize("kind", ["glue", "streamed", "digits"])
def test_every_loader_knows_the_wrong_labels(compose_run, tmp_path, sources, kind):
    def load(*more):
        return load_data(
            compose_run(*sources[kind], f"run.data_root={tmp_path}", "subset=null", *more)
        )

    clean, noisy = load(), load("dataset.label_noise=0.3")
    wrong = noisy.train.targets != clean.train.targets
    assert torch.equal(noisy.corrupted, wrong)
    assert 0 < int(wrong.sum()) < len(wrong)
    assert torch.equal(noisy.evaluation.targets, clean.evaluation.targets)
    for data in (clean, noisy):
        sampler = PlannedBatchSampler(create("baseline", data.num_samples, 1), 4)
        loader = data.loader(sampler, seed=0, device=torch.device("cpu"))
        assert loader.corrupted is None if data is clean else torch.equal(loader.corrupted, wrong)


def test_noise_is_refused_in_one_line_where_labels_are_no_classes(cli, tmp_path):
    write_task(tmp_path / "data", "stsb")
    tokenizer = write_tokenizer(tmp_path / "words")
    code, _, err = cli(
        "dataset=glue", "dataset.name=stsb", f"dataset.tokenizer={tokenizer}",
        "dataset.label_noise=0.2", "task=sequence_classification", "model=albert_base",
    )  # fmt: skip
    assert code == 1
    assert err == "error: label_noise=0.2: must be 0: the labels of stsb are no classes\n"
    code, _, err = cli("dataset.label_noise=1.5")
    assert (code, err) == (1, "error: label_noise=1.5: must be in [0, 1]\n")
