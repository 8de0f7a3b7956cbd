import math

import numpy as np
import pytest

from es_repro.statistics import equivalent_gain, resampled_means

BUDGETS = [1.0, 2.0, 4.0]
FRONTIER = [[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]]


def test_between_two_budgets_the_cost_is_read_off_in_log():
    gain = equivalent_gain(BUDGETS, FRONTIER, 2.0, [25.0, 25.0])
    assert gain.value == pytest.approx(2**1.5 / 2)
    assert (gain.low, gain.high) == pytest.approx((gain.value, gain.value))
    assert str(gain) == "1.41 [1.41, 1.41]"


def test_outside_the_frontier_stands_a_bound():
    above = equivalent_gain(BUDGETS, FRONTIER, 2.0, [31.0, 31.0])
    assert (above.value, str(above)) == (2.0, "≥2.00 [≥2.00, ≥2.00]")
    below = equivalent_gain(BUDGETS, FRONTIER, 2.0, [9.0, 9.0])
    assert (below.value, str(below)) == (0.5, "≤0.50 [≤0.50, ≤0.50]")


def test_a_frontier_out_of_order_is_pooled():
    # 20 and 10 pool to 15: 15 is reached at the first of the two, 22.5 half-way to 30
    crooked = [[5.0] * 2, [20.0] * 2, [10.0] * 2, [30.0] * 2]
    reached = equivalent_gain([1, 2, 4, 8], crooked, 1.0, [15.0] * 2)
    assert reached.value == pytest.approx(2.0)
    assert equivalent_gain([1, 2, 4, 8], crooked, 1.0, [22.5] * 2).value == pytest.approx(32**0.5)


def test_one_of_the_baselines_budgets_gains_nothing():
    generator = np.random.default_rng(0)
    frontier = [level + generator.normal(0, 0.5, 30) for level in (10.0, 20.0, 30.0)]
    gain = equivalent_gain(BUDGETS, frontier, 2.0, frontier[1])
    assert (gain.value, gain.low, gain.high) == pytest.approx((1.0, 1.0, 1.0))  # the same seeds


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """200 trials of a method worth 1.2 of its cost: the standard error of 95% is 1.5 points."""
    truth, covered = 1.2, 0
    for trial in range(200):
        generator = np.random.default_rng(trial)
        # the frontier is 10 points a doubling, so it is linear in log cost
        frontier = [10 * math.log2(b) + generator.normal(0, 1, 30) for b in BUDGETS]
        method = 10 * math.log2(2 * truth) + generator.normal(0, 1, 30)
        gain = equivalent_gain(BUDGETS, frontier, 2.0, method, paired=False, replicates=200)
        covered += gain.low <= truth <= gain.high
    assert 0.88 < covered / 200 < 0.995


def test_resampled_examples_add_their_own_spread():
    """Nets that agree: all chance lies in the test examples, binomial for them."""
    correct = np.tile(np.arange(400) < 300, (5, 1))
    means = resampled_means([correct], replicates=4000)[0]
    assert means.mean() == pytest.approx(0.75, abs=0.002)
    assert means.std() == pytest.approx((0.75 * 0.25 / 400) ** 0.5, rel=0.06)


def test_the_same_examples_cancel_in_a_difference():
    correct = np.random.default_rng(1).random((4, 300)) < 0.8
    first, second = resampled_means([correct, correct], replicates=300)
    assert np.abs(first - second).max() < 1e-12


def test_resampling_equals_the_slow_way():
    """The weights drawn for seeds and examples, applied by explicit loops."""
    correct = np.random.default_rng(2).random((3, 7)) < 0.5
    fast = resampled_means([correct], replicates=5, seed=9)[0]
    generator = np.random.default_rng(9)
    seeds = generator.multinomial(3, np.full(3, 1 / 3), size=5)
    examples = generator.multinomial(7, np.full(7, 1 / 7), size=5)
    for r in range(5):
        slow = sum(seeds[r, s] * examples[r, e] * correct[s, e] for s in range(3) for e in range(7))
        assert fast[r] == pytest.approx(slow / 21, abs=1e-6)


@pytest.mark.parametrize(
    ("arms", "message"),
    [([[1.0], [1.0, 2.0]], "equally many"), ([np.ones((2, 3)), np.ones((2, 4))], "same examples")],
)
def test_arms_that_do_not_fit_are_named(arms, message):
    with pytest.raises(ValueError, match=message):
        resampled_means(arms)


def test_budgets_must_ascend():
    with pytest.raises(ValueError, match=r"^budgets="):
        equivalent_gain([2.0, 1.0], FRONTIER[:2], 1.0, [1.0, 1.0])
