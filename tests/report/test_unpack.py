"""Packed records as runs again."""

import json

import pytest

from es_repro.report import ReportError
from es_repro.report.__main__ import main
from es_repro.report.folders import MEMBERS, read_members, read_run
from es_repro.report.pack import packed
from es_repro.report.unpack import unpack


@pytest.fixture
def pack(root, tmp_path):
    """A pack of two finished runs and one that is not."""
    for seed in (0, 1):
        root.add("demo/digits", "es", seed)
    root.add("demo/digits", "es", 2, finished=False)
    folder = tmp_path / "results" / "demo" / "records"
    for name, text in packed(root.path, ["demo/digits"], []).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_finished_runs_come_back_whole_and_once(pack, tmp_path):
    own = tmp_path / "own"
    copied = unpack(pack, own)
    assert len(copied) == 2
    for run in copied:
        assert read_run(own / run).summary == read_run(pack / run).summary
        assert (own / run / "done").is_file()
    assert {m.seed for m in read_members(own)} == {0, 1, 2}
    assert unpack(pack, own) == []
    assert len((own / MEMBERS).read_text().splitlines()) == 3


def test_what_the_root_has_stays_and_is_the_newest(pack, tmp_path):
    own = tmp_path / "own"
    run = sorted(path.parent.name for path in pack.glob("*/done"))[0]
    (own / run).mkdir(parents=True)
    (own / run / "mine").write_text("begun here")
    mine = {"experiment": "mine", "row": "es", "seed": 0, "run": None, "status": "failed"}
    (own / MEMBERS).write_text(json.dumps(mine) + "\n")
    assert run not in unpack(pack, own)
    assert [path.name for path in (own / run).iterdir()] == ["mine"]
    assert read_members(own)[-1].experiment == "mine"


def test_no_pack_is_one_line(tmp_path, capsys):
    arguments = ["unpack", "nothing", "--results", str(tmp_path), "--runs", str(tmp_path / "runs")]
    assert main(arguments) == 1
    assert "no records in" in capsys.readouterr().err
    with pytest.raises(ReportError, match="no records"):
        unpack(tmp_path, tmp_path / "runs")
