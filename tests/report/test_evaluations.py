import json

import pandas as pd
import pytest

from es_repro.report.evaluations import read_evaluations
from es_repro.report.folders import read_run


def write(folder, step, content):
    place = folder / "evaluations" / f"step-{step}"
    place.mkdir(parents=True)
    (place / "results.json").write_text(content)


HISTORY = pd.DataFrame({"step": [10, 30], "time/train_seconds": [5.0, 25.0]})


@pytest.mark.parametrize(("step", "seconds"), [(10, 5.0), (20, 15.0), (5, 2.5), (31, None)])
def test_seconds_at_a_step_are_read_off_the_history(tmp_path, step, seconds):
    write(tmp_path, step, json.dumps({"sets": {"math500": {"accuracy": 0.5, "samples": 1}}}))
    found = read_evaluations(tmp_path, HISTORY)
    assert found[f"evaluation/step-{step}/train_seconds"] == seconds
    assert found[f"evaluation/step-{step}/math500/accuracy"] == 0.5


@pytest.mark.parametrize("content", ["{", "[]", '{"sets": 3}', '{"sets": {"math500": 1}}'])
def test_a_damaged_file_is_named_and_skipped(tmp_path, caplog, content):
    write(tmp_path, 10, content)
    assert "evaluation/step-10/train_seconds" not in read_evaluations(tmp_path, HISTORY)
    assert "results.json is damaged and was skipped" in caplog.text


def test_a_run_carries_its_evaluations(root):
    folder = root.add("table9_qwen_sft", "es", 0)
    write(folder, 480, json.dumps({"sets": {"aime24": {"accuracy": 0.1}}}))
    assert read_run(folder).summary["evaluation/step-480/aime24/accuracy"] == 0.1
