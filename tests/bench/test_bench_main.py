"""Every sub-command on little, what it writes, and its errors. Nothing asserts a time."""

import json

import pytest

from es_repro.bench.__main__ import main
from es_repro.bench.rigs import known_methods

# Other tests run beside: whether the machine was idle is not ours to say.
QUICK = ["--pairs", "2", "--device", "cpu"]
DIGITS = ["--model", "mlp", "--data", "config", "--warmup", "1", "--batch", "64", "dataset=digits"]


@pytest.fixture
def bench(capsys, caplog):
    """The command line; answers what it printed."""

    def run(*words):
        main([*words])
        return capsys.readouterr().out

    return run


def interval_holds(found):
    return found is None or found["low"] <= found["median"] <= found["high"]


def test_steps_of_every_method_in_json_and_as_a_picture(bench, tmp_path):
    target, picture = tmp_path / "deep" / "bench.json", tmp_path / "bench.png"
    text = bench("steps", *QUICK, *DIGITS, "--json", str(target), "--chart", str(picture))
    results = json.loads(target.read_text())
    rows = {row["method"]: row for row in results["steps"] if row["batch_ratio"] in (0.25, 1.0)}

    assert list(rows) == [*dict.fromkeys(["baseline", "es", *known_methods()])]
    for row in results["steps"]:
        assert row["baseline_work"]["planned"] == row["work"]["num_samples"] == 1438
        assert all(interval_holds(row[key]) for key in ("step_ratio", "epoch_ratio", "share"))
        assert set(row["phases"]) == {"data", "scoring", "selection", "training", "other"}
    assert rows["baseline"]["share"] is None
    assert rows["baseline"]["ideal"] == 1.0
    assert rows["es"]["ideal"] == pytest.approx(1 / 3 + 1 / 4)
    assert rows["eswp"]["work"]["planned"] == round(0.8 * 1438)
    assert rows["infobatch"]["ideal"] == pytest.approx(1 - 0.5 * 0.7, abs=0.03)
    assert rows["ka"]["ideal"] == pytest.approx(0.7 + 0.1, abs=0.001)
    assert rows["ucb"]["ideal"] == pytest.approx(0.7, abs=0.001)
    assert rows["random_set"]["ideal"] == pytest.approx(0.25, abs=0.001)
    for method in ("es", "eswp", "loss", "order"):
        memory, plain = (rows[method][k]["saved_activations"] for k in ("memory", "plain_memory"))
        assert memory == pytest.approx(plain / 4, rel=0.001)
    made = results["made"]
    assert {"device_name", "threads", "torch", "commit", "command", "precision"} <= made.keys()
    assert set(made["sections"]["steps"]) == {"foreign_cores", "contended"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "bench.pdf").read_bytes().startswith(b"%PDF")
    for method in ("Baseline", "ES", "ESWP", "InfoBatch", "KA", "random_batch"):
        assert f"| {method} " in text


def test_planning(bench):
    results = json.loads(bench("planning", *QUICK, "--sizes", "5000", "--json", "-"))
    (row,) = results["planning"]
    assert row["num_samples"] == 5000
    assert interval_holds(row["ratio"])
    assert row["peak_bytes"] is None or row["peak_bytes"] >= 0


def test_draw(bench):
    text = bench("draw", *QUICK)
    assert all(f" {size} |" in text for size in (128, 256, 512, 1024, 2048, 4096, 8192))


def test_loader(bench, tmp_path):
    words = ["--workers", "0", "--loader-samples", "256", "--loader-pairs", "2", "--json", "-"]
    results = json.loads(
        bench(
            "loader", *QUICK, *words, "--data-root", str(tmp_path), "--loader-models",
            "mlp,hidden=[8,8]",
        )
    )  # fmt: skip
    assert [row["model"] for row in results["loader"]] == [None, "mlp,hidden=[8,8]"]
    for row in results["loader"]:
        assert row["data"] == "256 random images"
        assert interval_holds(row["speedup"])


def test_all_writes_a_document_results_and_a_picture(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("es_repro.bench.commands.BATCHES", [128])
    monkeypatch.setattr("es_repro.bench.planning._peak_in_a_fresh_process", lambda n: 40 * n)
    folder = tmp_path / "out"
    text = bench(
        *QUICK, "--model", "mlp", "--data", "random", "--samples", "256", "--methods", "es,eswp",
        "--sizes", "1000", "--workers", "0", "--loader-samples", "128", "--loader-pairs", "2",
        "--loader-models", "mlp,hidden=[8]", "--out", str(folder),
    )  # fmt: skip
    written = (folder / "bench.md").read_text()
    assert text.strip() == written.strip()
    assert {path.name for path in folder.iterdir()} == {
        "bench.md", "bench.json", "bench.png", "bench.pdf",
    }  # fmt: skip
    assert json.loads((folder / "bench.json").read_text()).keys() == {
        "made", "steps", "planning", "draw", "loader",
    }  # fmt: skip
    for heading in ("Goals", "Steps: mlp", "Planning an epoch", "Weighted draw", "Loading"):
        assert f"## {heading}" in written


def test_a_busy_machine_is_said(bench, caplog, monkeypatch):
    monkeypatch.setattr("es_repro.bench.commands.BUSY_CORES", -1.0)
    monkeypatch.setattr("es_repro.bench.commands.BATCHES", [128])
    assert "**Contended**" in bench("draw", *QUICK)
    assert "contended: others kept" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["steps", "--methods", "es:2"], "batch_ratio=2.0: must be in (0, 1]"),
        (["steps", "--methods", "es:x"], "--methods es:x: must be NAME or NAME:RATIO"),
        (["steps", "--methods", "eswpp"], "method=eswpp: must be one of baseline, "),
        (["steps", "--model", "resnet7"], "model=resnet7: must be one of "),
        (["steps", "--device", "tpu"], "device=tpu: must be auto, cpu or cuda"),
        (["steps", "--precision", "fp8"], "precision=fp8: must be auto, fp32 or bf16"),
        (["steps", "nonsense=1"], "nonsense: no such key"),
        (["loader", "--data", "config"], "--data='config': must be auto or random"),
        (["pairs", "demo", "--runs", "/nowhere"], "/nowhere/members.jsonl: there are no runs"),
    ],
)
def test_bad_input_is_one_line(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr().err.strip()
    assert ended.value.code == 1
    assert len(said.splitlines()) == 1
    assert said.startswith(f"error: {message}")


@pytest.mark.parametrize("words", [["steps", "--pairs", "0"], ["planning", "--sizes", "1,x"]])
def test_a_bad_number_is_refused_by_the_grammar(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "must be an integer >= 1" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(
        word in said for word in ("steps", "planning", "draw", "loader", "pairs", "examples")
    )
