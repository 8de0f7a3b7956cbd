"""The rule on arms with a known answer, and its false alarms over simulated trials."""

import numpy as np
import pytest
from scipy import stats

from es_repro.statistics import decide, decide_all, trial

SEEDS = 20


def arms(*levels, spread=0.3, seed=0, seeds=SEEDS):
    generator = np.random.default_rng(seed)
    return [level + generator.normal(0, spread, seeds) for level in levels]


@pytest.mark.parametrize(
    ("levels", "spread", "word"),
    [
        ((81.0, 80.0, 78.0), 0.3, "better"),
        ((80.0, 80.0, 78.0), 0.3, "equivalent"),
        ((79.7, 80.0, 77.0), 0.1, "equivalent"),  # a loss is seen, and is well within 1.5
        ((78.5, 80.0, 78.0), 0.3, "worse"),
        ((80.0, 80.0, 80.0), 0.3, "insensitive"),
        ((78.0, 80.0, 80.0), 0.3, "worse"),  # `short` loses nothing, yet the loss is seen
        ((80.0, 80.0, 77.0), 4.0, "undecided"),
    ],
)
def test_known_answers(levels, spread, word):
    method, baseline, short = arms(*levels, spread=spread, seed=1)
    assert decide(trial(method, baseline, short=short)).word == word


def test_the_words_carry_their_numbers():
    method, baseline, short = arms(80.0, 80.0, 78.0)
    found = decide(trial(method, baseline, short=short))
    assert found.trial.margin == pytest.approx(1.0, abs=0.15)
    assert str(found) == f"equivalent within {found.trial.margin:.2f}"
    wide = decide(trial(*arms(80.0, 80.0, spread=4.0), margin=0.5))
    assert str(wide) == f"undecided at +-{wide.half_width:.2f}"


def test_a_loss_within_the_margin_is_equivalent_and_said():
    """By hand: differences -0.30, -0.20, -0.10, -0.20: mean -0.20, spread sqrt(0.02 / 3) = 0.0816,
    standard error 0.0408, t(3) at 97.5% = 3.182: half a width of 0.13. `short` loses 2: margin 1.
    """
    baseline = np.array([80.0, 81.0, 80.0, 81.0])
    method = baseline - [0.3, 0.2, 0.1, 0.2]
    found = decide(trial(method, baseline, short=baseline - [2.0, 1.9, 2.1, 2.0]))
    assert (found.word, found.though) == ("equivalent", "lower")
    assert str(found) == "equivalent within 1.00, though lower by 0.20 [0.07, 0.33]"
    assert found.p_differs == pytest.approx(2 * stats.t.sf(0.20 / (0.02 / 3 / 4) ** 0.5, 3))

    beyond = decide(trial(method, baseline, short=baseline - [0.3, 0.2, 0.1, 0.2]))
    assert (beyond.word, str(beyond)) == ("worse", "worse")  # it loses all that `short` loses
    unseen = decide(trial(baseline - np.array([0.3, -0.2, 0.1, -0.2]), baseline, margin=1.0))
    assert (str(unseen), unseen.though) == ("equivalent within 1.00", "")
    gained = decide(trial(baseline + np.array([0.3, 0.2, 0.1, 0.2]), baseline, margin=1.0))
    assert str(gained) == "equivalent within 1.00, though higher by 0.20 [0.07, 0.33]"
    beyond = decide(trial(baseline + np.array([0.3, 0.2, 0.1, 0.2]), baseline, margin=0.2))
    assert (beyond.word, beyond.though) == ("better", "")


def test_one_arm_under_two_names_is_no_equivalence():
    one = arms(80.0)[0]
    assert str(decide(trial(one, one.copy(), margin=0.5))) == "identical"
    assert str(decide(trial(one, one.copy(), short=one - 1.0))) == "identical"
    shifted = decide(trial(one + 0.25, one, margin=0.5))  # as steady, and yet a difference
    assert str(shifted) == "equivalent within 0.50, though higher by 0.25 [0.25, 0.25]"


def test_a_loss_that_the_correction_hides_is_not_said():
    """p = 0.016 alone, and 0.13 as one of eight: seen no more, and equivalent in both."""
    method, baseline = 80 - np.array([0.3, 0.2, 0.1, 0.2]), np.full(4, 80.0)
    one = trial(method, baseline, margin=5.0)
    assert decide(one).though == "lower"
    assert decide(one).p_differs == pytest.approx(0.0163, abs=2e-4)
    others = {f"{i}": trial(*arms(80.0, 80.0, seed=i), margin=0.01) for i in range(7)}
    together = decide_all({"one": one, **others})["one"]
    assert str(together) == "equivalent within 5.00"


def test_the_margin_is_tested_with_its_own_error():
    """Half of the loss as a contrast: the same as a TOST of method - (baseline + short) / 2."""
    method, baseline, short = arms(80.0, 80.0, 78.0)
    found = trial(method, baseline, short=short)
    middle = (baseline + short) / 2
    expected = stats.ttest_rel(method, middle, alternative="greater").pvalue
    assert found.p_not_inferior == pytest.approx(expected)


def test_decided_together_a_weak_gain_is_not_enough():
    noise = np.tile([-1.0, 1.0], SEEDS // 2)  # standard error sqrt(20 / 19) / sqrt(20) = 0.2294
    strong, weak = (80 + 1.0 + noise, [80.0] * SEEDS), (80 + 0.5 + noise, [80.0] * SEEDS)
    trials = {"strong": trial(*strong, margin=0.1), "weak": trial(*weak, margin=0.1)}
    alone = decide(trials["weak"])
    assert alone.word == "better"
    assert 0.025 < alone.p_differs < 0.05
    trials |= {f"null {i}": trial(*arms(80.0, 80.0, seed=10 + i), margin=0.1) for i in range(5)}
    together = decide_all(trials)
    assert (together["strong"].word, together["weak"].word) == ("better", "undecided")
    assert together["weak"].p_differs > alone.p_differs


def test_false_alarms_of_identical_arms_stay_within_the_level():
    """2,000 trials of two equal arms: 'better' or 'worse' in 5%, standard error 0.5 points."""
    values = np.random.default_rng(0).normal(80, 1, (2000, 3, 12))
    alarms = [decide(trial(m, b, margin=0.1)).word in ("better", "worse") for m, b, _ in values]
    assert np.mean(alarms) < 0.05 + 3 * 0.005


def test_a_method_on_the_margin_is_called_equivalent_in_one_of_twenty():
    """2,000 trials of a method that loses exactly half of what `short` loses."""
    values = np.random.default_rng(1).normal(0, 1, (2000, 3, 12))
    values += np.array([79.0, 80.0, 78.0])[:, None]
    found = [trial(m, b, short=s).p_equivalent < 0.05 for m, b, s in values]
    assert np.mean(found) < 0.05 + 3 * 0.005


def test_identical_workloads_are_called_equivalent_in_less_than_one_of_twenty():
    """Where neither method nor `short` loses anything, nothing may read as merit."""
    values = np.random.default_rng(2).normal(80, 1, (2000, 3, 12))
    words = [decide(trial(m, b, short=s)).word for m, b, s in values]
    assert np.mean([word == "equivalent" for word in words]) < 0.05
    assert np.mean([word == "insensitive" for word in words]) > 0.85


def test_one_yardstick_is_needed():
    method, baseline, short = arms(80.0, 80.0, 78.0)
    with pytest.raises(ValueError, match="one of short and margin"):
        trial(method, baseline)
    with pytest.raises(ValueError, match="one of short and margin"):
        trial(method, baseline, short=short, margin=1.0)
    with pytest.raises(ValueError, match="margin=0"):
        trial(method, baseline, margin=0)
