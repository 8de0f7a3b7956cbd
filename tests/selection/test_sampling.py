"""The weighted draw against enumeration, with false-alarm rates; sizes; the k smallest."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import inclusion, sequential_sets

from es_repro.selection import sampling
from es_repro.selection.sampling import count, draw, draw_ids, smallest
from es_repro.selection.streams import stream

CHI_SQUARE_5_DOF = 38.5  # exceeded with probability 3e-7


@pytest.mark.parametrize(
    ("ratio", "m", "expected"),
    [
        (0.25, 50, 13),  # half up of 12.5
        (0.25, 100, 25),
        (0.25, 1, 1),
        (1 - 0.9, 10, 1),  # 0.9999999999999998: truncation would give 0
        (0.01, 10, 1),
        (1.0, 7, 7),
        (0.8, 1000, 800),
    ],
)
def test_count_rounds_half_up_and_keeps_one(ratio, m, expected):
    assert count(ratio, m) == expected


def sampled_sets(law, draws):
    """Draw again and again by a law and count the sets."""
    return Counter(tuple(law()) for _ in range(draws))


def rejections(sets, weights, k):
    """What in counted sets contradicts the sequential law: the items' shares, the sets' shares.

    Items: five sigma, false alarm below 6e-7 each. Sets of 2 of 4: chi-square, 3e-7.
    """
    draws, found = sum(sets.values()), set()
    for item, share in enumerate(inclusion(weights, k)):
        hits = sum(times for chosen, times in sets.items() if item in chosen)
        if abs(hits / draws - share) > 5 * math.sqrt(share * (1 - share) / draws):
            found.add("items")
    law = sequential_sets(weights, k)
    square = sum((sets[c] - draws * p) ** 2 / (draws * p) for c, p in law.items())
    return found | ({"sets"} if square > CHI_SQUARE_5_DOF else set())


def test_the_references_agree_with_the_worked_numbers():
    assert inclusion((1, 2, 3, 4), 2) == pytest.approx(
        [0.234524, 0.441270, 0.608333, 0.715873], abs=1e-6
    )
    pairs = sequential_sets((1, 2, 3, 4), 2)
    expected = [0.047222, 0.076190, 0.111111, 0.160714, 0.233333, 0.371429]
    assert [pairs[c] for c in sorted(pairs)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("drawing", "draws"), [(draw, 200_000), (draw_ids, 40_000)])
def test_draw_has_the_sequential_law(drawing, draws):
    weights, generator = torch.tensor([1.0, 2, 3, 4]), stream(0, "select", 0)
    sets = sampled_sets(lambda: drawing(weights, 2, generator).tolist(), draws)
    assert not rejections(sets, (1, 2, 3, 4), 2)


def test_the_test_of_the_law_rejects_other_laws():
    weights, generator = torch.tensor([1.0, 2, 3, 4]), stream(1, "select", 0)
    inclusive = torch.tensor([0.2, 0.4, 0.6, 0.8])  # b * p: systematic sampling has these

    def with_replacement():
        return sorted(set(weights.multinomial(2, replacement=True, generator=generator).tolist()))

    def proportional():
        points = torch.rand(1, generator=generator) + torch.arange(2)
        return torch.searchsorted(inclusive.cumsum(0), points).clamp(max=3).tolist()

    for law in (with_replacement, proportional):
        assert rejections(sampled_sets(law, 10_000), (1, 2, 3, 4), 2) == {"items", "sets"}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((0.0, 1.0, 1.0, 2.0), (0, 0.583333, 0.583333, 0.833333)),
        ((0.0, 0.0, 0.0, 0.0), (0.5, 0.5, 0.5, 0.5)),
        ((-3.0, 1.0, 1.0, 2.0), (0, 0.583333, 0.583333, 0.833333)),
        ((math.nan, 1.0, 1.0, 2.0), (0, 0.583333, 0.583333, 0.833333)),
    ],
)
def test_zero_negative_and_nan_weights(weights, expected):
    generator, draws = stream(2, "select", 0), 10_000
    pool = torch.tensor(weights)
    hits = sum(draw(pool, 2, generator).bincount(minlength=4) for _ in range(draws))
    for share, wanted in zip((hits / draws).tolist(), expected, strict=True):
        # Five sigma: false alarm below 6e-7 an item.
        assert abs(share - wanted) <= 5 * math.sqrt(wanted * (1 - wanted) / draws) + 1e-6


def test_what_is_drawn_last_can_be_drawn():
    pool = torch.tensor([math.nan, 0.0, -1.0, 5.0])
    for _ in range(20):
        assert draw(pool, 3, stream(_, "select", 0)).tolist() == [1, 2, 3]
    assert draw(pool, 4, stream(0, "select", 0)).tolist() == [0, 1, 2, 3]
    assert len(draw(torch.full((4,), math.nan), 2, stream(0, "select", 0))) == 2


def test_the_first_drawn_alone_is_proportional():
    generator, draws = stream(3, "select", 0), 20_000
    hits = sum(
        draw(torch.tensor([1.0, 2, 3, 4]), 1, generator).bincount(minlength=4) for _ in range(draws)
    )
    for i, share in enumerate((hits / draws).tolist()):
        p = (i + 1) / 10
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / draws)  # false alarm < 6e-7 each


def test_large_batches_follow_the_exponential_approximation():
    """pi_i = 1 - exp(-w_i T), T solving sum pi = k: within 0.005 on average over deciles."""
    generator = stream(4, "select", 0)
    weights = torch.randn(128, generator=generator).exp()
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        kept = (1 - (-weights.double() * middle).exp()).sum()
        low, high = (middle, high) if kept < 32 else (low, middle)
    expected = 1 - (-weights.double() * low).exp()
    draws = 8_000
    hits = sum(draw(weights, 32, generator).bincount(minlength=128) for _ in range(draws))
    deciles = weights.argsort().tensor_split(10)
    for decile in deciles:
        difference = (hits[decile] / draws - expected[decile]).mean().abs()
        # 0.005 of the approximation, and five sigma of a mean of 12 shares at 8,000 draws: 0.0081.
        assert difference < 0.005 + 0.0081


@given(
    weights=st.lists(
        st.one_of(st.floats(0, 1e30), st.just(0.0), st.just(math.nan), st.floats(-5, 5)),
        min_size=1,
        max_size=64,
    ),
    data=st.data(),
)
@settings(deadline=None, max_examples=200)
def test_positions_are_distinct_ascending_and_in_range(weights, data):
    m = len(weights)
    k = data.draw(st.integers(1, m))
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        positions = draw(torch.tensor(weights, dtype=dtype), k, stream(k, "select", m))
        assert positions.dtype == torch.int64
        assert positions.tolist() == sorted(set(positions.tolist()))
        assert len(positions) == k
        assert 0 <= positions[0] <= positions[-1] < m


@given(values=st.lists(st.integers(0, 4), min_size=1, max_size=40), data=st.data())
@settings(deadline=None)
def test_smallest_is_the_head_of_a_stable_sort(values, data):
    k = data.draw(st.integers(0, len(values)))
    expected = sorted(sorted(range(len(values)), key=lambda i: (values[i], i))[:k])
    assert smallest(torch.tensor(values).float(), k).tolist() == expected


def test_smallest_takes_infinities_and_stays_fast_on_descending_values():
    values = torch.tensor([math.inf, 1.0, -math.inf, math.inf])
    assert smallest(values, 3).tolist() == [0, 1, 2]
    descending = -torch.arange(1_000_000.0)
    assert smallest(descending, 300_000)[0] == 700_000  # kthvalue needs minutes here


@pytest.mark.parametrize(
    "values",
    [
        torch.rand(300_001, generator=stream(6, "select", 0)),
        torch.randint(-50, 50, (300_000,), generator=stream(7, "select", 0)).float(),  # ties
        torch.arange(300_000.0).flip(0),
        torch.cat([torch.full((299_999,), torch.inf), torch.zeros(1)]),
        torch.ones(300_000),
    ],
)
def test_smallest_of_many_is_still_the_head_of_a_stable_sort(values):
    order = values.sort(stable=True).indices
    for k in (1, 2, 30_000, 150_000, len(values) - 1, len(values)):
        assert torch.equal(smallest(values, k), order[:k].sort().values)


def test_where_the_sample_misleads_all_values_are_looked_at(monkeypatch):
    monkeypatch.setattr(sampling, "SIGMAS", -6)  # a bracket that cannot hold the k-th
    values = torch.rand(300_000, generator=stream(8, "select", 0))
    assert torch.equal(smallest(values, 77_777), values.argsort(stable=True)[:77_777].sort().values)


@pytest.mark.parametrize(
    "weights", [torch.linspace(0, 9, 100_000), torch.tensor([0.0, torch.nan, 2.0] * 9)]
)
def test_a_plan_draws_as_a_batch_would(weights):
    k = len(weights) // 3
    drawn = draw(weights, k, stream(9, "plan", 0))
    assert torch.equal(draw_ids(weights, k, stream(9, "plan", 0)), drawn)


@pytest.mark.parametrize("k", [0, 5])
def test_a_draw_of_none_or_too_many_is_refused(k):
    with pytest.raises(ValueError, match=rf"^k={k}: must be in 1\.\.4, the number of weights$"):
        draw(torch.ones(4), k, stream(0, "select", 0))


def test_more_ids_than_multinomial_takes():
    n = 2**24 + 1
    ids = draw_ids(torch.ones(n), n // 2, stream(0, "plan", 0))
    assert len(ids) == n // 2
    assert bool((ids.diff() > 0).all())
    # A uniform half: its mean id is n/2 with a sigma of n / sqrt(12 * n); five of them.
    assert abs(ids.double().mean().item() / n - 0.5) < 5 / math.sqrt(12 * n)


def test_subnormal_weights_still_follow_the_floor():
    """1e-12 is the floor: weights below it are equals."""
    generator, draws = stream(5, "select", 0), 4_000
    pool = torch.tensor([1e-30, 1e-13, 0.0, 1e-12])
    hits = sum(draw(pool, 1, generator).bincount(minlength=4) for _ in range(draws))
    assert ((hits / draws - 0.25).abs() < 5 * math.sqrt(0.25 * 0.75 / draws)).all()
