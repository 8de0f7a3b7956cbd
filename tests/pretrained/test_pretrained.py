"""Files of other runs, found by what those were asked for as; each way to miss one is a line."""

import json

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from es_repro.config import readable, register_resolvers
from es_repro.pretrained.earlier_run import file_of_run
from es_repro.record import join

ASKED = {"experiment": "pre", "row": "eswp", "seed": 1}


def find(root, **changes):
    return file_of_run(root, **(ASKED | changes), name="encoder.safetensors")


def finish(root, run, *, file=True):
    (root / run).mkdir(parents=True)
    (root / run / "done").touch()
    if file:
        (root / run / "encoder.safetensors").write_bytes(b"weights")


def test_the_newest_run_of_those_labels_is_meant(tmp_path):
    for run, changes in (
        ("old", {}), ("new", {}), ("other", {"seed": 2}), ("another", {"row": "baseline"}),
    ):  # fmt: skip
        join(tmp_path, **(ASKED | changes), run=run)
        finish(tmp_path, run)
    join(tmp_path, **ASKED, run=None)  # no data: no run
    with (tmp_path / "members.jsonl").open("a") as file:
        file.write('{"experiment": "pre", "row": "es')  # torn by a kill

    assert find(tmp_path) == tmp_path / "new" / "encoder.safetensors"
    assert find(tmp_path, seed=2).parent.name == "other"
    assert find(tmp_path, row="baseline").parent.name == "another"


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"pre, row eswp, seed 1 has not been run in .*; run it"):
        find(tmp_path)
    join(tmp_path, **ASKED, run="half")
    with pytest.raises(ValueError, match=r"run half \(pre, row eswp, seed 1\) has not finished"):
        find(tmp_path)
    finish(tmp_path, "half", file=False)
    with pytest.raises(ValueError, match=r"run half .* left no encoder.safetensors; run it again"):
        find(tmp_path)


def test_the_resolver_answers_a_path_or_one_line(tmp_path):
    register_resolvers()
    text = f"${{left_by:{tmp_path},pre,${{row}},${{seed}},encoder.safetensors}}"
    config = OmegaConf.create({"row": "eswp", "seed": 1, "model": {"weights": text}})
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.to_container(config, resolve=True)
    line = readable(caught.value)
    assert line.startswith("model.weights: pre, row eswp, seed 1 has not been run in")
    assert line.endswith("run it first")

    join(tmp_path, **ASKED, run="new")
    finish(tmp_path, "new")
    assert config.model.weights == str(tmp_path / "new" / "encoder.safetensors")


def test_a_line_without_labels_is_passed_over(tmp_path):
    (tmp_path / "members.jsonl").write_text(json.dumps({"run": "x"}) + "\n")
    with pytest.raises(ValueError, match="has not been run"):
        find(tmp_path)
