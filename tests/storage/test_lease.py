"""One job at a time on a run; a killed job frees it at once, a lost host after a while."""

import errno
import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from es_repro.storage.lease import NAME, STALE_SECONDS, Lease, RunBusy, is_held, neighbours

HOLD = """
import sys, time
from pathlib import Path
from es_repro.storage.lease import Lease
with Lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds `tmp_path / "run"`."""
    (tmp_path / "run").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_job_is_refused_in_one_line(other, tmp_path):
    with pytest.raises(RunBusy, match=f"run run is being worked on by process {other.pid} on"):
        Lease(tmp_path / "run").__enter__()
    assert neighbours(tmp_path) == 1


def test_a_killed_job_frees_its_run(other, tmp_path):
    other.kill()
    other.wait()

    with Lease(tmp_path / "run"):
        assert is_held(tmp_path / "run")["pid"] == os.getpid()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_number_that_another_process_has_now_does_not_hold(tmp_path):
    holder = {
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time() - 100,
    }
    (tmp_path / NAME).write_text(json.dumps(holder))

    assert is_held(tmp_path) is None


def test_another_host_holds_as_long_as_its_heart_beats(tmp_path):
    path = tmp_path / NAME
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "process_started": 0}))
    assert is_held(tmp_path)

    old = time.time() - STALE_SECONDS - 1
    os.utime(path, (old, old))
    assert is_held(tmp_path) is None
    with Lease(tmp_path):
        pass


def test_a_damaged_lease_does_not_lock_the_run_for_ever(tmp_path):
    (tmp_path / NAME).write_text("{")

    with Lease(tmp_path):
        assert is_held(tmp_path)


def test_progress_reaches_who_watches(tmp_path):
    with Lease(tmp_path) as lease:
        lease.report(label="es seed 0")
        lease.report(share=0.5, state="epoch 1")
        deadline = time.monotonic() + 20
        while not is_held(tmp_path)["progress"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert is_held(tmp_path)["progress"] == {
            "label": "es seed 0", "share": 0.5, "state": "epoch 1",
        }  # fmt: skip


def test_a_held_folder_moves_with_its_lease(tmp_path):
    (tmp_path / "run").mkdir()
    with Lease(tmp_path / "run") as lease:
        lease.move_folder(tmp_path / "aside")
        assert is_held(tmp_path / "aside")
        (tmp_path / "run").mkdir()
        with Lease(tmp_path / "run"):  # the name is free for the next
            assert neighbours(tmp_path) == 0  # both are this process's
    assert list((tmp_path / "aside").iterdir()) == []


def test_a_disk_without_room_for_a_lease_is_left_without_a_draft(tmp_path, monkeypatch):
    def full(path, text):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="No space left"):
        Lease(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []
