"""Paired measurements: what is counted, and that only what needs it is measured."""

import json

import numpy as np
import torch

from es_repro.bench.__main__ import main
from es_repro.bench.pairs import Kind, kinds_of, measure_all
from es_repro.bench.stepping import paired_seconds
from es_repro.train import train


def epoch(number, steps, selecting, forward, trained, rows=10):
    return {
        "epoch": number,
        "data/batch_rows": rows,
        "cost/optimizer_steps": steps,
        "cost/selecting_steps": selecting,
        "cost/forward_samples": forward,
        "cost/bp_samples": trained,
    }


def test_the_steps_of_a_run_are_counted_by_kind():
    # Two annealed epochs of 10 steps around one that selects 2 of 10, one of them re-scoring 30.
    history = [
        epoch(1, 10, 0, 100, 100),
        epoch(2, 20, 10, 100 + 120, 120),
        epoch(3, 30, 10, 220 + 130, 220),
    ]

    assert kinds_of(history) == [
        Kind(epoch=0, selecting=False, rows=10, steps=20, refreshed=30),
        Kind(epoch=1, selecting=True, rows=10, steps=10, refreshed=0),
    ]


def test_work_is_taken_in_turn_and_the_order_reversed():
    seen = []
    work = [lambda: seen.append("a"), lambda: seen.append("b")]
    seconds = paired_seconds(work, pairs=2, warmup=1, device=torch.device("cpu"))

    assert seen == ["b", "a", "a", "b", "b", "a"]
    assert seconds.shape == (2, 2)
    assert np.all(seconds >= 0)


def test_contended_rows_are_measured_once(quick, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    monkeypatch.setattr("es_repro.bench.pairs.BUSY_CORES", float("inf"))  # other tests run beside
    rows = ("baseline", "es", "ka")
    for method in rows:
        summary = train(quick("epochs=8", f"method={method}", "experiment=demo/digits"))
        path = runs / summary["run"] / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"time/contended": True}))

    lines = measure_all(runs, "demo/digits", data_root="none", pairs=3)
    assert [line.split()[1] for line in lines] == ["es:", "ka:"]
    for folder in runs.glob("*/paired.json"):
        found = json.loads(folder.read_text())
        assert found["low"] <= found["time_saved"] <= found["high"] < 1
        assert {step["kind"] for step in found["steps"]} <= {"plain", "selecting"}
    assert measure_all(runs, "demo/digits", data_root="none", pairs=3) == []


def test_a_disturbed_measurement_is_said_and_not_kept(quick, tmp_path, monkeypatch, capsys):
    for method in ("baseline", "es"):
        train(quick(f"method={method}", "experiment=demo/digits"))
    monkeypatch.setattr("es_repro.bench.pairs.Strangers.cores", lambda _: 1.5)
    monkeypatch.setattr("sys.argv", [
        "es_repro.bench", "pairs", "demo/digits", "--every", "--pairs", "3",
        "--runs", str(tmp_path / "runs"),
    ])  # fmt: skip
    main()

    assert capsys.readouterr().out == (
        "demo/digits es: measured, but not kept: others used 1.5 cores meanwhile; "
        "measure on an idle machine\n"
    )
    assert list(tmp_path.glob("runs/*/paired.json")) == []


def test_clocks_of_an_idle_machine_need_no_measurement(quick, tmp_path):
    for method in ("baseline", "es"):
        summary = train(quick(f"method={method}", "experiment=demo/digits"))
        path = tmp_path / "runs" / summary["run"] / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"time/contended": False}))

    assert measure_all(tmp_path / "runs", "demo/digits", data_root="none", pairs=3) == []
