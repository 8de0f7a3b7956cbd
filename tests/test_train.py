"""A run from the command line: its record, its second call, and every bad input in one line."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml

from es_repro.config import config_folder
from es_repro.engine import Engine
from es_repro.report.folders import read_run
from es_repro.storage.checkpoint import CheckpointDamaged
from es_repro.storage.lease import Lease, RunBusy
from es_repro.train import train

METHODS = (
    "baseline", "ucb", "ka", "infobatch", "loss", "order", "es", "eswp",
    "random_set", "random_batch", "short_es", "short_eswp", "loss_anneal",
)  # fmt: skip


def only_run(runs: Path) -> Path:
    (done,) = runs.glob("*/done")
    return done.parent


@pytest.mark.parametrize("method", METHODS)
def test_every_method_and_control_trains_and_leaves_a_whole_record(quick, tmp_path, method):
    summary = train(quick(f"method={method}", "epochs=8", "subset=800"))

    folder = tmp_path / "runs" / summary["run"]
    assert json.loads((folder / "summary.json").read_text())["status"] == "finished"
    assert summary["test/accuracy"] > 0.3  # chance is 0.1
    assert summary["cost/optimizer_steps"] == summary["steps/selecting"] + summary["steps/plain"]
    assert 0 < summary["cost/bp_samples"] <= summary["cost/forward_samples"]
    assert summary["cost/flops"] == summary["cost/flops_per_sample"] * (
        summary["cost/forward_samples"] + 2 * summary["cost/bp_samples"]
    )
    assert not (folder / "lease.json").exists()
    member = json.loads((tmp_path / "runs" / "members.jsonl").read_text())
    assert (member["row"], member["run"]) == (method, folder.name)


def test_the_counters_are_those_of_the_method(quick):
    # methods.md 7.4: es with n = 200, B = 50, f = 0.25: 4 epochs, no annealing.
    es = train(
        quick(
            "epochs=4", "meta_batch_size=40", "method.annealing_start=0", "method.annealing_end=0"
        )
    )

    assert es["cost/forward_samples"] == 4 * (200 + 50)
    assert es["cost/bp_samples"] == 4 * 50
    assert es["cost/optimizer_steps"] == es["steps/selecting"] == 4 * 5


def test_short_costs_no_more_flops_than_what_it_stands_beside(quick):
    es, short = (train(quick(f"method={name}", "epochs=20")) for name in ("es", "short_es"))

    # floor(G * E + 0.5) epochs: half an epoch of the baseline at most from ES's own cost.
    epoch = 3 * 200 * es["cost/flops_per_sample"]
    assert abs(short["cost/flops"] - es["cost/flops"]) <= 0.5 * epoch + 1e-6 * epoch


def test_a_finished_run_is_not_run_again(quick, tmp_path):
    first = train(quick())
    history = (tmp_path / "runs" / first["run"] / "history.jsonl").read_bytes()
    again = train(quick())

    assert (first["kept"], again["kept"]) == (False, True)
    assert again["test/accuracy"] == first["test/accuracy"]
    assert (tmp_path / "runs" / first["run"] / "history.jsonl").read_bytes() == history


def test_resume_never_keeps_the_former_record_aside(quick, tmp_path):
    first = train(quick())
    again = train(quick("resume=never"))

    assert not again["kept"]
    assert again["run"] == first["run"]
    (aside,) = (tmp_path / "runs" / "replaced").iterdir()
    assert (aside / "done").exists()


def test_resume_never_leaves_a_run_alone_that_another_job_works_on(quick, tmp_path):
    first = train(quick())
    folder = tmp_path / "runs" / first["run"]
    with Lease(folder), pytest.raises(RunBusy, match="being worked on by process"):
        train(quick("resume=never"))

    assert (folder / "done").exists()
    assert not list((tmp_path / "runs" / "replaced").iterdir())


def test_the_report_says_how_far_an_interrupted_run_came(quick, tmp_path, monkeypatch):
    after_step = Engine.after_step

    def interrupted(self):
        after_step(self)
        if self.epoch == 2:  # in its third epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "after_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(quick())

    (history,) = (tmp_path / "runs").glob("*/history.jsonl")
    run = read_run(history.parent)
    assert (run.state, run.epochs_done) == ("interrupted", 2)


def test_a_state_of_another_version_is_named(quick, tmp_path):
    summary = train(quick())
    folder = tmp_path / "runs" / summary["run"]
    (folder / "done").unlink()
    (state,) = folder.glob("checkpoints/*.pt")
    torch.save({"weights": torch.zeros(1)}, state)

    with pytest.raises(CheckpointDamaged, match="start it again with resume=never"):
        train(quick())


@pytest.mark.parametrize(("more", "paper"), [((), True), (("+recipe.note=1",), False)])
def test_an_override_of_a_recipe_makes_it_another_than_the_paper_s(cli, tmp_path, more, paper):
    # `digits` stands in for the data; that it does is not said on the command line.
    conf = tmp_path / "conf"
    shutil.copytree(config_folder(), conf)
    experiment = conf / "experiment" / "tiny.yaml"
    experiment.write_text(
        "# @package _global_\nexperiment: tiny\nepochs: 2\nsubset: 200\nrecipe:\n  paper: true\n"
    )
    code, _, err = cli(
        "--config-dir=" + str(conf), "experiment=tiny", "tracker=none", *more, quick=False
    )

    assert code == 0, err
    config = yaml.safe_load((only_run(tmp_path / "runs") / "config.yaml").read_text())
    assert config["recipe"]["paper"] is paper


def test_what_does_not_change_the_result_does_not_change_the_hash(quick):
    first = train(quick())

    assert train(quick("run.log_every=7", "row=other"))["run"] == first["run"]
    assert train(quick("seed=1"))["run"] != first["run"]
    assert train(quick("method.beta1=0.3"))["run"] != first["run"]


def test_runs_that_differ_only_in_the_method_start_from_the_same_weights_and_order(quick):
    # es with b = B is the baseline, bit for bit.
    base = train(quick("method=baseline"))
    es = train(quick("method=es", "method.batch_ratio=1"))

    assert es["run"] != base["run"]
    for name in ("test/accuracy", "test/loss"):
        assert es[name] == base[name]


def test_the_record_holds_no_secret_of_the_environment(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setenv("MY_TOKEN", "very-secret-token")
    summary = train(quick("tracker=wandb"))

    files = [x for x in (tmp_path / "runs" / summary["run"]).rglob("*") if x.is_file()]
    assert any(x.suffix == ".wandb" for x in files)
    for path in files:
        content = path.read_bytes()
        assert b"0123456789abcdef0123456789abcdef01234567" not in content
        assert b"very-secret-token" not in content


def test_the_command_line_prints_the_result_and_where_it_lies(cli, tmp_path):
    code, out, _ = cli("method=es")

    assert code == 0
    assert "test/accuracy" in out
    assert str(only_run(tmp_path / "runs")) in out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method=evolved", "method=evolved: must be one of baseline, dif, es"),
        ("model=resnet9", "model=resnet9: must be one of"),
        ("method.beta3=1", "method.beta3: no such key"),
        ("epoch=3", "epoch: no such key"),
        ("+method.beta3=1", "beta3=1: must be a hyper-parameter of es"),
        ("method.batch_ratio=1.5", "batch_ratio=1.5: must be in (0, 1]"),
        ("method.beta1=-0.1", "beta1=-0.1: must be in [0, 1]"),
        ("method.name=evolved", "method='evolved': must be a method"),
        ("subset=0", "subset=0: must be"),
        ("precision=fp8", "precision=fp8: must be auto, fp32 or bf16"),
        ("run.device=tpu", "device=tpu: must be auto, cpu or cuda"),
        ("epochs=0", "must be"),
        ("score_mode=both", "score_mode='both': must be train or eval"),
        ("tracker.mode=ofline", "tracker.mode=ofline: must be offline, online or none"),
        ("dataset=cifar10", "DATA_ROOT"),
        ("task.label_smoothing=1", "label_smoothing=1: must be in [0, 1)"),
        ("task.label_smoothing=abc", "label_smoothing='abc': must be in [0, 1)"),
        ("epochs=1.5", "epochs=1.5: must be an integer >= 1"),
        ("epochs=many", "epochs='many': must be an integer >= 1"),
        ("clip_norm=x", "clip_norm='x': must be in (0, inf)"),
        ("compile_mode=fast", "compile_mode='fast': must be 'default' or 'reduce-overhead' or"),
        ("run.log_every=often", "log_every='often': must be an integer >= 1"),
        ("run.checkpoint_every_seconds=-1", "checkpoint_every_seconds=-1: must be in [0, inf]"),
        ("seed=-1", "seed=-1: must be an integer >= 0"),
        ("seed=4294967296", "seed=4294967296: must be below 4294967296"),
        ("resume=Never", "resume='Never': must be auto or never"),
        ("missing_data=ignore", "missing_data='ignore': must be error or skip"),
        ("run.threads=0", "run.threads=0: must be an integer >= 1"),
        ("schedule.pct_start=2", "error: pct_start=2: must be in [0, 1)"),
        ("method._target_=nowhere.x", "method._target_=nowhere.x: must be a class or function"),
        ("experiment=demo/digit", "(did you mean 'demo/digits'?)"),
        ("+nosuch=1", "nosuch=1: no such key; --help lists them"),
        ("+epoch=1", "epoch=1: no such key; did you mean epochs?"),
        ("+run.thread=1", "run.thread=1: no such key; did you mean run.threads?"),
        ("+task.smoothing=0.1", "task.smoothing=0.1: no such key; did you mean task.label_smoo"),
        ("+optimizer.momentun=0", "did you mean optimizer.momentum?"),
        ("budget_of=es", "budget_of='es': must be null; method=short_es and its like set it"),
        ("optimizer.lr=abc", "optimizer.lr='abc': must be in [0, inf)"),
        ("optimizer.weight_decay=-1", "optimizer.weight_decay=-1: must be in [0, inf)"),
        ("sweep=demo/digits", "sweep='demo/digits': must be run with -m"),
    ],
)
def test_bad_input_is_one_line_and_a_non_zero_code(cli, override, message):
    offline = ["dataset.download=never"] if "cifar" in override else []
    code, _, err = cli(override, *offline)

    lines = [line for line in err.splitlines() if line]
    assert code == 1
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def test_a_loss_that_is_not_finite_names_step_and_samples(cli, tmp_path):
    code, _, err = cli("optimizer.lr=1e30", "run.log_every=5")

    assert code == 1
    assert err.startswith("error: step ")
    assert "sample ids [" in err
    (failed,) = (tmp_path / "runs").glob("*/failed.json")
    assert json.loads(failed.read_text())["type"] == "FloatingPointError"
    assert not (failed.parent / "done").exists()


def test_non_finite_losses_are_skipped_on_request(quick, monkeypatch):
    from es_repro.tasks import Classification

    forward = Classification.__call__

    def poisoned(self, model, inputs, targets, signals):
        output = forward(self, model, inputs, targets, signals)
        # One class makes no loss at all: those rows are drawn last, their steps are left out.
        output.losses[targets == 3] = torch.nan
        output.scores[targets == 3] = torch.nan
        return output

    monkeypatch.setattr(Classification, "__call__", poisoned)
    summary = train(
        quick("+method.nonfinite=skip", "method.annealing_start=0", "epochs=8", "subset=800")
    )

    assert summary["test/accuracy"] > 0.3
    assert torch.isfinite(torch.tensor(summary["test/loss"]))


def test_a_sweep_goes_on_after_a_failure_and_reports_it_at_the_end(cli, tmp_path):
    code, _, err = cli("-m", "method=baseline,es", "optimizer.lr=1e30,0.1", "run.log_every=5")

    assert code == 1
    assert len(list((tmp_path / "runs").glob("*/done"))) == 2
    assert err.count("[4/4]") == 1
    assert err.count("default baseline seed 0: failed") == 2  # when it fails, and at the end
    assert err.count("default es seed 0: failed") == 2


def test_a_stopped_sweep_says_so_and_shows_what_it_did(cli, tmp_path, monkeypatch):
    after_step = Engine.after_step

    def terminated(self):
        if self.selector.method_name() == "es" and self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        after_step(self)

    monkeypatch.setattr(Engine, "after_step", terminated)
    code, _, err = cli("-m", "method=baseline,es,loss")

    assert code == 128 + signal.SIGTERM
    assert "Traceback" not in err
    assert "[1/3] default baseline seed 0: test/accuracy" in err
    assert "[2/3] default es seed 0: stopped: the same command goes on" in err
    assert len(list((tmp_path / "runs").glob("*/done"))) == 1


def test_fail_fast_starts_nothing_after_a_failure(cli, tmp_path):
    code, _, err = cli("-m", "optimizer.lr=1e30,0.1", "run.log_every=5", "fail_fast=true")

    assert code == 1
    assert not list((tmp_path / "runs").glob("*/done"))
    assert "skipped" in err


def test_a_sweep_without_data_says_what_to_set(cli, tmp_path):
    arguments = ("-m", "dataset=cifar10,cifar100", "missing_data=skip", "++dataset.download=never")
    code, _, err = cli(*arguments)
    assert code == 1
    assert "DATA_ROOT" in err

    lines = (tmp_path / "runs" / "members.jsonl").read_text().splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"no data"}


def test_help_teaches(cli):
    code, out, _ = cli("--help", quick=False)

    assert code == 0
    assert "python -m es_repro.train method=eswp seed=1" in out
    assert "method: baseline, dif, es" in out
