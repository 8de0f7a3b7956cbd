"""Studies on made-up records with a known answer."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from scipy.stats import ttest_rel

from es_repro.build import run_epochs
from es_repro.config import config_folder
from es_repro.report import ReportError
from es_repro.report.__main__ import main
from es_repro.report.studies.catalogue import STUDIES
from es_repro.report.studies.command import judged, packs
from es_repro.report.studies.findings import unfinished
from es_repro.report.studies.rates import as_yaml, tuned
from es_repro.report.verdicts.command import read_frame
from es_repro.selection import selector_class

STUDY = STUDIES["cpu_cifar10"]
SEEDS = 12
COSTS = {
    "baseline": 1.0, "short_75": 0.75, "short_es": 0.625, "short_eswp": 0.5, "es": 0.618,
    "eswp": 0.511, "loss_anneal": 0.618, "infobatch": 0.69, "orderdp": 0.6, "random_flops": 0.618,
}  # fmt: skip
LEVEL = {  # a frontier that falls by 2 points for each quarter; ES as good as the baseline
    "baseline": 70.0, "short_75": 68.0, "short_es": 67.0, "short_eswp": 66.0, "es": 70.0,
    "eswp": 66.0, "loss_anneal": 68.0, "infobatch": 68.0, "orderdp": 67.0, "random_flops": 67.0,
}  # fmt: skip


def noise(row):
    rng = np.random.default_rng(sum(row.encode()))
    drawn = rng.normal(0, 0.3, SEEDS)
    return drawn - drawn.mean()


def put(root, levels=LEVEL, seeds=SEEDS):
    for row, level in levels.items():
        for seed in range(seeds):
            root.add(STUDY.experiment, row, seed,
                     config={"optimizer.lr": 0.1, "dataset.split": "test"},
                     summary={"test/accuracy": (level + noise(row)[seed]) / 100,
                              "cost/flops": 1e15 * COSTS[row]})  # fmt: skip


def found(root):
    return judged(STUDY, read_frame([root.path]))[0]


def test_a_study_that_was_only_tuned_has_nothing_to_say_yet(root, tmp_path):
    root.add(STUDY.tuning, "es", 1000, config={"dataset.split": "validation"})
    place = tmp_path / STUDY.name / "records"
    shutil.copytree(root.path, place)
    assert list(packs(tmp_path)) == []
    put(root, seeds=1)
    shutil.copytree(root.path, place, dirs_exist_ok=True)
    assert [(study.name, where) for study, _, where in packs(tmp_path)] == [(STUDY.name, place)]


def contrast(root, method, control):
    table = found(root).contrasts
    return table[(table["method"] == method) & (table["control"] == control)].iloc[0]


def test_a_method_as_good_as_the_baseline_at_less_cost_is_found(root):
    put(root)
    one = contrast(root, "es", "baseline")
    assert (one["role"], one["verdict"].split()[0], one["seeds"]) == ("primary", "equivalent", 12)
    assert one["margin"] == pytest.approx((70.0 - 67.0) / 2)
    assert contrast(root, "es", "short_es")["verdict"] == "better"
    assert contrast(root, "es", "loss_anneal")["verdict"] == "better"
    assert contrast(root, "eswp", "baseline")["verdict"] == "worse"


def test_primary_contrasts_are_corrected_together_and_others_are_not(root):
    put(root)
    table = found(root).contrasts
    assert set(table[table["role"] == "primary"]["control"]) == {
        "baseline", "short_es", "loss_anneal"
    }  # fmt: skip
    raw = {}
    for method, control in (("es", "baseline"), ("es", "short_es"), ("es", "loss_anneal"),
                            ("orderdp", "random_flops")):  # fmt: skip
        values = [LEVEL[row] + noise(row) for row in (method, control)]
        raw[method, control] = ttest_rel(*values).pvalue
    # By hand: the largest of three stands as it is, and Holm's steps multiply the others.
    primary = sorted(p for (method, _), p in raw.items() if method == "es")
    expected = max(3 * primary[0], min(1.0, 2 * primary[1]), primary[2])
    assert contrast(root, "es", "baseline")["p_differs"] == pytest.approx(min(1.0, expected))
    assert contrast(root, "orderdp", "random_flops")["p_differs"] == pytest.approx(
        raw["orderdp", "random_flops"]
    )


def test_a_word_that_cost_alone_would_earn_says_so(root):
    put(root, LEVEL | {"infobatch": 69.5, "random_flops": 66.0})
    one = contrast(root, "infobatch", "random_flops")
    assert one["cost_ratio"] == pytest.approx(0.69 / 0.618)
    assert one["verdict"] == "better, but at 1.12 of its FLOPs"
    assert contrast(root, "eswp", "es")["verdict"] == "worse, but at 0.83 of its FLOPs"
    assert contrast(root, "eswp", "baseline")["verdict"] == "worse"  # what it is there for
    assert contrast(root, "orderdp", "random_flops")["verdict"] == "better"  # within 6%


def test_of_a_run_in_two_packs_the_finished_record_counts(root, tmp_path):
    put(root, {"es": 70.0}, seeds=1)
    other = tmp_path / "other"
    shutil.copytree(root.path, other)
    for done in other.glob("*/done"):
        done.unlink()
    for places in ([root.path, other], [other, root.path]):
        assert set(read_frame(places)["state"]) == {"finished"}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_arm_is_what_the_study_calls_it_and_costs_what_its_control_does(study, compose_run):
    """Epochs as in the name; a method's `short` at its FLOPs or up to an epoch above or below."""
    costs, whole = {}, 0
    for row, name in study.arms.items():
        config = compose_run(f"experiment={study.experiment}", f"method={row}")
        epochs, whole = run_epochs(config), config.epochs
        hyper = {k: v for k, v in config.method.items() if not k.startswith("_") and k != "name"}
        cost = selector_class(config.method.name).expected_cost(epochs, **hyper).factor
        costs[row] = cost * epochs / whole
        if told := re.search(r"(\d+) epochs", name):
            assert epochs == int(told[1]), row
    for method, short in study.shorts.items():
        near = 1.5 if method == "infobatch" else 0.75  # whose cost follows its losses
        assert abs(costs[short] - costs[method]) <= near / whole, (method, short, costs)
    swept = OmegaConf.load(f"{config_folder()}/sweep/{study.experiment}.yaml").hydra.sweeper.params
    assert set(swept.method.split(",")) == set(study.arms)
    assert swept.seed == f"range(0,{study.seeds})"


def test_the_gain_is_read_off_the_baselines_own_frontier(root):
    put(root)
    arms = found(root).arms.set_index("row")
    assert arms.loc["es", "cost"] == pytest.approx(0.618)
    # ES is as good as the whole baseline, which costs 1 / 0.618 of it: an end of the frontier.
    assert arms.loc["es", "gain"] == pytest.approx(1 / 0.618, rel=0.1)
    # InfoBatch at 68 is where the frontier has 75%.
    assert arms.loc["infobatch", "gain"] == pytest.approx(0.75 / 0.69, rel=0.06)
    assert pd.isna(arms.loc["short_es", "gain"])


def test_a_study_begun_shows_what_there_is_and_says_what_lacks(root, tmp_path, capsys):
    put(root, {row: LEVEL[row] for row in ("baseline", "short_es", "es")}, seeds=3)
    out = tmp_path / "results"
    assert main(["study", "cpu_cifar10", "--runs", str(root.path), "--results", str(out)]) == 0
    page = (out / "cpu_cifar10" / "README.md").read_text()
    assert "| InfoBatch | infobatch of cpu/cifar10: not run | 0 |" in page
    assert "**Unfinished**: 0 of the 12 planned seeds in every arm." in page
    assert "**ES against Baseline**" in page
    assert "loss_anneal**" not in page
    assert (out / "cpu_cifar10" / "frontier.png").stat().st_size > 10_000
    assert "PLACE" in page
    assert str(root.path) not in page
    assert "written: " in capsys.readouterr().out


def test_a_study_is_unfinished_until_every_arm_has_its_seeds(root):
    put(root, seeds=11)
    assert "11 of the 12 planned" in unfinished(STUDY, found(root))
    put(root)
    assert unfinished(STUDY, found(root)) == ""


def test_a_run_that_diverged_is_its_arms_failure(root, tmp_path):
    put(root, seeds=11)
    for row in COSTS:
        lost = root.add(STUDY.experiment, row, 11, finished=row != "es",
                        summary={"test/accuracy": 0.7, "cost/flops": 1e15 * COSTS[row]},
                        config={"optimizer.lr": 0.1, "dataset.split": "test"})  # fmt: skip
        if row == "es":
            failure = {"type": "FloatingPointError", "error": "step 7: the loss is not finite"}
            (lost / "failed.json").write_text(json.dumps(failure))
    study = found(root)
    assert unfinished(STUDY, study) == ""
    assert study.arms.set_index("row").loc["es", ["seeds", "diverged"]].tolist() == [11, 1]
    assert contrast(root, "es", "short_es")["verdict"] == (
        "better; beside it 1 of its runs diverged"
    )
    assert main(["study", STUDY.name, "--runs", str(root.path), "--results", str(tmp_path)]) == 0
    assert "| 11 and 1 diverged |" in (tmp_path / STUDY.name / "README.md").read_text()


def test_two_seeds_decide_nothing(root):
    put(root, seeds=2)
    assert found(root).contrasts.empty
    assert found(root).arms.set_index("row").loc["es", "seeds"] == 2


def test_a_study_without_runs_is_one_line(root, tmp_path, capsys):
    root.add("other", "es", 0)
    out = str(tmp_path / "results")
    assert main(["study", "cpu_cifar10", "--runs", str(root.path), "--results", out]) == 1
    assert "no finished run of cpu/cifar10" in capsys.readouterr().err


def test_under_label_noise_the_shares_of_wrong_labels_are_drawn(root, tmp_path):
    study = STUDIES["cpu_cifar10_noise"]
    for row, trained in {"baseline": 0.2, "short_es": 0.2, "es": 0.4}.items():
        for seed in range(3):
            run = root.add(study.experiment, row, seed, config={"dataset.label_noise": 0.2})
            lines = (run / "history.jsonl").read_text().splitlines()
            share = {"noise/share": 0.2, "noise/bp_share": trained + 0.01 * seed}
            changed = [json.dumps(json.loads(line) | share) for line in lines]
            (run / "history.jsonl").write_text("\n".join(changed) + "\n")
    out = tmp_path / "results"
    assert main(["study", study.name, "--runs", str(root.path), "--results", str(out)]) == 0
    table = pd.read_csv(out / study.name / "wrong_labels.csv")
    last = table[table["row"].eq("es")].iloc[-1]
    assert (last["mean"], last["low"], last["high"]) == pytest.approx((41, 40, 42))
    assert last["in_the_set"] == pytest.approx(20)
    assert "(wrong_labels.png)" in (out / study.name / "README.md").read_text()


# ---------------------------------------------------------------- rates


def tune(root, rates, split="validation", rows=tuple(STUDY.arms)):
    for row in rows:
        for rate, accuracy in rates.items():
            measured = {"validation/accuracy": accuracy, "test/accuracy": accuracy}
            root.add(STUDY.tuning, row, 1000, summary=measured,
                     config={"optimizer.lr": rate, "dataset.split": split})  # fmt: skip


def rates_of(root):
    return {arm.row: arm for arm in tuned(STUDY, read_frame([root.path]))}


def test_the_best_rate_must_be_interior(root):
    tune(root, {0.05: 0.60, 0.1: 0.62, 0.2: 0.61})
    assert rates_of(root)["es"].best == 0.1
    assert rates_of(root)["es"].wanted is None
    tune(root, {0.4: 0.65}, rows=["es"])
    assert (rates_of(root)["es"].best, rates_of(root)["es"].wanted) == (0.4, 0.8)
    with pytest.raises(ReportError, match=r"still to be tried: es at 0\.8"):
        as_yaml(STUDY, list(rates_of(root).values()))
    tune(root, {0.8: 0.64}, rows=["es"])
    lines = as_yaml(STUDY, list(rates_of(root).values())).splitlines()
    assert "default: 0.1" in lines
    assert "es: 0.4" in lines
    assert len([line for line in lines if not line.startswith("#")]) == len(STUDY.arms)


def test_rates_close_to_the_best_are_named(root):
    tune(root, {0.05: 0.60, 0.1: 0.62, 0.2: 0.618, 0.4: 0.6149})
    assert rates_of(root)["es"].close(margin=0.5) == [0.2]
    assert rates_of(root)["es"].close(margin=0.6) == [0.2, 0.4]


@pytest.mark.parametrize(("kind", "wanted"), [("FloatingPointError", None), ("OSError", 0.4)])
def test_a_rate_that_diverges_has_been_tried(root, kind, wanted):
    tune(root, {0.05: 0.60, 0.1: 0.62, 0.2: 0.64})
    for row in STUDY.arms:
        run = root.add(STUDY.tuning, row, 1000, finished=False,
                       config={"optimizer.lr": 0.4, "dataset.split": "validation"})  # fmt: skip
        (run / "failed.json").write_text(json.dumps({"type": kind, "error": "step 7: no"}))
    assert {(arm.best, arm.wanted) for arm in rates_of(root).values()} == {(0.2, wanted)}
    assert (0.4 in rates_of(root)["es"].tried) == (wanted is None)


def test_rates_are_not_tuned_on_the_test_split(root):
    tune(root, {0.05: 0.60, 0.1: 0.62, 0.2: 0.61}, split="test")
    with pytest.raises(ReportError, match="tune on validation"):
        rates_of(root)


def test_an_arm_that_was_not_tuned_is_named(root):
    tune(root, {0.05: 0.60, 0.1: 0.62, 0.2: 0.61}, rows=["baseline", "es"])
    with pytest.raises(ReportError, match="no finished run of short_75, short_es"):
        rates_of(root)
