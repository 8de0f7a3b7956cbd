"""Sweeps and runs as a cluster starts, stops and requeues them, without a cluster."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from es_repro.engine import Engine, Stopped
from es_repro.train import main, train
from tests.conftest import QUICK
from tests.data.layouts import photographs, write_class_folders
from tests.ranks import children, handed_over

ROOT = Path(__file__).resolve().parents[1]
LONG = ("epochs=400", "run.checkpoint_every_steps=200")


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return os.environ | {
        "RUNS_ROOT": str(tmp_path / "runs"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
        "PYTHON": sys.executable, **more,
    }  # fmt: skip


@contextlib.contextmanager
def started(line: list[str], place: dict[str, str]):
    """A command that goes on; whatever of it is left at the end is killed."""
    job = subprocess.Popen(
        line, env=place, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield job
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def wait_for(condition, seconds=100):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def attempts(runs: Path) -> list[int]:
    """How often each finished run was resumed."""
    folders = [x.parent for x in runs.glob("*/done")]
    return [json.loads((x / "summary.json").read_text())["resumed"] for x in folders]


def finish(line: list[str], tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    place = environment(tmp_path)
    return subprocess.run(line, env=place, capture_output=True, text=True, timeout=200, check=False)


def train_quietly(config):
    try:
        train(config)
    except Exception as error:  # noqa: BLE001 - handed to the test through the exit code
        os._exit(3 if type(error).__name__ == "RunBusy" else 1)


def test_of_two_jobs_that_want_one_run_at_once_one_gets_it(quick, tmp_path):
    config = quick("epochs=40")
    jobs = [children.Process(target=train_quietly, args=(handed_over(config),)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()

    # The other is refused, or comes so late that the first has finished.
    assert sorted(job.exitcode for job in jobs) in ([0, 3], [0, 0])
    (done,) = (tmp_path / "runs").glob("*/done")
    lines = (done.parent / "history.jsonl").read_text().splitlines()
    epochs = [json.loads(x)["epoch"] for x in lines if json.loads(x)["kind"] == "epoch"]
    assert epochs == list(range(1, 41))


def test_a_requeueing_handler_is_called_when_the_lease_is_free(quick, tmp_path, monkeypatch):
    """submitit requeues the job in its handler of SIGUSR2: the run must be saved and free then."""
    after_step, found = Engine.after_step, []

    def requeue(number, frame):
        found.append((signal.Signals(number).name, list((tmp_path / "runs").glob("*/lease.json"))))

    def warned(self):
        if self.step == 7:
            os.kill(os.getpid(), signal.SIGUSR2)
        after_step(self)

    monkeypatch.setattr(Engine, "after_step", warned)
    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        with pytest.raises(Stopped, match="stopped at step 7"):
            train(quick())
        assert signal.getsignal(signal.SIGUSR2) is requeue
    finally:
        signal.signal(signal.SIGUSR2, before)

    assert found == [("SIGUSR2", [])]
    assert [x.name for x in (tmp_path / "runs").glob("*/checkpoints/*")] == ["step-000000007.pt"]


@pytest.mark.slow
def test_a_sweep_by_submitit_is_preempted_and_goes_on(tmp_path):
    pytest.importorskip("submitit")
    runs = tmp_path / "runs"
    line = [sys.executable, "-m", "es_repro.train", "-m", *QUICK, *LONG, "method=baseline,es"]
    line.append("hydra/launcher=submitit_local")
    with started(line, environment(tmp_path)) as sweep:
        wait_for(lambda: len({x.parent for x in runs.glob("*/checkpoints/*.pt")}) == 2)
        for lease in runs.glob("*/lease.json"):
            os.kill(json.loads(lease.read_text())["pid"], signal.SIGUSR2)  # as before a time limit
        _, errors = sweep.communicate(timeout=200)

    assert sweep.returncode == 0, errors
    assert attempts(runs) == [1, 1]


@pytest.mark.slow
def test_a_packed_job_saves_requeues_and_goes_on(tmp_path):
    (tmp_path / "scontrol").write_text('#!/bin/sh\necho "$@" >> "$REQUEUED"\n')
    (tmp_path / "scontrol").chmod(0o755)
    place = environment(tmp_path) | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "REQUEUED": str(tmp_path / "requeued"),
        "JOBS": "2", "SLURM_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "5",
    }  # fmt: skip
    runs = tmp_path / "runs"
    line = ["bash", str(ROOT / "scripts/packed.sbatch"), *QUICK, *LONG, "method=baseline,es"]
    line += ["seed=$SLURM_ARRAY_TASK_ID", "run.checkpoint_every_steps=200"]
    with started(line, place) as job:
        wait_for(lambda: len({x.parent for x in runs.glob("*/checkpoints/*.pt")}) == 2)
        job.send_signal(signal.SIGUSR1)
        _, errors = job.communicate(timeout=60)

    assert job.returncode == 0, errors
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"
    assert not list(runs.glob("*/lease.json"))
    assert not list(runs.glob("*/done"))
    # Saved when it was asked to, not at the interval before.
    newest = [max(x.glob("*.pt")).stem for x in runs.glob("*/checkpoints")]
    assert any(int(name.removeprefix("step-")) % 200 for name in newest)
    with started(line, place) as job:
        _, errors = job.communicate(timeout=200)
    assert job.returncode == 0, errors
    assert attempts(runs) == [1, 1]


def torchrun(*overrides: str, port: int | None = None) -> list[str]:
    where = ["--standalone"] if port is None else ["--master-port", str(port)]
    line = [sys.executable, "-m", "torch.distributed.run", *where, "--nproc-per-node", "2"]
    return [*line, "-m", "es_repro.train", *QUICK, *overrides]


SLURM = {
    "scontrol": 'case $1 in show) echo localhost;; *) echo "$@" >> "$PLACE/requeued";; esac',
    "srun": 'shift; echo $$ > "$PLACE/step"; exec "$@"',
    "scancel": 'kill -TERM "$(cat "$PLACE/step")"',
}


@pytest.mark.slow
def test_a_run_over_nodes_saves_requeues_and_goes_on(tmp_path):
    """The script with one node and stand-ins for Slurm's commands."""
    for name, text in SLURM.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    place = environment(tmp_path) | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "PLACE": str(tmp_path),
        "SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "localhost", "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
    }  # fmt: skip
    runs = tmp_path / "runs"
    line = ["bash", str(ROOT / "scripts/torchrun.sbatch"), *QUICK, *LONG, "method=es"]
    with started(line, place) as job:
        wait_for(lambda: list(runs.glob("*/checkpoints/*.pt")))
        job.send_signal(signal.SIGUSR1)
        _, errors = job.communicate(timeout=60)

    assert job.returncode == 0, errors
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"
    assert "stopped: stopped at step" in errors
    assert not list(runs.glob("*/lease.json"))
    with started(line, place) as job:
        _, errors = job.communicate(timeout=200)
    assert job.returncode == 0, errors
    assert attempts(runs) == [1]


@pytest.mark.slow
def test_torchrun_ends_with_one_line_when_a_rank_is_killed_and_the_same_command_goes_on(tmp_path):
    runs = tmp_path / "runs"
    line = torchrun("method=es", "epochs=400", "run.checkpoint_every_steps=100")
    with started(line, environment(tmp_path)) as job:
        wait_for(lambda: list(runs.glob("*/checkpoints/*.pt")))
        (lease,) = runs.glob("*/lease.json")
        first = psutil.Process(json.loads(lease.read_text())["pid"])
        (other,) = (x for x in first.parent().children() if x.pid != first.pid)
        other.kill()
        _, errors = job.communicate(timeout=90)

    assert job.returncode != 0
    ours = [x for x in errors.splitlines() if x.startswith("error: ")]
    assert len(ours) == 1, errors
    assert "another process of this run has ended" in ours[0]
    again = finish(line, tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("test/accuracy") == 1
    assert attempts(runs) == [1]


@pytest.mark.slow
def test_torchrun_saves_and_stops_when_it_is_told_to_end(tmp_path):
    runs = tmp_path / "runs"
    line = torchrun("method=es", "epochs=4000", "run.checkpoint_every_seconds=1000")
    with started(line, environment(tmp_path)) as job:
        wait_for(lambda: any('"step"' in x.read_text() for x in runs.glob("*/history.jsonl")))
        job.terminate()
        _, errors = job.communicate(timeout=60)

    assert sum(x.startswith("stopped: stopped at step") for x in errors.splitlines()) == 1, errors
    assert len(list(runs.glob("*/checkpoints/*.pt"))) == 1
    assert not list(runs.glob("*/lease.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("meta_batch_size=41", "error: meta_batch_size=41: must be divisible by world_size=2"),
        ("method=evolved", "error: method=evolved: must be one of"),
        ("optimizer.lr=1e30", "error: step "),
    ],
)
def test_bad_input_is_one_line_of_all_ranks(tmp_path, override, message):
    job = finish(torchrun(override, "run.log_every=5"), tmp_path)

    ours = [x for x in job.stderr.splitlines() if x.startswith("error: ")]
    assert job.returncode != 0
    assert len(ours) == 1, job.stderr
    assert ours[0].startswith(message)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_damaged_image_ends_all_ranks_with_one_line_that_names_it(tmp_path, split, workers):
    data = tmp_path / "data" / "tiny"
    write_class_folders(data / "train", *photographs(3, 10, seed=0))
    write_class_folders(data / "val", *photographs(3, 3, seed=1))
    path = sorted((data / split).glob("*/*.JPEG"))[4]
    path.write_bytes(path.read_bytes()[:300])
    dataset = ("dataset=imagenet10", "dataset.places=[tiny]", "dataset.num_classes=3")
    sizes = ("dataset.image_size=16", "dataset.resize=20", "subset=null", "meta_batch_size=4")
    places = (f"run.data_root={data.parent}", f"run.num_workers={workers}")
    job = finish(torchrun(*dataset, *sizes, *places, "dataset.cache=null"), tmp_path)

    ours = [x for x in job.stderr.splitlines() if x.startswith("error: ")]
    assert job.returncode != 0
    assert len(ours) == 1, job.stderr
    assert f"{path}: the image is damaged (" in ours[0]
    assert "fetch it again, or delete it: several ranks leave none out" in ours[0]
    (folder,) = (tmp_path / "runs").glob("*/failed.json")
    assert str(path) in folder.read_text()
    assert not list((tmp_path / "runs").glob("*/lease.json"))


@pytest.mark.slow
def test_a_port_in_use_is_torchruns_own_message(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        job = finish(torchrun(port=taken.getsockname()[1]), tmp_path)

    assert job.returncode != 0
    assert "EADDRINUSE" in job.stderr


def test_slurm_without_its_extra_is_one_line(monkeypatch):
    monkeypatch.setattr("es_repro.extras.missing", lambda extra: [f"what {extra} brings"])
    words = ["-m", "sweep=demo/digits", "hydra/launcher=slurm", "hydra.launcher.partition=gpu"]
    monkeypatch.setattr("sys.argv", ["es_repro.train", *words])
    with pytest.raises(SystemExit, match=r"^error: this command needs the extra 'slurm': pip inst"):
        main()
