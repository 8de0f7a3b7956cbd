"""The bench of accumulation: what it counts, and what the cost model expects."""

import pytest
import torch

from es_repro.bench.accumulation import (
    PAPER_RATIO,
    expected_ratio,
    measure_accumulation,
    sizes,
    table,
)
from es_repro.report.paper import paper_table
from tests.data.problems import write_gsm8k

EXPERIMENT = "demo/table9_qwen_sft"


def test_the_cost_model_of_an_update():
    assert expected_ratio(32, 8, recomputed=False) == pytest.approx(7 / 12)
    assert expected_ratio(32, 8, recomputed=True) == pytest.approx(1 / 2)
    assert expected_ratio(32, 32, recomputed=False) == pytest.approx(4 / 3)
    assert sizes("table9_qwen_sft", []) == (32, 8, True)
    assert sizes(EXPERIMENT, []) == (32, 8, False)


def test_the_paper_s_ratio_is_that_of_its_minutes():
    paper = paper_table(9)
    minutes = paper[paper["metric"] == "training_wallclock"].set_index(["method", "setting"])
    for steps in ("1K", "2K", "4K"):
        ours, theirs = (minutes.loc[(m, f"steps={steps}"), "value"] for m in ("ESWP", "Baseline"))
        assert float(ours) / float(theirs) == pytest.approx(PAPER_RATIO)


def test_every_method_is_measured_at_every_micro_batch(tmp_path):
    write_gsm8k(tmp_path, train=60)
    overrides = [
        f"run.data_root={tmp_path}", f"run.root={tmp_path}", "subset=40", "dataset.held=2",
        "dataset.vocab_size=280", "dataset.max_length=250", "model.width=16", "model.layers=1",
        "model.heads=2",
    ]  # fmt: skip
    found = measure_accumulation(
        EXPERIMENT, [16, 8], pairs=2, warmup=1, device=torch.device("cpu"), overrides=overrides,
        show=lambda *_: None,
    )  # fmt: skip
    passes = {(x.method, x.micro_batch): (x.scoring_passes, x.backward_passes) for x in found}
    assert passes == {
        ("baseline", 16): (0, 2), ("es", 16): (2, 1), ("eswp", 16): (2, 1),
        ("baseline", 8): (0, 4), ("es", 8): (4, 1), ("eswp", 8): (4, 1),
    }  # fmt: skip
    assert all(x.fits and x.seconds.median > 0 and x.peak_bytes is None for x in found)
    by_key = {(x.method, x.micro_batch): x for x in found}
    assert by_key["baseline", 16].ratio.median == 1
    kept = [by_key["baseline", micro].saved_activations for micro in (8, 16)]
    assert kept[0] < 0.75 * kept[1]  # memory follows the micro-batch
    lines = table(found, 7 / 12).splitlines()
    assert len(lines) == 2 + 6
    assert "0.583" in lines[3]
    assert "0.53" in lines[-1]


def test_no_micro_batch_is_refused():
    with pytest.raises(ValueError, match=r"^micro=\[\]: must be at least 1$"):
        measure_accumulation(
            EXPERIMENT, [], pairs=1, device=torch.device("cpu"), show=lambda *_: None
        )
