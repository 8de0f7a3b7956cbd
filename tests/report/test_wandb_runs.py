from types import SimpleNamespace

import pytest
import wandb

from es_repro.report import ReportError, wandb_runs
from es_repro.report.runs import Member, tidy
from es_repro.report.wandb_offline import OfflineRun
from es_repro.report.wandb_runs import read_wandb

CONFIG = {
    "seed": 2, "epochs": 3, "dataset": {"split": "test"}, "environment": {"torch": "2.12.1"},
}  # fmt: skip
DONE = {"status": "finished", "test/accuracy": 0.75}


def offline(run_id, **changes):
    known = {"group": "demo-digits", "tags": ["demo/digits", "es"], "config": CONFIG}
    return OfflineRun(run_id=run_id, **known | changes)


def online(run_id, state, summary, tags=("es", "demo/digits")):
    return SimpleNamespace(
        id=run_id, state=state, group="demo-digits", tags=list(tags), config=CONFIG,
        summary=summary,
    )  # fmt: skip


def test_offline_attempts_become_the_frame_of_run_folders(tmp_path, monkeypatch):
    epoch = {"kind": "epoch", "step": 5, "epoch": 1}
    parts = [
        offline("aa-0", history=[epoch], exit_code=1), offline("aa-1", summary=DONE, exit_code=0),
        offline("bb-0", history=[epoch]), offline("cc-0", exit_code=1),
    ]  # fmt: skip
    monkeypatch.setattr(wandb_runs, "read_folder", lambda _: parts)
    members, runs = read_wandb(str(tmp_path))
    assert members[0] == members[1] == Member("demo/digits", "es", 2, "aa")
    frame = tidy(members, runs).set_index("run")
    assert frame["state"].to_dict() == {"aa": "finished", "bb": "interrupted", "cc": "failed"}
    assert frame.loc["aa", "test/accuracy"] == 0.75
    assert frame.loc["aa", "environment.torch"] == "2.12.1"
    assert frame.loc["aa", "source"] == "wandb offline"
    assert frame.loc["bb", "epochs_done"] == 1
    assert frame.loc["cc", "error"] == "exit code 1"


def test_an_attempt_after_the_finished_one_does_not_hide_it(tmp_path, monkeypatch):
    parts = [offline("aa-0", summary=DONE), offline("aa-1")]
    monkeypatch.setattr(wandb_runs, "read_folder", lambda _: parts)
    assert read_wandb(str(tmp_path))[1]["aa"].state == "finished"


def test_an_online_project_gives_the_same_frame(monkeypatch):
    listed = [
        online("aa-0", "finished", DONE), online("bb-0", "running", {"epoch": 2}),
        online("cc-0", "crashed", {}), online("dd-0", "finished", {}, tags=()),
    ]  # fmt: skip
    asked = []

    class Api:
        def runs(self, project, order):
            asked.append(project)
            return listed

    monkeypatch.setattr(wandb, "Api", Api)
    members, runs = read_wandb("team/es_repro")
    assert asked == ["team/es_repro"]
    assert {member.run for member in members} == {"aa", "bb", "cc"}
    assert {name: run.state for name, run in runs.items() if name != "dd"} == {
        "aa": "finished", "bb": "running", "cc": "interrupted",
    }  # fmt: skip
    assert runs["bb"].epochs_done == 2


def test_a_project_that_cannot_be_asked_is_one_line(monkeypatch):
    class Api:
        def __init__(self):
            raise wandb.errors.UsageError("No API key configured.\nUse `wandb login`.")

    monkeypatch.setattr(wandb, "Api", Api)
    with pytest.raises(ReportError, match=r"^cannot read the W&B project a/b: No API key .*\.$"):
        read_wandb("a/b")


@pytest.mark.parametrize("source", ["nowhere", "./no/where", "/no/where"])
def test_a_place_that_is_neither_folder_nor_project_is_named(source):
    with pytest.raises(ReportError, match="neither a folder nor an online ENTITY/PROJECT"):
        read_wandb(source)


def test_a_folder_without_offline_files_is_named(tmp_path):
    with pytest.raises(ReportError, match=r"no readable run-\*.wandb file"):
        read_wandb(str(tmp_path))
