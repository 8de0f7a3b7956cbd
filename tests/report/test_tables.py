import json
import math

import pytest

from es_repro.report.assembly import assembled, texts
from es_repro.report.catalogue import TABLES
from es_repro.report.folders import read_members, read_runs
from es_repro.report.paper import paper_table
from es_repro.report.runs import tidy
from es_repro.report.specs import experiments
from es_repro.report.tables import build

TEN = "table2_cifar10_resnet18"


def frame(root):
    members = read_members(root.path)
    return tidy(members, read_runs(root.path, {m.run for m in members if m.run}))


def table(root, preset="demo", name="table2"):
    spec = TABLES[name]
    paper = paper_table(spec.paper) if spec.paper else None
    return build(spec, frame(root), paper, preset).set_index(["experiment", "row"])


def with_accuracies(root, row, accuracies, prefix="demo/", **changes):
    for seed, accuracy in accuracies.items():
        root.add(prefix + TEN, row, seed, summary={"test/accuracy": accuracy}, **changes)


def test_rows_settings_and_blocks_are_the_issues(sweep):
    result = build(TABLES["table2"], frame(sweep), paper_table(2), "demo")
    assert len(result) == 3 * 13
    first = result[result["setting"] == "CIFAR-10, 2,000 images, small net"]
    assert list(first[first["block"] == "methods"]["method"]) == [
        "Baseline", "UCB", "KA", "InfoBatch", "Loss", "Order", "ES", "ESWP",
    ]  # fmt: skip
    assert list(first[first["block"] == "controls"]["method"]) == [
        "random_set", "random_batch", "short@ES", "short@ESWP", "loss_anneal",
    ]  # fmt: skip


def test_mean_deviation_and_paired_interval_by_hand(root):
    with_accuracies(root, "baseline", {0: 0.90, 1: 0.92, 2: 0.94})
    with_accuracies(root, "es", {0: 0.91, 1: 0.92, 2: 0.96})
    es = table(root).loc[f"demo/{TEN}", "es"]
    assert es["value"] == pytest.approx(93.0)
    assert es["value_sd"] == pytest.approx(math.sqrt(7))  # 91, 92, 96: (4 + 1 + 9) / 2
    assert es["difference"] == pytest.approx(1.0)  # of 1, 0, 2: deviation 1
    half = 4.302653 / math.sqrt(3)  # t(0.975, 2 degrees of freedom)
    assert [es["difference_low"], es["difference_high"]] == pytest.approx([1 - half, 1 + half])
    assert (es["num_seeds"], es["num_pairs"], es["seeds"]) == (3, 3, "0,1,2")


def test_only_seeds_that_both_have_are_paired(root):
    with_accuracies(root, "baseline", {0: 0.5, 1: 0.9})
    with_accuracies(root, "es", {1: 0.8, 2: 0.1})
    with_accuracies(root, "eswp", {5: 0.7})
    result = table(root).loc[f"demo/{TEN}"]
    assert result.loc["es", "difference"] == pytest.approx(-10.0)
    assert result.loc["es", "num_pairs"] == 1
    assert math.isnan(result.loc["es", "difference_low"])
    assert math.isnan(result.loc["eswp", "difference"])


def test_a_delta_to_the_paper_needs_its_recipe(root):
    with_accuracies(root, "es", {0: 0.950}, prefix="", config={"recipe.paper": True})
    with_accuracies(root, "eswp", {0: 0.950}, prefix="")
    with_accuracies(root, "loss", {0: 0.950}, prefix="", config={"recipe.paper": True})
    with_accuracies(root, "loss", {1: 0.950}, prefix="")
    result = table(root, "paper").loc[TEN]
    assert result.loc["es", "paper_delta"] == pytest.approx(-0.4)
    assert math.isnan(result.loc["eswp", "paper_delta"])
    assert list(result.loc[["es", "eswp", "loss"], "paper_state"]) == ["", *["other recipe"] * 2]
    assert result.loc["eswp", "paper_value"] == 95.3


def test_cells_without_a_result_say_why(sweep):
    result = table(sweep)
    cell = result.loc[f"demo/{TEN}"]
    assert cell.loc["loss_anneal", "state"] == "not run"
    assert cell.loc["short_eswp", "state"].startswith("interrupted")
    assert cell.loc["ucb", ["num_seeds", "num_asked", "state"]].tolist() == [1, 2, ""]
    hundred = result.loc["demo/table2_cifar100_resnet18"]
    assert set(hundred["state"]) == {"not run (no data)"}
    assert hundred["paper_value"].notna().sum() == 8


def test_savings_of_the_four_axes(sweep):
    cell = table(sweep).loc[f"demo/{TEN}"]
    es = cell.loc["es", ["time_saved", "steps_saved", "bp_saved", "flops_saved"]]
    seconds = 1 - (80 * 0.68 + 0.5) / 80.5
    assert es.tolist() == pytest.approx([100 * seconds, 0.0, 65.0, 35.0])
    assert cell.loc["order", "time_origin"] == "other clock"
    assert cell.loc["eswp", ["time_saved", "time_origin"]].tolist() == [
        pytest.approx(41.2), "paired",
    ]  # fmt: skip


def test_runs_of_another_configuration_are_not_averaged(root):
    with_accuracies(root, "es", {0: 0.1}, config={"dataset.subset": 500})
    with_accuracies(root, "es", {1: 0.9, 2: 0.9})
    cell = table(root).loc[f"demo/{TEN}", "es"]
    assert (cell["value"], cell["num_seeds"]) == (pytest.approx(90.0), 2)


def test_a_row_on_other_data_than_the_baseline_is_not_compared(root):
    with_accuracies(root, "baseline", {0: 0.9})
    with_accuracies(root, "es", {0: 0.9}, config={"dataset.subset": 500})
    with_accuracies(root, "loss", {0: 0.9}, config={"epochs": 3})
    with_accuracies(root, "short_es", {0: 0.9}, config={"epochs": 3})
    with_accuracies(root, "ka", {0: 0.9}, config={"task.label_smoothing": 0.1})
    root.add(f"demo/{TEN}", "ucb", 0, environment={"precision": "bf16"})
    result = table(root).loc[f"demo/{TEN}"]
    assert result.loc[["es", "loss", "short_es"], "comparable"].tolist() == [False, False, True]
    assert result.loc[["ka", "ucb"], "comparable"].tolist() == [False, False]
    assert result.loc[["es", "loss"], ["difference", "bp_saved"]].isna().all(axis=None)
    assert result.loc["short_es", "difference"] == 0.0


def test_a_validation_accuracy_is_marked_and_not_compared_with_a_test_one(root):
    with_accuracies(root, "baseline", {0: 0.9})
    folder = root.add(f"demo/{TEN}", "es", 0, config={"dataset.split": "validation"})
    (folder / "summary.json").write_text('{"status": "finished", "validation/accuracy": 0.7}')
    es = table(root).loc[f"demo/{TEN}", "es"]
    assert (es["metric"], es["value"], es["comparable"]) == ("validation", 70.0, False)


def test_the_demo_table_has_every_row_and_no_paper(root):
    for row in ("baseline", "es", "short_es"):
        root.add("demo/digits", row, 0)
    result = table(root, name="demo").loc["demo/digits"]
    assert len(result) == 13
    assert result["paper_value"].isna().all()
    assert result.loc["es", "difference"] == pytest.approx(-0.8)


def test_experiments_are_prefixed_by_their_preset():
    assert experiments(TABLES["table2"], "small")[0] == f"small/{TEN}"
    assert experiments(TABLES["table2"], "paper")[0] == TEN
    assert experiments(TABLES["demo"], "demo") == ["demo/digits"]


def test_a_finished_run_without_an_accuracy_is_no_result(root):
    folder = root.add(f"demo/{TEN}", "es", 0)
    (folder / "summary.json").write_text(json.dumps({"status": "finished"}))
    assert table(root).loc[f"demo/{TEN}", "es"]["state"] == "failed: no accuracy in its summary"


def test_a_method_of_the_readers_own_has_a_row(root):
    with_accuracies(root, "baseline", {0: 0.9})
    with_accuracies(root, "selective", {0: 0.8, 1: 0.9})
    text = texts(assembled(TABLES["table2"], "demo", frame(root), []))["md"]
    line = next(line for line in text.splitlines() if line.startswith("| selective "))
    assert "85.00 ± 7.07" in line
