"""Advice beside measured runs: what is counted and said. Nothing asserts a time."""

import json

import numpy as np
import pytest

from es_repro.bench.__main__ import main
from es_repro.bench.advising import Compared, compared
from es_repro.bench.ratios import Estimate
from tests.advise.made import advised

QUICK = (
    "--pairs", "2", "--rounds", "5", "--epochs", "2", "--threads", "1", "--device", "cpu",
    "--data-root", "none",
)  # fmt: skip


def test_every_method_is_run_and_its_samples_counted(capsys, caplog, tmp_path):
    words = ("--case", "vit", "--samples", "48", "--out", str(tmp_path))
    main(["advise", *QUICK, *words, "meta_batch_size=16", "model.options.embed_dim=24"])
    text = capsys.readouterr().out
    found = json.loads((tmp_path / "advise.json").read_text())

    assert (tmp_path / "advise.md").read_text() == text
    [case] = found["cases"]
    rows = {(row["method"], row["batch_ratio"]): row for row in case["rows"]}
    # Two epochs, none of them annealed.
    assert rows["es", 0.25]["trained_share"] == pytest.approx(0.25)
    assert rows["random", 0.25]["trained_share"] == pytest.approx(0.25)
    assert rows["ucb", None]["trained_share"] == pytest.approx((1 + 34 / 48) / 2)
    assert rows["es", 0.5]["ideal"] == pytest.approx(1 / 3 + 1 / 2)
    assert all(row["measured"]["median"] > 0 for row in rows.values())
    assert case["advice"]["num_samples"] == 48
    assert "random images" in case["data"]
    assert "## vit" in text


@pytest.mark.parametrize("workers", ["", ", 2 workers"])
def test_a_plain_loop_is_advised_on_and_run(capsys, caplog, tmp_path, workers):
    case = f"mlp, plain loop{workers}"
    words = ("--case", case, "--samples", "96", "--out", str(tmp_path), "meta_batch_size=16")
    main(["advise", *QUICK, *words, "model.hidden=[8]"])
    found = json.loads((tmp_path / "advise.json").read_text())["cases"][0]

    assert found["advice"]["rounds"] == 5
    assert [row["trained_share"] for row in found["rows"]] == pytest.approx(
        [0.25, 0.2, 0.25], abs=0.01
    )


def test_the_prediction_is_the_median_of_what_each_advice_said():
    methods = [("es", {"batch_ratio": 0.25})]
    answers = [advised(step=0.3, load=load, methods=methods) for load in (0.3, 0.0, 0.1)]
    seconds, trained = np.full((3, 20, 2), [2.0, 1.0]), np.full((3, 20, 2), [100, 25])

    [row] = compared(methods, answers, seconds, trained)

    low, middle, high = sorted(advice.rows[0].time.median for advice in answers)
    assert (row.predicted.low, row.predicted.median, row.predicted.high) == (low, middle, high)
    assert low < middle < high
    assert row.measured.median == pytest.approx(0.5)
    assert row.trained_share == pytest.approx(0.25)


def test_a_share_that_the_losses_decide_is_told_apart():
    told, taken = Estimate(0.70, 0.69, 0.71), Estimate(0.76, 0.75, 0.77)
    row = Compared("infobatch", None, told, taken, 0.69, 0.69, 0.75)

    assert row.points == pytest.approx(-6)
    assert not row.judged
