"""A whole run of Table 9's protocol on made problems: trained, exported, evaluated, graded."""

import json

import pytest
import yaml

from es_repro.evaluate_maths.evaluation import Protocol, evaluate
from es_repro.evaluate_maths.generation import Sampling
from es_repro.evaluate_maths.problems import read_problems
from es_repro.train import train
from tests.data.problems import write_gsm8k
from tests.evaluate_maths.models import write_model, write_problems

SMALL = (
    "experiment=demo/table9_qwen_sft", "tracker=none", "subset=40", "epochs=20", "precision=fp32",
    "dataset.max_length=250", "dataset.held=4", "dataset.vocab_size=280", "run.threads=1",
    "model.width=32", "model.layers=1", "model.heads=2", "recipe.max_lr.default=0.02",
    "max_steps=12", "schedule_steps=12", "keep_steps=[4,12]",
)  # fmt: skip


@pytest.fixture
def compose_small(compose_run, tmp_path):
    write_gsm8k(tmp_path / "data", train=60)
    places = (f"run.root={tmp_path / 'runs'}", f"run.data_root={tmp_path / 'data'}")

    def compose_it(*overrides, sizes=True):
        kept = [x for x in SMALL if sizes or not x.startswith(("model.", "keep_steps"))]
        return compose_run(*kept, *places, *overrides)

    return compose_it


def history(folder):
    lines = [json.loads(x) for x in (folder / "history.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "epoch"]


def test_a_step_to_keep_that_the_epochs_do_not_come_to_is_refused(compose_small, tmp_path):
    # 40 rows in batches of 32: two steps an epoch, for a method that leaves nothing out.
    with pytest.raises(ValueError, match=r"^keep_steps=12: must be at most 10, where epochs=5 of"):
        train(compose_small("epochs=5"))
    assert not list((tmp_path / "runs").glob("*/history.jsonl"))


def test_a_run_that_ends_before_a_step_to_keep_says_so(compose_small, caplog):
    # Half of 40 rows: one step an epoch.
    few = ("method=random_set", "method.prune_ratio=0.5", "epochs=6", "method.annealing_start=0")
    summary = train(compose_small(*few, "method.annealing_end=0"))

    assert summary["exports/missing"] == [12]
    assert "keep_steps=[12]: not kept: the run's epochs ended after 6 steps" in caplog.text


def test_a_run_learns_keeps_its_models_and_they_are_graded(compose_small, tmp_path):
    summary = train(compose_small("method=eswp"))
    folder = tmp_path / "runs" / summary["run"]
    lines = history(folder)

    assert summary["headline"] == "test/loss"
    assert lines[-1]["test/loss"] < 0.7 * lines[0]["test/loss"]
    assert summary["test/loss_best"] == min(line["test/loss"] for line in lines)
    assert lines[-1]["cost/optimizer_steps"] == 12
    # Of 32 rows (40 pruned by a fifth) 8 train: 4 scoring passes and 1 backward pass each step.
    assert (summary["cost/scoring_passes"], summary["cost/backward_passes"]) == (48, 12)
    assert all(-1 <= line["selection/length_correlation"] <= 1 for line in lines)
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["data_notes"]["dropped_too_long"] == 0
    note = yaml.safe_load((folder / "config.yaml").read_text())["dataset"]["note"]
    assert note == "weights: none (random initialisation)"

    assert sorted(x.name for x in (folder / "exports").iterdir()) == ["step-12", "step-4"]
    data = write_problems(tmp_path / "math", math500=[("What is 2 + 2?", "4")] * 3)
    found = evaluate(
        str(folder / "exports" / "step-12"),
        read_problems(data, ["math500"]),
        tmp_path / "evaluation",
        Protocol(Sampling(max_new_tokens=8)),
        lambda *_: None,
    )
    assert found["sets"]["math500"]["answers"] == 3
    answers = (tmp_path / "evaluation" / "answers.jsonl").read_text().splitlines()
    graded = [json.loads(x) for x in answers]
    assert {line["verdict"] for line in graded} <= {"right", "wrong", "no_answer", "timeout"}


def test_the_short_control_stops_where_its_method_s_flops_end(compose_small, tmp_path):
    costs = {}
    for method in ("baseline", "es", "short_es"):
        summary = train(compose_small(f"method={method}"))
        costs[method] = summary["cost/optimizer_steps"]
        exports = tmp_path / "runs" / summary["run"] / "exports"
        last = max(int(x.name.removeprefix("step-")) for x in exports.iterdir())
        assert last == costs[method]
    assert costs == {"baseline": 12, "es": 12, "short_es": 7}  # 7/12 of the baseline's 12


def test_a_model_on_disk_is_fine_tuned_by_its_own_tokenizer(compose_small, tmp_path):
    folder = write_model(tmp_path / "model", tmp_path / "bpe")
    other = ("model=qwen25_05b", f"model.weights={folder}", "max_steps=1", "schedule_steps=12")
    summary = train(compose_small(*other, "keep_steps=null", sizes=False))
    config_file = tmp_path / "runs" / summary["run"] / "config.yaml"
    resolved = yaml.safe_load(config_file.read_text())
    assert resolved["dataset"]["tokenizer"] == str(folder)
    assert resolved["dataset"]["note"] == "weights: model"


def test_a_tokenizer_of_another_model_is_one_line(compose_small, tmp_path):
    folder = write_model(tmp_path / "model", tmp_path / "bpe")
    overrides = ("model=qwen25_05b", f"model.weights={folder}", "dataset.tokenizer=null")
    config = compose_small(*overrides, "dataset.vocab_size=400", "keep_steps=null", sizes=False)
    with pytest.raises(ValueError, match=r"^dataset.tokenizer: has \d+ tokens and model.weights="):
        train(config)
