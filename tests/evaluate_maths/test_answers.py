"""What answers come to, by hand."""

import json
import math

import pytest

from es_repro.evaluate_maths.answers import Answers, summarise


def line(name, number, sample, verdict):
    return {
        "set": name, "number": number, "sample": sample, "verdict": verdict,
        "tokens": 10, "finished": verdict != "no_answer",
    }  # fmt: skip


def test_accuracy_and_errors_of_one_sample_a_problem():
    verdicts = ["right", "wrong", "no_answer", "timeout"]
    found = summarise([line("math500", i, 0, verdict) for i, verdict in enumerate(verdicts)])
    one = found["sets"]["math500"]
    assert one["accuracy"] == 0.25
    assert one["standard_error"] == pytest.approx(math.sqrt(0.25 * 0.75 / 3))
    assert one["sampling_error"] is None
    assert (one["problems"], one["samples"], one["answers"], one["unfinished"]) == (4, 1, 4, 1)
    assert [one[verdict] for verdict in verdicts] == [1, 1, 1, 1]


def test_several_samples_tell_the_scatter_of_samples_from_that_of_problems():
    rights = {0: [1, 1], 1: [1, 0], 2: [0, 0]}
    lines = [
        line("aime24", number, sample, "right" if right else "wrong")
        for number, row in rights.items()
        for sample, right in enumerate(row)
    ]
    one = summarise(lines)["sets"]["aime24"]
    assert one["accuracy"] == 0.5
    assert one["by_sample"] == [2 / 3, 1 / 3]
    assert one["standard_error"] == pytest.approx(math.sqrt((0.25 + 0.25) / 2 / 3))
    # One problem of three scatters: its mean of two has the variance 1/2 * 1/2 / (2 - 1).
    assert one["sampling_error"] == pytest.approx(math.sqrt(0.25) / 3)


def test_sets_count_alike_in_the_mean():
    lines = [line("math500", i, 0, "right" if i < 3 else "wrong") for i in range(4)]
    lines += [line("aime24", i, 0, "wrong") for i in range(2)]
    found = summarise(lines)["mean"]
    assert found["accuracy"] == pytest.approx((0.75 + 0) / 2)
    assert found["standard_error"] == pytest.approx(math.sqrt(0.75 * 0.25 / 3) / 2)


def test_answers_are_kept_and_a_torn_line_is_forgotten(tmp_path):
    answers = Answers(tmp_path / "out", {"seed": 0, "sets": ("a",)})
    answers.add(line("a", 0, 0, "right"))
    answers.add(line("a", 1, 0, "wrong"))
    path = tmp_path / "out" / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    again = Answers(tmp_path / "out", {"seed": 0, "sets": ("a",)})
    assert list(again.lines) == [("a", 0, 0)]
    again.add(line("a", 1, 0, "right"))
    assert again.finish({"model": "m"})["sets"]["a"]["accuracy"] == 1.0
    stored = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (stored["model"], stored["sets"]["a"]["right"]) == ("m", 2)


def test_other_settings_are_refused(tmp_path):
    Answers(tmp_path, {"seed": 0, "sampling": {"temperature": 1.0}})
    with pytest.raises(
        ValueError, match=r"^seed=1: must be 0, under which .* choose another --out"
    ):
        Answers(tmp_path, {"seed": 1, "sampling": {"temperature": 1.0}})
