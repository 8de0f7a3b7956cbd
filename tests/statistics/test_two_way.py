"""Components of variance of [seeds, examples] tables."""

import numpy as np
import pytest

from es_repro.statistics import components, contrast, paired


def test_components_by_hand():
    """Rows (1, 2, 3) and (3, 6, 3): means 2 and 4, columns 2, 4, 3; rest +-(0, 1, -1)."""
    found = components([[1, 2, 3], [3, 6, 3]])
    # Mean squares: rows 3 * 2 / 1 = 6, columns 2 * 2 / 2 = 2, rest 4 / 2 = 2.
    assert found.both == pytest.approx(2.0)
    assert found.seeds == pytest.approx((6 - 2) / 3)
    assert found.examples == pytest.approx((2 - 2) / 2)
    assert found.standard_error**2 == pytest.approx((4 / 3 + 2 / 3) / 2)


def test_one_number_a_run_is_the_plain_contrast():
    generator = np.random.default_rng(0)
    one, two = generator.normal(size=(2, 12))
    plain, table = paired(one, two), paired(one[:, None], two[:, None])
    assert table.mean == pytest.approx(plain.mean)
    assert table.standard_error == pytest.approx(plain.standard_error)
    assert table.dof == pytest.approx(plain.dof)


def test_its_error_is_that_of_the_mean_over_new_seeds_and_new_examples():
    generator, means, errors = np.random.default_rng(1), [], []
    for _ in range(2_000):
        table = (
            0.5 * generator.normal(size=(15, 1))
            + generator.normal(size=(1, 40))
            + 3 * generator.normal(size=(15, 40))
        )
        found = contrast((1,), (table,))
        means.append(found.mean)
        errors.append(found.standard_error**2)
    true = 0.25 / 15 + 1 / 40 + 9 / 600
    assert np.var(means) == pytest.approx(true, rel=0.1)  # 3 standard errors of 2,000 draws
    assert np.mean(errors) == pytest.approx(true, rel=0.05)


def test_tables_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="two seeds"):
        components(np.ones((1, 4)))
    with pytest.raises(ValueError, match="must be equal where paired"):
        paired(np.ones((3, 4)), np.ones((3, 5)))
