"""Whole runs on tiny GLUE tasks: every method, records, refusals, and a kill in mid-epoch."""

import json

import pytest
import torch
import yaml
from glue_files import write_task, write_tokenizer
from test_kill import final_state, same, start

from es_repro.config import weights_note
from es_repro.models import encoder
from es_repro.train import train

SMALL = (
    "model.weights=null", "model.config.hidden_size=16", "model.config.embedding_size=8",
    "model.config.num_attention_heads=2", "model.config.intermediate_size=32",
    "model.config.num_hidden_layers=2", "model.config.vocab_size=50", "subset=20",
    "meta_batch_size=8", "epochs=4", "optimizer.lr=1e-3",
)  # fmt: skip
METHODS = (
    "baseline", "ucb", "ka", "infobatch", "loss", "order", "es", "eswp", "random_set",
    "random_batch", "random", "short_es", "short_eswp", "loss_anneal", "dif", "nondif",
    "nondif_anneal",
)  # fmt: skip


@pytest.fixture
def make(quick, tmp_path):
    """A run of a tiny ALBERT on a tiny task, in half a second."""
    tokenizer = write_tokenizer(tmp_path / "tokenizer")

    def compose(task, *more):
        if not (tmp_path / "glue" / task).is_dir():
            write_task(tmp_path, task)
        places = f"run.data_root={tmp_path}", f"dataset.tokenizer={tokenizer}"
        experiment = f"experiment=table5_glue_albert_{task}"
        return quick(experiment, *places, *SMALL, "dataset.download=never", *more)

    return compose


def folder_of(tmp_path, summary):
    return tmp_path / "runs" / summary["run"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_a_whole_record(make, tmp_path, method):
    summary = train(make("cola", f"method={method}"))
    folder = folder_of(tmp_path, summary)
    assert summary["headline"] == "test/matthews"
    assert {"test/accuracy", "test/f1", "test/loss", "test/matthews_best"} <= summary.keys()
    assert summary["cost/flops"] > 0
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["dataset"]["note"] == "weights: none (random initialisation)"
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert len(epochs) == config["epochs"]
    assert all(len(line["selection/class_counts"]) == 2 for line in epochs)
    assert (folder / "done").exists()


@pytest.mark.parametrize("method", ["baseline", "es", "eswp", "infobatch", "order", "ucb"])
def test_selection_works_on_squared_errors(make, tmp_path, method):
    summary = train(make("stsb", f"method={method}"))
    assert summary["headline"] == "test/correlation"
    assert {"test/pearson", "test/spearman", "test/loss"} <= summary.keys()
    history = (folder_of(tmp_path, summary) / "history.jsonl").read_text()
    assert "selection/class_counts" not in history


def test_kakurenbo_needs_classes_or_to_be_told_that_there_are_none(make):
    with pytest.raises(ValueError, match=r"^method='?ka'?: must be one that needs no confidence"):
        train(make("stsb", "method=ka"))
    summary = train(make("stsb", "method=ka", "method.require_prediction=false"))
    assert summary["test/loss"] > 0


@pytest.mark.parametrize("task", ["cola", "stsb"])
def test_a_kill_in_mid_epoch_changes_nothing(make, tmp_path, task):
    # 3 steps an epoch: step 4 is the first of the second; dropout draws from global generators.
    changes = ("model.config.hidden_dropout_prob=0.1", "run.checkpoint_every_steps=4")
    train(make(task, "method=eswp", *changes, f"run.root={tmp_path / 'whole'}"))
    config = make(task, "method=eswp", *changes)
    child = start(config, kill_at=4)
    child.join()
    assert child.exitcode == -9
    summary = train(config)
    assert summary["resumed"] == 1
    whole, killed = final_state(tmp_path / "whole"), final_state(tmp_path / "runs")
    for key in whole.keys() - {"clock", "memory"}:
        assert same(whole[key], killed[key]), key


def test_the_hash_does_not_depend_on_places(make, tmp_path):
    first = train(make("cola"))
    other = write_tokenizer(tmp_path / "elsewhere")
    moved = train(make("cola", f"dataset.tokenizer={other}", f"dataset.cache_root={tmp_path}/c"))
    assert (moved["run"], moved["kept"]) == (first["run"], True)


def test_weights_of_another_tokenizer_are_refused(make, tmp_path):
    config = {
        "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16,
    }  # fmt: skip
    torch.manual_seed(0)
    net = encoder(config=config, num_outputs=2, vocab_size=14, max_length=8)
    net.save_pretrained(tmp_path / "weights")
    train(make("cola", f"model.weights={tmp_path / 'weights'}"))
    write_tokenizer(tmp_path / "weights", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"jihgfedcba"])
    with pytest.raises(ValueError, match=r"^dataset.tokenizer: is not the one of model.weights="):
        train(make("cola", f"model.weights={tmp_path / 'weights'}"))


def test_the_note_says_which_weights_a_run_took(tmp_path):
    def note(pretrained, weights):
        return weights_note({"recipe": {"pretrained": pretrained}, "model": {"weights": weights}})

    assert note(True, None) == {"note": "weights: none (random initialisation)"}
    assert note(True, "minilm") == {"note": "weights: minilm"}
    assert note(True, str(tmp_path)) == {"note": f"weights: {tmp_path.name}"}  # no machine's path
    assert note(False, None) == {}
