"""What must not end a session, or must end it in a line: bad selectors, full disks, kill -9."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from es_repro.judge import store

ROOT = Path(__file__).parents[2]


def card_of(root):
    return json.loads((root / "runs/judge/card/card.json").read_text())


def test_selectors_that_fail_are_named_in_a_line_each_and_the_others_go_on(command, tmp_path):
    refused = {
        "Twice": "select of seed 0: positions must be distinct, not [0, 0]",
        "Floats": "select of seed 0: must answer positions [b] int64, not [4] float32",
        "Empty": "ValueError: planned samples=0: must be at least",
        "Vector": "reduce of seed 0: must answer a scalar tensor, not [16] float32",
        "Detached": "reduce of seed 0: must answer what its losses can be differentiated through",
        "Curious": "signals: embedding cannot be told here, only confidence and correct",
        "Quitting": "SystemExit: 3",
        "Slow": "times the baseline's (at most 10 is judged)",
    }
    names = ",".join(f"my_selectors:{name}" for name in refused)
    code, out, _ = command("method=es", f"selector={names}", "workload=toy", "seeds=3")
    assert code == 0
    (workload,) = card_of(tmp_path)["workloads"]
    assert [method["name"] for method in workload["methods"]] == ["es"]
    page = (tmp_path / "runs/judge/card/card.html").read_text()
    for name, reason in refused.items():
        assert reason in workload["refused"][name]
        (said,) = [line for line in out.splitlines() if f"toy: {name} is not judged: " in line]
        (told,) = [line for line in out.splitlines() if f"- {name}: not judged: " in line]
        assert reason in said
        assert reason in told
        assert f"<strong>{name}</strong> is not judged: " in page
    assert set(card_of(tmp_path)["contract"]) == {"es"}  # who is refused is not examined, too


def test_where_nobody_is_left_the_workload_says_so(command, tmp_path):
    code, out, err = command("selector=my_selectors:Twice", "workload=toy", "seeds=3")
    assert (code, err) == (1, "")
    assert "toy: not tried: no method is left (Twice: select of seed 0: pos" in out
    assert "0 runs made" in out
    assert card_of(tmp_path)["workloads"] == []


@pytest.mark.parametrize("setting", ["out", "RUNS_ROOT"])
def test_a_folder_that_cannot_be_written_is_said_before_any_run(
    command, tmp_path, monkeypatch, setting
):
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "below")
    words = [f"out={place}"] if setting == "out" else []
    if setting == "RUNS_ROOT":
        monkeypatch.setenv("RUNS_ROOT", place)
        words = [f"out={tmp_path / 'elsewhere'}"]
        place += "/judge"
    code, out, err = command("method=es", "workload=toy", "seeds=3", *words)
    assert (code, out) == (1, "")
    allowed = "a folder that can be written (Not a directory)"
    assert err == f"error: {setting}={place!r}: must be {allowed}\n"
    assert not list(tmp_path.glob("runs/judge/*.npz"))


def test_a_device_that_is_not_there_is_one_line(command, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, err = command("method=es", "workload=toy", "device=cuda")
    assert (code, out) == (1, "")
    assert err == "error: device=cuda: no CUDA device is usable here; use device=cpu or auto\n"


def test_a_full_disk_is_no_fault_of_the_method(command, monkeypatch):
    def full(path, write):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_atomically", full)
        code, out, err = command("method=es", "workload=toy", "seeds=3")
    assert code == 1
    assert "is not judged" not in out
    assert err.startswith("error: [Errno 28] No space left on device")
    assert err.count("\n") == 1
    assert command("method=es", "workload=toy", "seeds=3")[0] == 0


KILLED = """
import os, signal, sys
from dataclasses import replace
from es_repro.judge import session, store
from es_repro.judge.__main__ import main
from tests.judge.toy import TOY

kept = [0]

def save(file, **content):
    kept[0] += 1
    if kept[0] == 7:
        file.write(b"half of an outcome")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    original(file, **content)

original = store.np.savez_compressed
store.np.savez_compressed = save
session.WORKLOADS = {"toy": TOY}
session.EFFORTS["fast"] = replace(session.FAST, tuning_seeds=2)
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_a_write_the_same_command_goes_on(command, tmp_path, monkeypatch):
    """kill -9, and then the card of a session that nobody disturbed, but for what a clock told."""
    words = ("method=es,eswp", "workload=toy", "seeds=5")
    killed = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words], cwd=tmp_path, check=False, capture_output=True,
        env=os.environ | {"RUNS_ROOT": str(killed), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    whole = len(list((killed / "judge").glob("*.npz")))
    assert whole == 6
    assert not (killed / "judge/card/card.json").exists()

    _, undisturbed, _ = command(*words)
    monkeypatch.setenv("RUNS_ROOT", str(killed))
    code, resumed, _ = command(*words)
    assert code == 0

    def runs_made(text):
        return int(text.splitlines()[-1].split()[0])

    assert 0 < runs_made(resumed) < runs_made(undisturbed)
    ours, theirs = (
        json.loads((root / "judge/card/card.json").read_text())
        for root in (killed, tmp_path / "runs")
    )
    for card in (ours, theirs):
        for method in card["workloads"][0]["methods"]:
            assert method.pop("step_ratio") > 0
    assert ours["workloads"] == theirs["workloads"]
