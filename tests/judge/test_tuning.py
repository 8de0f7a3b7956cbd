"""The learning-rate search, on a made-up landscape."""

import math

import numpy as np
import pytest

from es_repro.judge.arms import baseline_at, random_at
from es_repro.judge.bed import Outcome
from es_repro.judge.tuning import FARTHEST, FIRST_TUNING_SEED, tune
from tests.judge.toy import TOY


class Landscape:
    """Answers what a function of the rate says."""

    def __init__(self, height):
        self.height, self.asked = height, []

    def outcome(self, arm, workload, members, split):
        assert split == "validation"
        assert all(member.seed >= FIRST_TUNING_SEED for member in members)
        self.asked += sorted({member.rate for member in members})
        scores = np.array([[self.height(member.rate)] for member in members])
        ones = np.ones(len(members))
        return Outcome(scores, 0 * ones, 6 * ones, ones, 0.0, 0.0)


def peak_at(rate):
    return lambda x: -abs(math.log2(x / rate))


@pytest.mark.parametrize("power", [0, 1, 3, -4])
def test_the_grid_grows_until_the_best_has_worse_neighbours(power):
    best = TOY.rate * 2.0**power
    runner = Landscape(peak_at(best))
    tuned = tune(baseline_at(1), TOY, runner, 5)
    assert tuned.rate == best
    assert tuned.interior
    assert {best / 2, best, 2 * best} <= set(tuned.tried)
    assert len(runner.asked) == len(set(runner.asked)) == len(tuned.tried)
    assert tuned.runs == 5 * len(tuned.tried)
    assert tuned.budgets == pytest.approx(tuned.runs)


def test_of_equal_rates_the_one_closest_to_the_start():
    assert tune(baseline_at(1), TOY, Landscape(lambda _: 1.0), 2).rate == TOY.rate


def test_a_search_without_an_end_says_that_it_found_none():
    tuned = tune(baseline_at(1), TOY, Landscape(lambda rate: rate), 1)
    assert not tuned.interior
    assert tuned.rate == TOY.rate * 2.0**FARTHEST


@pytest.mark.parametrize("cost", [0.25, 0.5, 0.58, 0.68, 0.99])
@pytest.mark.parametrize("n", [65, 750, 1437])
def test_a_random_set_leaves_no_batch_of_a_few_rows(cost, n):
    size = TOY.meta_batch_size
    selector = random_at(cost, "set", TOY).make(n, 3, device="cpu", seed=0)
    kept = len(selector.plan_epoch(0).indices)
    assert kept % size == 0 or kept % size >= size / 2
    assert abs(kept - cost * n) <= size / 4 + 0.5
