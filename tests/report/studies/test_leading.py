"""What leads the results and what a reader takes home, on made-up studies with a known answer."""

import numpy as np
import pytest
from scipy import stats

from es_repro.report.head import head
from es_repro.report.studies.catalogue import STUDIES
from es_repro.report.studies.command import judged
from es_repro.report.studies.deciding import to_decide
from es_repro.report.studies.leading import screen
from es_repro.report.takeaways import takeaways
from es_repro.report.unrun import Gap
from es_repro.report.verdicts.command import read_frame

STUDY = STUDIES["cpu_cifar10"]
SEEDS = 12
FLOPS = {"baseline": 8e15, "short_75": 6e15, "short_es": 5e15, "short_eswp": 4e15, "es": 5e15,
         "loss_anneal": 5e15}  # fmt: skip


def put(root, levels, spread):
    for row, level in levels.items():
        drawn = np.random.default_rng(sum(row.encode())).normal(0, spread, SEEDS)
        for seed, value in enumerate(level + drawn - drawn.mean()):
            root.add(STUDY.experiment, row, seed,
                     config={"optimizer.lr": 0.1, "dataset.split": "test"},
                     summary={"test/accuracy": value / 100, "cost/flops": FLOPS[row]})  # fmt: skip
    return judged(STUDY, read_frame([root.path]))[0]


LEVELS = {
    "baseline": 70.0, "short_75": 69.0, "short_es": 68.0, "short_eswp": 66.0, "es": 69.5,
    "loss_anneal": 69.5,
}  # fmt: skip


def test_the_first_screen_holds_each_arm_against_the_baseline_of_its_cost(root):
    first = screen(STUDY, put(root, LEVELS, 0.2), [Gap("Table 2", "paper", "", "", 33.0)])
    rows = {row[0]: row[1:] for row in first.grid.rows}
    assert set(rows) == {STUDY.arms[row] for row in LEVELS}
    accuracy, cost, against, gain = rows["ES"]
    assert accuracy.startswith("69.50 ± 0.")
    assert (cost, against[:6]) == ("62.5", "+1.50 ")
    assert float(gain.split()[0]) > 1.2
    assert rows["Baseline"][2:] == ["", ""]
    assert first.figure == "cpu_cifar10/frontier.png"
    assert first.finding == (
        "Beside a plain run that is simply shorter, at equal cost, better are ES (+1.5 points), "
        "loss_anneal (+1.5 points)."
    )
    text = " ".join(first.notes)
    assert "ES against Baseline, 15 epochs +1.50" in text
    assert ": better" in text
    assert "about 33 hours of one H100" in text


def test_the_study_leads_where_it_was_run_and_nothing_where_nothing_was(root):
    found = put(root, LEVELS, 0.2)
    assert head([(STUDY, found)], [], [], []).grid.columns[0] == STUDY.title
    assert head([], [], [], []) is None


def test_what_is_undecided_says_how_many_seeds_would_decide_it(root):
    found = put(root, LEVELS, 3.0)
    table = found.contrasts
    one = table[(table["method"] == "es") & (table["control"] == "loss_anneal")].iloc[0]
    text = to_decide(STUDY, found, one)
    seeds = int(text.split()[0])
    values = [found.runs[found.runs["row"] == row].sort_values("seed")["test/accuracy"]
              for row in ("es", "loss_anneal")]  # fmt: skip
    spread = 100 * np.std(values[0].to_numpy() - values[1].to_numpy(), ddof=1)
    # An independent approximation: two one-sided normal tests at 5% shared out among three primary
    # contrasts, 80% power, no difference.
    normal = ((stats.norm.ppf(1 - 0.05 / 3) + stats.norm.ppf(0.9)) * spread / STUDY.margin) ** 2
    assert seeds == pytest.approx(normal, rel=0.05)
    assert f", {seeds * 10:.3g} PFLOP" in text
    decided = one.copy()
    decided["verdict"] = "better"
    assert to_decide(STUDY, found, decided) == "-"


def test_what_a_reader_takes_home_names_each_question_and_its_answer(root):
    found = put(root, LEVELS, 0.2)
    card = {"workloads": [{"title": "digits", "seeds": 100, "methods": [
        {"name": "es", "controls": {"short": {
            "difference": 0.5, "half_width": 0.2, "word": "better", "though": "",
        }}}]}]}  # fmt: skip
    claims = [{"kind": "runs", "verdict": "not run"}, {"kind": "theory", "verdict": "holds"}]
    text = takeaways([(STUDY, found)], card, claims)
    assert "| ES against loss_anneal | " in text
    assert "](cpu_cifar10/frontier.png)" in text
    assert "| es | +0.50 ± 0.20 better |" in text
    assert "runs of its recipe: 1 not run; by computation: 1 holds" in text
