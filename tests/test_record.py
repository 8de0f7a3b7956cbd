"""The record survives kills, full disks and read-only folders; nothing written before is lost."""

import errno
import json
from pathlib import Path

import pytest
import yaml

from es_repro.record import Record, Tracker, join, read_summary
from es_repro.train import train

LABELS = {"experiment": "e", "row": "es"}


def record(folder: Path, tracker="none", **config) -> Record:
    return Record(folder, {"seed": 0} | config, {"device": "cpu"}, LABELS, Tracker(tracker))


def test_a_run_folder_tells_the_whole_story(tmp_path):
    with record(tmp_path / "run", epochs=3) as run:
        run.log("step", step=1, epoch=0, **{"train/objective": 2.0})
        assert read_summary(tmp_path / "run") is None
        run.finish({"test/accuracy": 0.5})

    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == {
        "seed": 0,
        "epochs": 3,
    }
    assert read_summary(tmp_path / "run") == {"status": "finished", "test/accuracy": 0.5}
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["event", "step"]


def test_a_line_torn_by_a_kill_does_not_spoil_the_next(tmp_path):
    with record(tmp_path) as run:
        run.log("step", step=1, epoch=0)
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')  # killed here

    with record(tmp_path) as run:
        run.log("step", step=2, epoch=0)
        assert run.attempt == 1

    whole = []
    for line in (tmp_path / "history.jsonl").read_text().splitlines():
        try:
            whole.append(json.loads(line)["step"])
        except ValueError:
            assert line == '{"kind": "step", "st'
    assert whole == [-1, 1, -2, 2]


def test_a_failure_is_kept_in_one_line_and_gone_after_success(tmp_path):
    with pytest.raises(ValueError, match="bad"), record(tmp_path):
        raise ValueError("bad\nvalue")
    failed = json.loads((tmp_path / "failed.json").read_text())
    assert failed == {"type": "ValueError", "error": "bad value"}

    with record(tmp_path) as run:
        run.finish({})
    assert not (tmp_path / "failed.json").exists()


def test_members_are_lines_that_processes_may_append_at_once(tmp_path):
    join(tmp_path / "runs", experiment="e", row="es", seed=0, run="abc")
    join(tmp_path / "runs", experiment="e", row="es", seed=1, run=None)

    lines = (tmp_path / "runs" / "members.jsonl").read_text().splitlines()
    assert [json.loads(x)["status"] for x in lines] == ["asked", "no data"]


def test_each_attempt_has_a_w_and_b_run_of_its_own(tmp_path):
    for _ in range(2):
        with record(tmp_path / "run", "offline"):
            pass

    names = sorted(x.name for x in (tmp_path / "run").rglob("*.wandb"))
    assert names == ["run-run-0.wandb", "run-run-1.wandb"]


@pytest.mark.parametrize("root", ["/dev/null/runs", "/proc/runs"])
def test_a_run_root_that_cannot_be_written_is_one_line(cli, root):
    code, _, err = cli(f"run.root={root}")

    assert code == 1
    assert len(err.splitlines()) == 1
    assert root in err


@pytest.mark.parametrize("sweep", [(), ("-m",)])
def test_a_run_root_that_is_a_file_is_one_line(cli, tmp_path, sweep):
    (tmp_path / "runs").write_text("")
    code, _, err = cli(*sweep, "method=es")

    assert code == 1
    assert len(err.splitlines()) == 1, err
    assert str(tmp_path / "runs") in err


def test_a_full_disk_ends_the_run_in_one_line_and_loses_nothing(cli, quick, tmp_path, monkeypatch):
    steps = ("run.checkpoint_every_steps=2", "run.keep_checkpoints=1")
    whole = train(quick(*steps, f"run.root={tmp_path / 'whole'}"))
    writes = []

    def full(descriptor):
        writes.append(descriptor)
        if len(writes) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        code, _, err = cli(*steps)
    assert code == 1
    assert err.count("\n") == 1
    assert "No space left on device" in err
    assert len(list((tmp_path / "runs").glob("*/checkpoints/*"))) == 1

    assert train(quick(*steps))["test/loss"] == whole["test/loss"]


def test_a_damaged_summary_says_what_to_do(quick, tmp_path):
    summary = train(quick())
    (tmp_path / "runs" / summary["run"] / "summary.json").write_text('{"sta')

    with pytest.raises(RuntimeError, match=r"summary\.json: damaged .* resume=never"):
        train(quick())
