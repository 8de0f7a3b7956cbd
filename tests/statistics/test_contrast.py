import numpy as np
import pytest
from scipy import stats

from es_repro.statistics import contrast, holm, paired, welch

FIRST, SECOND = [3.0, 5.0, 4.0, 8.0], [1.0, 4.0, 4.0, 5.0]  # differences 2, 1, 0, 3


def test_the_paired_interval_by_hand():
    found = paired(FIRST, SECOND)
    assert (found.mean, found.dof) == (1.5, 3)
    assert found.standard_error == pytest.approx((5 / 3) ** 0.5 / 2)  # variance (2.25+.25)*2/3
    low, high = found.interval()
    assert (low, high) == pytest.approx(
        (1.5 - 3.182446 * 0.645497, 1.5 + 3.182446 * 0.645497), abs=1e-5
    )
    assert found.half_width() == pytest.approx((high - low) / 2)


@pytest.mark.parametrize(
    ("ours", "scipys"),
    [
        (paired(FIRST, SECOND), stats.ttest_rel(FIRST, SECOND)),
        (welch(FIRST, [*SECOND, 2.0]), stats.ttest_ind(FIRST, [*SECOND, 2.0], equal_var=False)),
    ],
)
def test_p_values_and_intervals_are_scipys(ours, scipys):
    assert ours.p_differs() == pytest.approx(scipys.pvalue)
    assert ours.dof == pytest.approx(scipys.df)
    assert ours.interval(0.9) == pytest.approx(tuple(scipys.confidence_interval(0.9)))


def test_two_one_sided_tests_agree_with_the_narrower_interval():
    found = paired(FIRST, SECOND)
    low, high = found.interval(0.9)
    assert found.p_within(high + 1e-9) < 0.05 < found.p_within(high - 1e-9)
    assert found.p_above(low) == pytest.approx(0.05)
    assert found.p_below(high) == pytest.approx(0.05)


def test_a_contrast_weighs_the_arms_and_keeps_their_correlation():
    shared = np.array([0.0, 10.0, 20.0])
    arms = (shared + 3, shared + 1, shared - 1)
    found = contrast((1, -0.5, -0.5), arms)
    assert (found.mean, found.standard_error) == (3.0, 0.0)
    apart = contrast((1, -0.5, -0.5), arms, paired=False)
    assert apart.standard_error == pytest.approx((1.5 * 100 / 3) ** 0.5)  # variance 100 an arm
    # Satterthwaite: (w^4-weighted): (1.5)^2 / ((1 + 1/16 + 1/16) / 2) = 4
    assert apart.dof == pytest.approx(4.0)


def test_values_without_spread_are_as_sure_as_their_signs():
    same = paired(FIRST, FIRST)
    assert same.interval() == (0.0, 0.0)
    assert same.p_differs() == 1.0
    assert same.p_within(0.1) == 0.5 ** len(FIRST)
    # Two seeds that gain one image of 400 each, whatever the rounding: no certainty.
    few = paired([70.25, 69.5], [70.0, 69.25])
    assert few.p_differs() == 0.5
    many = paired([1.1 + 0.3 * i for i in range(12)], [1.0 + 0.3 * i for i in range(12)])
    assert many.p_differs() == pytest.approx(2 * 0.5**12)


@pytest.mark.parametrize(
    "bad", [([1.0], [2.0]), ([1.0, np.nan], [1.0, 2.0]), ([1.0] * 3, [1.0] * 2)]
)
def test_bad_samples_are_named(bad):
    with pytest.raises(ValueError, match=r"^samples"):
        paired(*bad)


def test_holm_by_hand_and_in_the_given_order():
    # sorted .01 .02 .03 .04: 4 * .01, 3 * .02, then max(.06, 2 * .03), max(.06, .04)
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0
    with pytest.raises(ValueError, match=r"^p_values=\[1.5\]"):
        holm([1.5])
