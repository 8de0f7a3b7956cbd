import numpy as np
import pytest
from scipy import stats

from es_repro.statistics import (
    Design,
    detectable,
    power,
    resolution,
    seeds_for_power,
    seeds_for_resolution,
)


def test_resolution_by_hand():
    assert resolution(Design(1.0, 4)) == pytest.approx(3.182446 / 2)
    assert resolution(Design(1.0, 4, paired=False)) == pytest.approx(2.446912 / 2**0.5)
    assert resolution(Design(1.0, 200)) == pytest.approx(0.139437, abs=1e-5)


def test_the_number_of_seeds_is_the_smallest_that_suffices():
    n = seeds_for_resolution(1.0, 0.2)
    assert resolution(Design(1.0, n)) <= 0.2 < resolution(Design(1.0, n - 1))
    assert n == 99  # t = 1.9845: (1.9845 / 0.2) ** 2 = 98.5
    planned = seeds_for_power(1.0, "non-inferior", margin=0.5)
    assert power(Design(1.0, planned), "non-inferior", margin=0.5) >= 0.8
    assert power(Design(1.0, planned - 1), "non-inferior", margin=0.5) < 0.8
    with pytest.raises(ValueError, match="no number of seeds"):
        seeds_for_power(1.0, "equivalent", effect=1.0, margin=0.5)


@pytest.mark.parametrize("paired", [True, False])
def test_power_is_the_noncentral_ts(paired):
    design = Design(1.0, 12, paired)
    reference = stats.nct(design.dof, 0.8 / design.standard_error)
    critical = stats.t.ppf(0.975, design.dof)
    expected = reference.sf(critical) + reference.cdf(-critical)
    assert power(design, "differs", effect=0.8) == pytest.approx(expected, abs=1e-3)
    one_sided = stats.nct(design.dof, 0.5 / design.standard_error).sf(stats.t.ppf(0.95, design.dof))
    assert power(design, "non-inferior", effect=0.2, margin=0.3) == pytest.approx(
        one_sided, abs=1e-3
    )


def test_power_of_equivalence_is_what_simulation_finds():
    design, trials = Design(1.0, 10), 40_000
    values = np.random.default_rng(0).normal(0.1, 1.0, (trials, design.seeds))
    reach = stats.t.ppf(0.95, 9) * values.std(1, ddof=1) / design.seeds**0.5
    found = (np.abs(values.mean(1)) + reach < 0.8).mean()
    # 40,000 trials: five standard errors are 0.0125
    assert power(design, "equivalent", effect=0.1, margin=0.8) == pytest.approx(found, abs=0.0125)


def test_a_detectable_difference_has_the_wanted_power():
    design = Design(0.4, 12)
    assert power(design, "differs", effect=detectable(design)) == pytest.approx(0.8, abs=1e-3)


def test_no_spread_decides_everything():
    assert power(Design(0.0, 2), "differs", effect=0.1) == 1.0
    assert power(Design(0.0, 2), "equivalent", effect=0.2, margin=0.1) == 0.0
    assert detectable(Design(0.0, 2)) < 1e-12


def test_one_seed_is_no_design():
    with pytest.raises(ValueError, match="two seeds or more"):
        Design(1.0, 1)
