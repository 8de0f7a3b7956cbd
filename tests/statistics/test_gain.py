import math

import numpy as np
import pytest
from scipy import stats

from es_repro.statistics import drawn_means, equivalent_gain, paired

BUDGETS = [1.0, 2.0, 4.0]
FRONTIER = [[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]]


def test_between_two_budgets_the_cost_is_read_off_in_log():
    gain = equivalent_gain(BUDGETS, FRONTIER, 2.0, [25.0, 25.0])
    assert gain.value == pytest.approx(2**1.5 / 2)
    assert (gain.low, gain.high) == pytest.approx((gain.value, gain.value))
    assert str(gain) == "1.41 [1.41, 1.41]"


def test_outside_the_frontier_stands_a_bound():
    above = equivalent_gain(BUDGETS, FRONTIER, 2.0, [31.0, 31.0])
    assert (above.value, str(above)) == (2.0, "above the frontier (>2.00)")
    below = equivalent_gain(BUDGETS, FRONTIER, 2.0, [9.0, 9.0])
    assert (below.value, str(below)) == (0.5, "below the frontier (<0.50)")


@pytest.mark.parametrize("scale", [9.00117504e12, 1 / 3, 7.0, 1e-9])
def test_a_bound_reads_as_one_whatever_the_unit_of_cost(scale):
    budgets, cost = [scale * budget for budget in BUDGETS], 1.236 * scale
    below = equivalent_gain(budgets, FRONTIER, cost, [9.0, 9.0])
    above = equivalent_gain(budgets, FRONTIER, cost, [31.0, 31.0])
    assert str(below) == "below the frontier (<0.81)"
    assert str(above) == "above the frontier (>3.24)"


def test_the_baseline_need_not_spend_what_makes_it_worse():
    # From 20 on it stands at 20: 15 lies two thirds of the way to it, 22.5 a quarter on to 30.
    crooked = [[5.0] * 2, [20.0] * 2, [10.0] * 2, [30.0] * 2]
    budgets = [1, 2, 4, 8]
    assert equivalent_gain(budgets, crooked, 1.0, [15.0] * 2).value == pytest.approx(2 ** (2 / 3))
    assert equivalent_gain(budgets, crooked, 1.0, [22.5] * 2).value == pytest.approx(4 * 2**0.25)
    falling = [[10.0] * 2, [20.0] * 2, [18.0] * 2]
    gain = equivalent_gain(BUDGETS, falling, 3.0, [19.0] * 2)  # two budgets buy 20, for less
    assert gain.value == pytest.approx(2**0.9 / 3)


def test_one_of_the_baselines_budgets_gains_nothing():
    generator = np.random.default_rng(0)
    frontier = [level + generator.normal(0, 0.5, 30) for level in (10.0, 20.0, 30.0)]
    gain = equivalent_gain(BUDGETS, frontier, 2.0, frontier[1])
    assert (gain.value, gain.low, gain.high) == pytest.approx((1.0, 1.0, 1.0))  # the same seeds


def test_one_seed_tells_a_value_and_no_interval():
    gain = equivalent_gain(BUDGETS, [[10.0], [20.0], [30.0]], 2.0, [25.0])
    assert str(gain) == "1.41 [≤0.50, ≥2.00]"


TRUTH = 1.2


def made_up(generator, seeds, examples, by_seed, by_example, both):
    """Frontier and method worth `TRUTH`: arms share seeds and examples, and go their own ways, too.

    The frontier rises 10 points a doubling, so that it is linear in log cost.
    """
    levels = [10 * math.log2(cost) for cost in (*BUDGETS, 2 * TRUTH)]
    common = generator.normal(0, by_seed, (1, seeds, 1))
    common = common + generator.normal(0, by_example, (1, 1, examples))
    arms = (
        np.array(levels)[:, None, None]
        + common
        + generator.normal(0, by_seed, (4, seeds, 1))
        + generator.normal(0, by_example, (4, 1, examples))
        + generator.normal(0, both, (4, seeds, examples))
    )
    return arms[:3], arms[3]


@pytest.mark.parametrize(
    ("seeds", "examples", "parts"),
    [
        (20, 80, (0.0, 0.0, 20.0)),  # all is `both`: a two-way bootstrap is sqrt(3) wide here
        (20, 80, (1.0, 4.0, 20.0)),
        (10, 1, (1.0, 0.0, 0.0)),  # a value a run, few seeds
    ],
)
def test_the_interval_covers_the_truth_as_often_as_it_says_and_is_no_wider(seeds, examples, parts):
    """1,500 trials of a method worth 1.2 of its cost: the standard error of 95% is 0.56 points.

    And the mean width is that of 95% of the values found, but for a few seeds' heavy tails.
    """
    generator, covered, widths, values = np.random.default_rng(0), 0, [], []
    for number in range(1_500):
        frontier, method = made_up(generator, seeds, examples, *parts)
        gain = equivalent_gain(BUDGETS, frontier, 2.0, method, replicates=400, seed=number)
        covered += gain.low <= TRUTH <= gain.high
        widths.append(math.log(gain.high / gain.low))
        values.append(math.log(gain.value))
    assert 0.93 < covered / 1_500 < 0.97
    true_width = np.diff(np.quantile(values, [0.025, 0.975])).item()
    heavy = stats.t.ppf(0.975, seeds - 1) / stats.norm.ppf(0.975)
    assert 0.93 < np.mean(widths) / true_width < 1.07 * heavy


def test_unpaired_arms_are_covered_too():
    generator, covered = np.random.default_rng(1), 0
    for number in range(1_000):
        frontier = [10 * math.log2(b) + generator.normal(0, 1, 15 + b) for b in (1, 2, 4)]
        method = 10 * math.log2(2 * TRUTH) + generator.normal(0, 1, 30)
        gain = equivalent_gain(
            BUDGETS, frontier, 2.0, method, paired=False, replicates=400, seed=number
        )
        covered += gain.low <= TRUTH <= gain.high
    assert 0.93 < covered / 1_000 < 0.97  # three standard errors of 0.7 points


def test_drawn_examples_are_those_of_nets_that_agree():
    """All chance lies in the test examples, binomial for them."""
    correct = np.tile(np.arange(400) < 300, (5, 1))
    means = drawn_means([correct], replicates=4000)[0]
    assert means.mean() == pytest.approx(0.75, abs=0.002)
    assert means.std() == pytest.approx((0.75 * 0.25 / 400) ** 0.5, rel=0.06)


def test_the_same_examples_cancel_in_a_difference():
    correct = np.random.default_rng(1).random((4, 300)) < 0.8
    first, second = drawn_means([correct, correct], replicates=300)
    assert np.abs(first - second).max() < 1e-8


def test_draws_differ_as_the_paired_contrast_says():
    """The spread of a difference is the components' standard error, its tails those of t."""
    generator = np.random.default_rng(4)
    common = generator.normal(0, 2, (30, 1)) + generator.normal(0, 1, (1, 50))
    own = generator.normal(0, 0.5, (2, 30, 1)) + generator.normal(0, 1, (2, 1, 50))
    one, two = common + own + generator.normal(0, 1, (2, 30, 50))
    drawn = drawn_means([one, two], replicates=40_000, seed=5)
    found = paired(one, two)
    difference = drawn[0] - drawn[1]
    assert difference.mean() == pytest.approx(found.mean, abs=5 * found.standard_error / 200)
    assert np.quantile(difference, 0.975) - found.mean == pytest.approx(
        found.half_width(), rel=0.03
    )
    few = drawn_means([one.mean(1)[:4], two.mean(1)[:4]], replicates=40_000, seed=6)
    plain = paired(one.mean(1)[:4], two.mean(1)[:4])
    ends = np.quantile(few[0] - few[1], [0.025, 0.975])
    assert ends == pytest.approx(plain.interval(), abs=0.05 * plain.half_width())


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ([[1.0, 2.0, 3.0], [1.0, 2.0]], "equally many"),
        ([np.ones((2, 3)), np.ones((2, 4))], "same examples"),
        ([[1.0], [1.0]], "two seeds or more"),
        ([[1.0, np.nan], [1.0, 2.0]], "finite"),
    ],
)
def test_arms_that_do_not_fit_are_named(arms, message):
    with pytest.raises(ValueError, match=message):
        drawn_means(arms)


def test_budgets_must_ascend():
    with pytest.raises(ValueError, match=r"^budgets="):
        equivalent_gain([2.0, 1.0], FRONTIER[:2], 1.0, [1.0, 1.0])
