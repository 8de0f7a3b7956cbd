"""What the plan promises of the corrected primary contrasts, and what they deliver."""

import numpy as np
import pytest
from scipy import stats

from es_repro.judge.findings import decisions_of
from es_repro.judge.pilot import Noise
from es_repro.judge.planning import LEVEL, POWER, margin_for
from es_repro.statistics import holm
from es_repro.statistics import trial as compare
from tests.judge.test_false_alarms import EXAMPLES, METHODS, SEEDS, made_up

TRIALS = 4_000  # the standard error of 80% is 0.63 points
ALPHA = 1 - LEVEL


def margin_of(contrasts, lower=1.0, upper=1.0, examples=0.0):
    """The margin that is promised for contrasts of known variances over seeds."""
    pair = tuple(Noise(np.array([variance]), examples) for variance in (lower, upper))
    return margin_for([pair] * contrasts, SEEDS)


def p_values(contrast):
    """One-sided p-values of means above 0, down the last axis [..., seeds]."""
    error = contrast.std(-1, ddof=1) / contrast.shape[-1] ** 0.5
    return stats.t.sf(contrast.mean(-1) / error, contrast.shape[-1] - 1)


def within(differences, margin):
    """TOST's p-values of paired differences [..., seeds]."""
    return np.maximum(p_values(differences + margin), p_values(margin - differences))


def decided(p):
    """Whether each claim of [trials, contrasts] holds, corrected trial by trial."""
    return np.stack([holm(row) for row in p]) < ALPHA


def test_the_quick_p_values_are_those_of_the_verdicts():
    one, two, three = np.random.default_rng(0).normal(0, 1, (3, 12))
    assert within(one - two, 0.9) == pytest.approx(compare(one, two, margin=0.9).p_equivalent)
    lower, upper = one - (two + three) / 2, (3 * two - three) / 2 - one
    expected = compare(one, two, short=three).p_equivalent
    assert max(p_values(lower), p_values(upper)) == pytest.approx(expected)


@pytest.mark.parametrize(("contrasts", "at_best"), [(1, 0.80), (4, 0.94), (16, 0.98)])
def test_equal_arms_are_found_equivalent_as_often_as_promised(contrasts, at_best):
    """Exactly so where all other contrasts hold nothing, and oftener where they hold, too."""
    generator = np.random.default_rng(contrasts)
    margin = margin_of(contrasts)
    differences = generator.normal(0, 1, (TRIALS, contrasts, SEEDS))
    beside = decided(within(differences, margin)).mean()
    differences[:, 1:] += 20.0  # far beyond the margin: they are never found equivalent
    alone = decided(within(differences, margin))[:, 0].mean()
    assert alone == pytest.approx(POWER, abs=0.02)
    assert beside == pytest.approx(at_best, abs=0.02)


@pytest.mark.parametrize("contrasts", [1, 16])
def test_a_difference_of_that_size_is_seen_as_often(contrasts):
    generator = np.random.default_rng(contrasts)
    margin = margin_of(contrasts)
    differences = generator.normal(0, 1, (TRIALS, contrasts, SEEDS))
    differences[:, 0] += margin
    one_sided = p_values(differences)
    seen = decided(2 * np.minimum(one_sided, 1 - one_sided))[:, 0].mean()
    assert seen > POWER - 0.02


@pytest.mark.parametrize("contrasts", [1, 16])
def test_the_promise_holds_where_the_margin_is_measured(contrasts):
    """Method and baseline are equal, `short` loses two margins; nothing else is found."""
    generator = np.random.default_rng(contrasts)
    margin = margin_of(contrasts, 1.5, 3.5)
    method, baseline, short = generator.normal(0, 1, (3, TRIALS, SEEDS))
    short -= 2 * margin
    lower, upper = method - (baseline + short) / 2, (3 * baseline - short) / 2 - method
    p = np.ones((TRIALS, contrasts))
    p[:, 0] = np.maximum(p_values(lower), p_values(upper))
    assert decided(p)[:, 0].mean() == pytest.approx(POWER, abs=0.02)


@pytest.mark.slow
def test_a_trials_own_verdicts_keep_the_promise_within_5_points():
    """Through tables of seeds and examples, Holm and the words, as a card decides them.

    The plan is given the true spread: what a pilot makes of it, `test_calibrated_plans` sees. Each
    method equals the baseline and `short` loses two margins, so that half of the contrasts cannot
    be found equivalent. 800 decisions, in pairs that share the baseline: a standard error of at
    most 2 points.
    """
    runs, examples = 1.0**2 + 6.0**2 / EXAMPLES, 2 * 1.0 / EXAMPLES
    margin = margin_of(2 * len(METHODS), 1.5 * runs, 3.5 * runs, examples)
    generator, words = np.random.default_rng(2), []
    for _ in range(400):
        decisions, primary = decisions_of(made_up(generator, margin, short_loss=2 * margin))
        assert len(primary) == 2 * len(METHODS)
        words += [decisions[method, "baseline"].word for method in METHODS]
    assert words.count("equivalent") / len(words) == pytest.approx(POWER, abs=0.05)
