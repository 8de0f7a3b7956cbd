import json

import pytest
import yaml

from es_repro.report import ReportError
from es_repro.report.folders import read_members, read_run
from es_repro.report.pack import packed, scrub

NAMES = ["builder-7", "alice"]


@pytest.mark.parametrize(("text", "clean"), [
    ("/home/alice/data/train.parquet: truncated", "<path>/train.parquet: truncated"),
    ("DATA_ROOT=/mnt/a_b/c is empty", "DATA_ROOT=<path> is empty"),
    ("looked in '/srv/x' and (/opt/y.z/)", "looked in '<path>' and (<path>)"),
    ("root:/home/alice", "root:<path>"),
    ("file:///home/alice/x", "<path>"),
    (r"C:\Users\alice\x.py", "<path>/x.py"),
    ("C:/Users/alice/runs", "<path>"),
    ("~/runs and ~alice/runs", "<path> and <path>"),
    ("<path>/train.parquet", "<path>/train.parquet"),
    ("test/accuracy", "test/accuracy"),
    ("demo/table2_cifar10_resnet18", "demo/table2_cifar10_resnet18"),
    ("https://example.org/a/b", "https://example.org/a/b"),
    ("../data", "../data"),
    ("b/B = 1/4", "b/B = 1/4"),
    ("asked by alice on builder-7", "asked by <name> on <name>"),
    ("alice", "alice"),
    ("malice aforethought", "malice aforethought"),
])  # fmt: skip
def test_scrub_takes_out_places_and_names(text, clean):
    assert scrub(text, NAMES) == clean
    assert scrub(clean, NAMES) == clean


def test_scrub_drops_private_keys_at_any_depth():
    value = {"host": "builder-7", "a": [{"user": "alice", "b": 1}], "entity": "alice", "c": None}
    assert scrub(value, NAMES) == {"a": [{"b": 1}], "c": None}


def test_a_pack_holds_no_host_user_or_absolute_path(root):
    folder = root.add("demo/digits", "es", 0, config={"dataset.data_root": "/home/alice/data"})
    (folder / "lease.json").write_text('{"host": "builder-7"}')
    with (folder / "history.jsonl").open("a") as file:
        event = {"kind": "event", "step": 9, "host": "builder-7", "from": "/home/alice/runs/x"}
        file.write(json.dumps(event) + '\n{"kind": "step", "path": "/home/al')
    (folder / "failed.json").write_text('{"error": "alice has no space in /home/alice/runs"}')
    texts = packed(root.path, ["demo/digits"], NAMES)
    assert set(texts) == {
        "members.jsonl",
        *(
            f"{folder.name}/{name}"
            for name in (
                "config.yaml", "environment.json", "history.jsonl", "summary.json", "failed.json",
                "done",
            )
        ),
    }  # fmt: skip
    whole = "\n".join(texts.values())
    for private in ("alice", "builder-7", "/home", "/data/sets"):
        assert private not in whole


def test_a_pack_reads_as_the_runs_did(root, tmp_path):
    folder = root.add("demo/digits", "es", 0, paired={"time_saved": 0.25})
    root.add("demo/other", "es", 0)
    root.ask("demo/digits", "es", 1, None)
    root.add("demo/digits", "es", 0)
    for name, text in packed(root.path, ["demo/digits"], NAMES).items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    again, before = read_run(tmp_path / "pack" / folder.name), read_run(folder)
    assert (again.summary, again.environment) == (before.summary, before.environment)
    assert again.paired == before.paired
    assert again.config["method"] == before.config["method"]
    members = read_members(tmp_path / "pack")
    assert [(m.experiment, m.seed, m.run) for m in members] == [
        ("demo/digits", 1, None), ("demo/digits", 0, folder.name),
    ]  # fmt: skip


def test_small_numbers_survive_the_yaml(root):
    folder = root.add("demo/digits", "es", 0, config={"optimizer.weight_decay": 1e-5})
    text = packed(root.path, ["demo/digits"], NAMES)[f"{folder.name}/config.yaml"]
    assert yaml.safe_load(text)["optimizer"]["weight_decay"] == 1e-5


def test_nothing_to_pack_is_one_line(root, tmp_path):
    root.ask("demo/digits", "es", 0, None)
    with pytest.raises(ReportError, match=r"no runs of demo/x found"):
        packed(root.path, ["demo/x"], NAMES)
    with pytest.raises(ReportError, match=r"no runs found"):
        packed(tmp_path / "nowhere", ["demo/x"], NAMES)
