"""What a command would run and cost, without running it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from es_repro.data import digits
from es_repro.data.known import known
from es_repro.forecast.expense import Ledger, estimate
from es_repro.forecast.plan import plan
from es_repro.storage.lease import Lease
from es_repro.storage.trace_files import read_selection
from es_repro.train import train

ROOT = Path(__file__).resolve().parents[2]
HERE = ("none", 1)


def planned(config, **keys):
    return estimate({"max_steps": None, **config, **keys}, 10, "resnet18", Ledger(), HERE)


def test_a_dry_run_says_how_each_run_stands_and_writes_nothing(cli, tmp_path):
    line = ("-m", "method=baseline,es,loss", "seed=0,1", "--dry-run")
    code, out, _ = cli(*line)
    assert code == 0
    assert "6 runs: 6 missing" in out
    assert not (tmp_path / "runs").exists()

    cli("-m", "method=baseline,es", "seed=0")
    runs = tmp_path / "runs"
    es = next(x.parent for x in runs.glob("*/config.yaml") if "name: es\n" in x.read_text())
    (es / "done").unlink()
    before = sorted(runs.rglob("*"))
    code, out, _ = cli(*line)
    lines = {" ".join(x.split()[:4]): x for x in out.splitlines()}
    assert lines["default baseline seed 0"].endswith("  done")
    assert lines["default es seed 0"].endswith("  interrupted after epoch 3; would go on")
    assert lines["default baseline seed 1"].endswith("  missing")
    assert "6 runs: 1 done, 1 interrupted, 4 missing" in out
    assert " s here" in lines["default loss seed 1"]  # the rate of the runs that have ended
    with Lease(es) as lease:
        lease.report(share=0.5)
        _, out, _ = cli("method=es", "--dry-run=totals")
        assert "1 runs: 1 running" in out
        assert "default es" not in out
    assert sorted(runs.rglob("*")) == before


def test_the_flops_foreseen_are_those_that_the_record_counts(cli, tmp_path):
    _, out, _ = cli("method=baseline", "--dry-run")
    foreseen = out.splitlines()[0].split("seed 0")[1].split()
    cli("method=baseline")
    (path,) = tmp_path.glob("runs/*/summary.json")
    counted = json.loads(path.read_text())["cost/flops"]

    assert foreseen[1] == "MFLOP"
    assert float(foreseen[0]) * 1e6 == pytest.approx(counted, rel=1e-3)


def test_a_method_of_another_package_is_foreseen_and_trained(cli, tmp_path):
    folder = tmp_path / "own_conf" / "method"
    folder.mkdir(parents=True)
    own = "es_repro.selection.random.RandomSelection\nprune_ratio: 0.5"  # derived, by no name
    for name, target in (("mine", own), ("foreign", "tests.selection.minimal.LargestLosses")):
        (folder / f"{name}.yaml").write_text(f"_partial_: true\n_target_: {target}\n")
    where = f"--config-dir={folder.parent}"

    code, out, err = cli("-m", where, "method=mine,foreign", "--dry-run")
    assert code == 0, out + err
    assert "2 runs: 2 missing" in out
    lines = {" ".join(x.split()[:4]): x for x in out.splitlines()}
    assert "FLOP" in lines["default mine seed 0"]
    assert "unknown" in lines["default foreign seed 0"]
    assert "how much its method trains" in out
    code, out, err = cli("-m", where, "method=mine,foreign")
    assert code == 0, out + err
    _, out, _ = cli("-m", where, "method=mine,foreign", "--dry-run")
    assert "2 runs: 2 done" in out
    words = ["-m", "--config-dir", str(folder.parent), "method=mine"]
    (planned,), _ = plan(words, lambda _: None)
    assert planned.state == "missing"  # of the whole number of epochs
    with pytest.raises(ValueError, match=r"^--config-dir='nowhere': must be a folder$"):
        plan(["--config-dir=nowhere"], lambda _: None)


def test_a_bad_value_is_refused_as_the_run_itself_would(cli):
    code, _, err = cli("epochs=0", "--dry-run")
    assert (code, err) == (1, "error: epochs=0: must be an integer >= 1\n")
    code, _, err = cli("--cfg", "--dry-run")
    assert code == 1
    assert "--dry-run='--cfg': must be with -m and --config-dir alone" in err


def test_resnet_18_costs_what_its_layers_add_up_to(compose_run):
    # 3x3 convolutions of 3 -> 64 and 64 -> 64 (4) at 32x32; then three stages of one strided
    # block (its shortcut 1x1) and one plain, at 16, 8 and 4: multiply-adds of all, twice.
    macs = 32 * 32 * 9 * (3 * 64 + 4 * 64 * 64) + 512 * 10
    for size, wide in ((16, 128), (8, 256), (4, 512)):
        macs += size * size * (9 * (wide // 2 * wide + 3 * wide * wide) + wide // 2 * wide)
    config = plain_parts(compose_run("experiment=table2_cifar10_resnet18", "method=baseline"))
    expense = planned(config)

    assert expense.flops == pytest.approx(3 * 2 * macs * 50_000 * 10)
    hours = expense.flops / (0.04 * 989e12) / 3600
    assert expense.h100_hours == pytest.approx(hours)
    assert expense.seconds is None


def plain_parts(config):
    from es_repro.config import plain

    whole = plain(config)
    return {key: whole[key] for key in ("model", "task", "dataset", "method", "meta_batch_size")}


def test_a_run_by_steps_costs_its_steps(compose_run):
    config = plain_parts(compose_run("experiment=table2_cifar10_resnet18", "method=es"))
    config["method"] |= {"annealing_start": 0.0, "annealing_end": 0.0}
    by_epochs, by_steps = planned(config), planned(config, max_steps=100)

    assert by_steps.flops / by_epochs.flops == pytest.approx(100 * 128 / (10 * 50_000))


@pytest.mark.parametrize("experiment", [
    "table3_imagenet_vitl", "table4_mae_pretrain_vitl", "demo/table4_mae_pretrain_vitl",
    "table5_glue_albert_cola", "table9_qwen_sft", "demo/table9_qwen_sft",
])  # fmt: skip
def test_every_kind_of_recipe_has_a_cost(compose_run, experiment):
    config = plain_parts(compose_run(f"experiment={experiment}", "method=baseline"))
    expense = planned(config, max_steps=None)

    assert expense.unknown == ""
    assert expense.flops > 1e9


def test_the_sizes_known_are_those_of_the_data(compose_run):
    config = compose_run("dataset=digits")
    for more in ({}, {"subset": 200}, {"subset": 0.5}, {"split": "validation"}):
        data, told = digits(**more), known({**config.dataset, **more})
        assert told.num_samples == data.num_samples
        assert told.facts == data.facts
    assert known({"_target_": "es_repro.data.others"}) is None


@pytest.mark.parametrize("preset", ["demo", "small", "paper"])
def test_every_launcher_names_a_sweep_that_there_is(preset):
    text = (ROOT / "scripts" / "sweep.sh").read_text()
    names = [
        line.split()[1] for line in text.splitlines() if line.startswith("#   ") and "Fig." in line
    ]
    assert names == [
        "beta_grid",
        "beta_grid_cola",
        "local_beta_grid",
        "batch_ratio",
        "pruning_ratio",
    ]
    for name in [*names, "annealing_ratio"]:
        if (preset, name) == ("demo", "beta_grid_cola"):
            continue  # the demo's grid is CIFAR-10's alone
        place = os.environ | {"PRESET": preset, "PYTHON": "echo", "JOBS": "3"}
        done = subprocess.run(
            ["scripts/sweep.sh", name, "--dry-run"],
            cwd=ROOT, env=place, capture_output=True, text=True, check=True,
        )  # fmt: skip
        words = done.stdout.split()
        (sweep,) = (x.removeprefix("sweep=") for x in words if x.startswith("sweep="))
        assert (ROOT / "conf" / "sweep" / f"{sweep}.yaml").exists()
        assert words[-3:] == ["hydra/launcher=joblib", "hydra.launcher.n_jobs=3", "--dry-run"]


def test_a_launcher_s_plan_is_its_sweep_s(cli):
    code, out, _ = cli("-m", "sweep=demo/fig7", "--dry-run", quick=False)

    assert code == 0
    assert out.count("demo/fig7_betas_local_cifar100_resnet18 ") >= 4
    assert "missing" in out
    assert "side by side" in out


def test_a_replay_is_foreseen_by_its_trace_and_scores_nothing(cli, tmp_path):
    def planned(*overrides):
        code, out, err = cli(*overrides, "--dry-run")
        return out if code == 0 else err

    runs = tmp_path / "runs"
    cli("method=eswp", "seed=1", "trace.selection=true")
    (recorded,) = (path.parent for path in runs.glob("*/config.yaml"))
    asked = (f"replay={recorded.name}", "seed=1")
    first, *_ = planned(*asked).splitlines()
    assert first.startswith("default replay seed 1 ")
    assert first.endswith("  missing")

    cli(*asked)
    (replay,) = (path.parent for path in runs.glob("*/config.yaml") if path.parent != recorded)
    counted = json.loads((replay / "summary.json").read_text())["cost/flops"]
    amount, unit, *_ = first.removeprefix("default replay seed 1").split()
    assert unit.startswith("MFLOP")
    assert float(amount) * 1e6 == pytest.approx(counted, rel=1e-3)
    assert planned(*asked).splitlines()[0].endswith("  done")
    # ESWP itself scores as well, and costs more.
    assert float(planned("method=eswp", "seed=1").split("seed 1")[1].split()[0]) > float(amount)

    # A sweep that also makes what it replays, in its totals.
    (recorded / "done").rename(recorded / "later")
    out = planned("-m", f"replay=nowhere,{recorded.name}", "seed=1")
    assert f"unknown                   waits: {runs}/nowhere: no such run" in out
    assert f"waits: {recorded}: has not finished, so its trace has no end yet" in out
    assert "2 runs: 2 waits" in out
    assert "not counted: 2 runs: not known: what the run to be replayed has picked" in out
    (recorded / "later").rename(recorded / "done")
    (recorded / "trace").rename(recorded / "hidden")
    assert f"waits: {recorded}: keeps no such trace; run it with trace.selection=true" in planned(
        *asked
    )
    (recorded / "hidden").rename(recorded / "trace")
    message = "error: replay num_epochs=3: must be 5, as of this run\n"
    assert planned(*asked, "epochs=5") == message


@pytest.mark.parametrize("method", ["infobatch", "eswp", "random_batch"])
@pytest.mark.parametrize("steps", ["null", "8"])
def test_the_rows_foreseen_of_a_replay_are_those_that_it_trains(quick, tmp_path, method, steps):
    recorded = train(quick(f"method={method}", "trace.selection=true"))
    trace = read_selection(tmp_path / "runs" / recorded["run"])
    sizes = (64,) if trace.picks_in_batches else (64, 48)
    for size in sizes:
        cut = (f"meta_batch_size={size}", f"max_steps={steps}")
        replay = train(quick(f"replay={recorded['run']}", *cut))
        most = None if steps == "null" else int(steps)
        assert trace.num_rows(size, 1, most) == replay["cost/bp_samples"]
