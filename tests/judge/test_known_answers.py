"""Methods whose verdict is known beforehand, through the whole trial."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from es_repro.judge.arms import frontier
from es_repro.judge.asked import method_arm
from es_repro.judge.bed import Bed, Member
from es_repro.judge.findings import findings
from es_repro.judge.runner import Runner
from es_repro.judge.store import Store
from es_repro.judge.trial import Effort, run_trial
from es_repro.selection import create
from es_repro.statistics import decide
from es_repro.statistics import trial as compare
from tests.judge.toy import (
    TOY,
    Failing,
    Knowing,
    RandomHalf,
    RandomRows,
    Slow,
    Stubborn,
    Twice,
    Whole,
    arm,
    with_epochs,
)  # fmt: skip

EFFORT = Effort(tuning_seeds=2, seeds=24, most_seeds=24, resolution=5.0)


@pytest.fixture(scope="module")
def history():
    return method_arm("loss_anneal", {})


@pytest.fixture(scope="module")
def judged(tmp_path_factory, history):
    runner = Runner(Store(tmp_path_factory.mktemp("store")))
    methods = [arm(method) for method in (Knowing, Stubborn, RandomRows)]
    return run_trial(TOY, methods, history, EFFORT, runner, print)


def test_one_that_drops_the_wrong_labels_is_better(judged):
    found = findings(judged)["Knowing"]
    assert found.baseline.decision.word == "better"
    assert {kind: x.decision.word for kind, x in found.controls.items()} == dict.fromkeys(
        ("short", "random_set", "random_batch", "history"), "better"
    )
    assert found.gain.value == found.gain.at_most_known  # beyond the whole baseline's budget


def test_one_that_always_takes_the_same_rows_is_worse(judged):
    found = findings(judged)["Stubborn"]
    assert found.baseline.decision.word == "worse"
    assert found.controls["short"].decision.word == "worse"
    assert found.gain.value == found.gain.at_least_known


def test_random_samples_are_equivalent_to_random_ones(tmp_path, history):
    """Through a whole trial: the same law at the same rate, and seeds enough to say so.

    The difference spreads by about 8 points over seeds: of 100 its 90% interval is +-1.3, so that
    by chance alone a trial of two equal laws would miss the margin of 5 once in a thousand. Four
    tuning seeds here find both the same rate; where they do not, the laws differ.
    """
    effort = replace(EFFORT, tuning_seeds=4, seeds=100, most_seeds=100)
    runner = Runner(Store(tmp_path))
    trial = run_trial(TOY, [arm(RandomHalf)], history, effort, runner, print)
    assert trial.random_set["RandomHalf"] == "random_set@0.50"
    rates = [trial.lanes[name].tuned.rate for name in ("RandomHalf", "random_set@0.50")]
    assert rates[0] == rates[1]
    found = findings(trial)["RandomHalf"]
    decision = found.controls["random_set"].decision
    assert (decision.word, decision.though) == ("equivalent", "")
    assert decision.half_width < 3
    assert found.cost == pytest.approx(1 / 2)


def test_random_rows_of_scored_batches_are_equivalent_to_random_rows():
    """As many rows from each batch, at the same rate: what was scored changes nothing."""
    members = [Member(seed, TOY.rate) for seed in range(200)]
    rows = partial(create, "random", batch_ratio=0.5, annealing_start=0.0, annealing_end=0.0)
    ours, theirs = (Bed(TOY, make, members).run() for make in (RandomRows, rows))
    assert (ours.trained == theirs.trained).all()
    decision = decide(compare(ours.scores, theirs.scores, margin=5.0))
    assert (decision.word, decision.though) == ("equivalent", "")


def test_a_scored_batch_is_paid_for(judged):
    # Costs of a scored batch: 1/3 + 1/2 of the baseline's.
    assert findings(judged)["RandomRows"].cost == pytest.approx(1 / 3 + 1 / 2, abs=0.01)
    assert judged.random_batch["RandomRows"] == "random_batch@0.83"


def test_every_method_has_its_control_at_equal_cost(judged):
    for method in judged.methods:
        cost = judged.lanes[method].cost(TOY)
        for control in (judged.random_set[method], judged.random_batch[method]):
            # A random set may differ by a quarter of a batch, of six in an epoch.
            assert judged.lanes[control].cost(TOY) == pytest.approx(cost, abs=0.02 + 0.25 / 6)
        short = judged.lanes[judged.short[method]]
        assert short.cost(TOY) == pytest.approx(max(cost, 1 / 6), abs=0.5 / TOY.epochs + 1e-6)


def test_whole_batches_are_the_baseline_bit_for_bit():
    members = [Member(seed, 0.1) for seed in range(4)]
    ours, theirs = (
        Bed(TOY, Whole, members),
        Bed(TOY, lambda **run: create("baseline", **run), members),
    )
    mine, baseline = ours.run(), theirs.run()
    for parameter, other in zip(ours.models.parameters, theirs.models.parameters, strict=True):
        assert torch.equal(parameter, other)
    assert np.array_equal(mine.scores, baseline.scores)
    assert (mine.scored == TOY.epochs).all()
    assert not baseline.scored.any()


def test_those_that_fail_are_named_in_a_line_and_the_others_go_on(tmp_path, history):
    said = []
    effort = Effort(tuning_seeds=2, seeds=4, most_seeds=4, resolution=0.2)
    methods = [arm(method) for method in (Twice, Slow, Failing, RandomRows)]
    runner = Runner(Store(tmp_path))
    trial = run_trial(with_epochs(4), methods, history, effort, runner, said.append)
    assert trial.methods == ["RandomRows"]
    assert trial.refused["Twice"].startswith("select of seed 0: positions must be distinct, not [")
    assert "times the baseline's (at most 10 is judged)" in trial.refused["Slow"]
    assert trial.refused["Failing"] == "RuntimeError: out of ideas"
    lines = [line for line in said if "is not judged" in line]
    assert [line.split(":")[1].split()[0] for line in lines] == ["Twice", "Slow", "Failing"]
    assert all("\n" not in line for line in said)
    assert set(findings(trial)) == {"RandomRows"}


def test_budgets_of_equal_length_are_one():
    assert [arm.epochs(with_epochs(18)) for arm in frontier(with_epochs(18))] == [9, 11, 14, 18]
    assert [arm.epochs(with_epochs(4)) for arm in frontier(with_epochs(4))] == [2, 3, 4]
