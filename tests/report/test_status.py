"""How runs stand: every state once, and what the command prints."""

import json
import os
import shutil
import time

import psutil
import pytest

from es_repro.report import ReportError
from es_repro.report.__main__ import main
from es_repro.report.status import statuses
from es_repro.storage.lease import STALE_SECONDS

EXPERIMENT = "demo/table2_cifar10_resnet18"


def hold(folder, *, alive=True):
    """A lease as a job of this host writes it."""
    process = psutil.Process(os.getpid())
    born = process.create_time() - (0 if alive else 1000)
    progress = {"share": 0.25, "state": "epoch 4/15, loss 1.200", "label": "es seed 0"}
    content = {"host": os.uname().nodename, "pid": process.pid, "process_started": born}
    (folder / "lease.json").write_text(json.dumps(content | {"progress": progress}))


@pytest.fixture
def one_of_each(root):
    root.add(EXPERIMENT, "baseline", 0)
    hold(root.add(EXPERIMENT, "es", 0, finished=False))
    hold(root.add(EXPERIMENT, "eswp", 0, finished=False), alive=False)
    failed = root.add(EXPERIMENT, "ka", 0, finished=False)
    (failed / "failed.json").write_text(json.dumps({"type": "OSError", "error": "disk full"}))
    root.add(EXPERIMENT, "ucb", 0, finished=False)
    shutil.rmtree(root.add(EXPERIMENT, "loss", 0))
    root.ask("demo/digits", "order", 0, None)
    return root.path


def test_every_state_is_told_apart(one_of_each):
    found = {x.member.row: (x.state, x.detail) for x in statuses(one_of_each)}

    assert found["baseline"] == ("done", "")
    state, detail = found["es"]
    assert state == "running"
    assert detail.startswith(f"25%, epoch 4/15, loss 1.200 (process {os.getpid()} on ")
    assert found["eswp"][0] == "stale"
    assert found["ka"] == ("failed", "OSError: disk full")
    assert found["ucb"][0] == "interrupted"
    assert found["loss"] == ("missing", "asked for, never begun here")
    assert found["order"][0] == "no data"


def test_another_host_is_stale_when_its_heart_has_stopped(root):
    folder = root.add(EXPERIMENT, "es", 0, finished=False)
    path = folder / "lease.json"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "process_started": 0}))
    assert [x.state for x in statuses(root.path)] == ["running"]

    old = time.time() - STALE_SECONDS - 1
    os.utime(path, (old, old))
    (status,) = statuses(root.path)
    assert (status.state, status.detail.split(";")[0]) == ("stale", "killed about 1 minutes ago")


def test_a_run_that_was_asked_for_twice_counts_once_and_data_may_come_later(root):
    root.ask(EXPERIMENT, "es", 0, None)
    folder = root.add(EXPERIMENT, "es", 0)
    root.ask(EXPERIMENT, "es", 0, folder.name)

    assert [x.state for x in statuses(root.path)] == ["done"]


def test_the_command_lists_what_is_not_done_and_counts(one_of_each, capsys):
    assert main(["status", "--runs", str(one_of_each)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7  # six that are not done, and the counts
    assert lines[0].startswith(f"running: {EXPERIMENT} es seed 0 [")
    assert lines[-1] == (
        "7 runs: 1 done, 1 no data, 1 missing, 1 interrupted, 1 failed, 1 stale, 1 running"
    )


@pytest.mark.parametrize(("name", "count"), [("table2", 6), (EXPERIMENT, 6), ("demo/digits", 1)])
def test_a_name_is_a_table_or_an_experiment(one_of_each, name, count):
    assert len(statuses(one_of_each, [name])) == count


def test_a_name_without_runs_says_which_there_are(one_of_each, capsys):
    with pytest.raises(ReportError, match=r"table9: no runs of it in .*; there are some of demo/"):
        statuses(one_of_each, ["table9"])
    assert main(["status", "--runs", str(one_of_each / "none")]) == 1
    assert capsys.readouterr().err.startswith("error: no runs found in ")
