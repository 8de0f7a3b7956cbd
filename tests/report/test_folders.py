import json
import os
import socket

import psutil
import pytest

from es_repro.report import ReportError
from es_repro.report.folders import read_history, read_members, read_run, read_runs
from es_repro.report.runs import Member


def write_lease(folder, **changes):
    process = psutil.Process()
    lease = {"host": socket.gethostname(), "pid": os.getpid()}
    lease |= {"process_started": process.create_time(), "progress": {}} | changes
    (folder / "lease.json").write_text(json.dumps(lease))


def test_a_finished_run_is_read_whole(root):
    folder = root.add("demo/digits", "es", 0, paired={"time_saved": 0.3})
    run = read_run(folder)
    assert (run.state, run.error) == ("finished", None)
    assert run.config["method"]["name"] == "es"
    assert run.summary["test/accuracy"] == pytest.approx(0.592)
    assert run.environment["torch"] == "2.12.1"
    assert run.paired == {"time_saved": 0.3}


def test_states_of_runs_that_did_not_finish(root):
    running = root.add("e", "es", 0, finished=False)
    write_lease(running)
    assert read_run(running).state == "running"
    dead = root.add("e", "es", 1, finished=False)
    write_lease(dead, process_started=0.0)
    assert read_run(dead).state == "interrupted"
    assert read_run(dead).epochs_done == 15
    failed = root.add("e", "es", 2, finished=False)
    (failed / "failed.json").write_text('{"type": "ValueError", "error": "beta1=2: must be ..."}')
    assert read_run(failed).state == "failed"
    assert read_run(failed).error == "ValueError: beta1=2: must be ..."


def test_a_failed_run_that_is_tried_again_is_running(root):
    folder = root.add("e", "es", 0, finished=False)
    (folder / "failed.json").write_text('{"type": "OSError", "error": "no space"}')
    write_lease(folder)
    assert read_run(folder).state == "running"


@pytest.mark.parametrize("name", ["summary.json", "environment.json", "config.yaml"])
def test_a_damaged_file_makes_a_failed_run_that_names_it(root, name, caplog):
    folder = root.add("e", "es", 0)
    (folder / name).write_text('{"test/accuracy": 0.9')
    run = read_run(folder)
    assert run.state == "failed"
    assert run.error == f"damaged {name}"
    assert str(folder / name) in caplog.text


def test_done_without_a_finished_summary_is_no_result(root):
    folder = root.add("e", "es", 0)
    (folder / "summary.json").unlink()
    assert read_run(folder).state == "failed"


def test_history_keeps_the_last_line_of_a_step_and_skips_a_torn_one(tmp_path):
    (tmp_path / "history.jsonl").write_text(
        '{"kind": "step", "step": 2, "epoch": 0, "train/loss": 2.0}\n'
        '{"kind": "step", "step": 4, "epoch": 0, "train/loss": 1.0}\n'
        '{"kind": "step", "step": 2, "epoch": 0, "train/loss": 3.0}\n'
        '{"kind": "epoch", "step": 4, "epoch": 0, "test/accuracy": 0.5}\n'
        '{"kind": "step", "step": 6, "epo'
    )
    history = read_history(tmp_path)
    assert history[["kind", "step"]].to_numpy().tolist() == [["step", 2], ["step", 4], ["epoch", 4]]
    assert history["train/loss"].tolist()[:2] == [3.0, 1.0]


def test_members_skip_damaged_lines_with_a_warning(root, caplog):
    root.ask("e", "es", 0, "aa")
    with (root.path / "members.jsonl").open("a") as file:
        file.write('{"experiment": "e", "row"\n[]\n')
    root.ask("e", "es", 1, None)
    assert read_members(root.path) == [Member("e", "es", 0, "aa"), Member("e", "es", 1, None)]
    assert "line 2" in caplog.text
    assert "line 3" in caplog.text


def test_a_root_without_runs_or_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(ReportError, match=r"no runs found in .*: it has no members.jsonl"):
        read_members(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot read .*Not a directory"):
        read_members(tmp_path / "file")


def test_runs_without_a_folder_are_left_out(root):
    folder = root.add("e", "es", 0)
    assert list(read_runs(root.path, {folder.name, "0" * 16})) == [folder.name]


@pytest.mark.parametrize(
    "line",
    [
        '{"experiment": "e", "row": "es", "seed": 1e400, "run": "aa"}',
        '{"experiment": "e", "row": "es", "seed": 99999999999999999999, "run": "aa"}',
        '{"experiment": "e", "row": "es", "seed": 1.5, "run": "aa"}',
        '{"experiment": "e", "row": "es", "seed": 1, "run": "../aa"}',
        '{"experiment": "e", "row": null, "seed": 1, "run": "aa"}',
        "[]",
        "null",
    ],
)
def test_a_line_that_is_no_member_is_skipped(root, line, caplog):
    root.ask("e", "es", 0, "aa")
    with (root.path / "members.jsonl").open("a") as file:
        file.write(line + "\n")
    assert read_members(root.path) == [Member("e", "es", 0, "aa")]
    assert "line 2 is damaged and was skipped" in caplog.text


def test_a_damaged_measurement_beside_a_run_is_not_the_run_s(root, caplog):
    folder = root.add("e", "es", 0)
    (folder / "paired.json").write_text("{")
    run = read_run(folder)
    assert (run.state, run.paired) == ("finished", {})
    assert "paired.json is damaged" in caplog.text
