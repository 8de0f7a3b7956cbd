"""A sweep while it runs: what its line says, what it survives; several targets, past failures."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from joblib.externals.loky import process_executor

from es_repro.process import survival
from es_repro.process.progress import SweepProgress, sweep_state
from es_repro.process.survival import TerminatedWorkerError, outlive
from tests.conftest import QUICK
from tests.test_cluster import attempts, environment, started, wait_for

ROOT = Path(__file__).resolve().parents[1]


def test_the_line_of_a_sweep_counts_and_foresees():
    finished = {"status": "finished", "seconds": 120.0, "row": "es", "value": 0.5}
    kept = {"status": "kept", "seconds": 0.5, "row": "loss", "value": 0.25}
    failed = {"status": "failed", "seconds": 1.0}

    # Five and a half runs are left to two at once, two minutes each.
    state = sweep_state([finished, kept, failed], [0.5, 0.0], 9)
    assert state == "2 done, 2 running, 1 failed, 4 left, about 6 min; loss 0.2500"
    assert sweep_state([], [], 3) == "0 done, 0 running, 0 failed, 3 left"


def test_workers_that_are_always_killed_end_the_sweep(monkeypatch, tmp_path):
    said, calls = [], []
    sweep = type("Sweep", (), {"folder": tmp_path, "total": 4, "say": lambda _, x: said.append(x)})
    monkeypatch.setattr(SweepProgress, "open", sweep())
    before = list(sys.argv)

    def job():
        calls.append(list(sys.argv))
        if len(calls) == 2:  # one run ends before the second loss
            (tmp_path / "jobs.jsonl").write_text('{"number": 0}\n')
        raise TerminatedWorkerError("killed")

    with pytest.raises(RuntimeError, match="workers were killed 3 times before any run ended"):
        outlive(job)
    assert len(calls) == 4
    assert calls[0] == before == sys.argv
    assert calls[1] == [*before, f"hydra.sweep.dir={tmp_path}"]
    assert "going on with the 4 runs" in said[0]
    assert "going on with the 3 runs" in said[1]
    assert survival.MOST_LOSSES == 3


def test_a_worker_that_is_renewed_is_no_news():
    said = "A worker stopped while some jobs were given to the "
    assert said in Path(process_executor.__file__).read_text()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        outlive(lambda: warnings.warn(said + "executor.", UserWarning, stacklevel=1))
    assert not seen


@pytest.mark.slow
def test_a_sweep_outlives_a_worker_that_is_killed(tmp_path):
    overrides = [x for x in QUICK if not x.startswith("epochs")]
    line = [
        sys.executable, "-m", "es_repro.train", "-m", *overrides, "epochs=60", "seed=0,1,2",
        "run.checkpoint_every_steps=10", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
    ]  # fmt: skip
    runs = tmp_path / "runs"
    with started(line, environment(tmp_path)) as sweep:
        wait_for(lambda: list(runs.glob("*/checkpoints/*.pt")))
        holder = next(iter(runs.glob("*/lease.json")))
        os.kill(worker_of(holder), signal.SIGKILL)
        _, err = sweep.communicate(timeout=200)

    assert sweep.returncode == 0, err
    assert err.count("a worker was killed; going on with the 3 runs") == 1
    assert "Traceback" not in err
    assert "[3/3]" in err
    assert len(attempts(runs)) == 3
    assert max(attempts(runs)) == 1


def worker_of(lease: Path) -> int:
    import json

    return int(json.loads(lease.read_text())["pid"])


def test_targets_are_made_past_failures_and_listed(tmp_path):
    (tmp_path / "Makefile").write_text(
        "one:\n\t@echo first\ntwo:\n\t@echo half; echo 'error: no data' >&2; exit 3\nthree:\n\t@:\n"
    )
    done = subprocess.run(
        [str(ROOT / "scripts" / "each.sh"), "logs", "one", "two", "three"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
    )  # fmt: skip

    assert done.returncode == 1
    summary = (tmp_path / "logs" / "summary.txt").read_text().splitlines()
    assert summary[0].endswith("1 failed: two")
    assert [line.split()[0] for line in summary[1:]] == ["one", "two", "three"]
    assert summary[2].endswith("FAILED: error: no data")
    assert (tmp_path / "logs" / "one.log").read_text() == "first\n"
    assert done.stdout.endswith("\n".join(summary) + "\n")


def test_paper_makes_every_table_and_figure_and_the_theory():
    done = subprocess.run(
        ["make", "--dry-run", "paper", "VENV=/nowhere", "RUNS_ROOT=somewhere"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
    )  # fmt: skip
    words = done.stdout.splitlines()[-1].split()

    assert words[:2] == ["scripts/each.sh", "somewhere/paper"]
    assert {f"table{i}" for i in range(1, 10)} <= set(words)
    assert {f"fig{i}" for i in range(1, 11)} <= set(words)
    assert "theory" in words
    assert words.index("table4") < words.index("fig3")
