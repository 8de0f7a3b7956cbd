import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ucb_visits

from es_repro.selection import create


def visited(losses, **options):
    selector, trace = create("ucb", 1, 20, **options), []
    for loss in losses:
        selector.observe(torch.tensor([0]), torch.tensor([loss]))
        trace.append((selector.mean.item(), selector.variance.item()))
    return trace


def bounded(bounds, **options):
    """A selector whose samples have these means and no variance."""
    selector = create("ucb", len(bounds), 20, **options)
    selector.observe(torch.arange(len(bounds)), torch.tensor(bounds))
    return selector


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(2, 0), (1.2, 0.8), (1.44, 0.232)]),
        ({"first_variance": "square"}, [(2, 3.2), (1.2, 1.44), (1.44, 0.36)]),
    ],
)
def test_moments_by_hand(options, expected):
    for found, wanted in zip(visited([2.0, 1.0, 1.5], **options), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


def test_the_weight_may_lie_on_the_old_value():
    assert visited([2.0, 1.0, 1.5], ema_weight_on="old")[-1] == pytest.approx(
        (1.74, 0.178), rel=1e-5
    )


@given(losses=st.lists(st.floats(0, 20, width=32), min_size=1, max_size=8), square=st.booleans())
@settings(deadline=None, max_examples=50)
def test_moments_agree_with_the_reference(losses, square):
    found = visited(losses, first_variance="square" if square else "zero")
    for pair, wanted in zip(found, ucb_visits(losses, 0.8, square), strict=True):
        assert pair == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_the_highest_bounds_are_kept_ties_by_id():
    selector = bounded((5.0, 1.0, 3.0, 3.0), prune_ratio=0.5)
    assert selector.plan_epoch(1).indices.tolist() == [0, 2]


@pytest.mark.parametrize(("confidence", "kept"), [(0, [1]), (1, [0])])
def test_confidence_weighs_the_variance(confidence, kept):
    selector = create("ucb", 2, 20, prune_ratio=0.5, confidence=confidence)
    selector.mean.copy_(torch.tensor([1.0, 1.5]))
    selector.variance.copy_(torch.tensor([1.0, 0.0]))
    assert selector.plan_epoch(1).indices.tolist() == kept


def test_the_first_epoch_is_full_and_unseen_samples_are_kept():
    selector = create("ucb", 10, 20)
    assert len(selector.plan_epoch(0).indices) == 10
    selector.observe(torch.arange(5), torch.full((5,), 9.0))
    assert selector.plan_epoch(1).indices.tolist() == [0, 1, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("epochs", "period", "selections"),
    [
        (200, "auto", [1, 11, 21, 31]),
        (60, "auto", [1, 4, 7, 10]),
        (10, "auto", [1, 2, 3, 4]),
        (200, 5, [1, 6, 11, 16]),
    ],
)
def test_the_set_is_held_between_selections(epochs, period, selections):
    generator = torch.Generator().manual_seed(0)
    selector, changes, before = create("ucb", 100, epochs, period=period), [], None
    for epoch in range(selections[-1] + 1):
        ids = selector.plan_epoch(epoch).indices.tolist()
        if epoch and ids != before:
            changes.append(epoch)
        before = ids
        selector.observe(torch.arange(100), torch.rand(100, generator=generator))
    assert changes == selections


def test_pruned_samples_keep_their_moments_and_come_back():
    selector = bounded((5.0, 1.0, 3.0, 4.0), prune_ratio=0.5, period=1, confidence=0)
    ids = selector.plan_epoch(1).indices
    assert ids.tolist() == [0, 3]
    selector.observe(ids, torch.zeros(2))
    selector.observe(ids, torch.zeros(2))
    assert selector.mean[1].item() == 1.0
    assert 2 in selector.plan_epoch(2).indices.tolist()


def test_the_count_bonus_prefers_what_was_seldom_met():
    selector = create("ucb", 2, 20, prune_ratio=0.5, bonus="count", period=1)
    for _ in range(3):
        selector.observe(torch.tensor([0]), torch.tensor([1.1]))
    selector.observe(torch.tensor([1]), torch.tensor([1.0]))
    assert selector.plan_epoch(1).indices.tolist() == [0]  # ln 1 = 0: no bonus yet
    # 1.1 + sqrt(ln 3 / 3) = 1.705 against 1 + sqrt(ln 3) = 2.048
    assert selector.plan_epoch(3).indices.tolist() == [1]
    assert math.sqrt(math.log(3)) + 1 > 1.1 + math.sqrt(math.log(3) / 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period": 0}, r"^period=0: must be 'auto' or an integer >= 1$"),
        ({"period": "often"}, r"^period='often': must be 'auto' or an integer >= 1$"),
        ({"beta": 0}, r"^beta=0: must be in \(0, 1\]$"),
        ({"confidence": -1}, r"^confidence=-1: must be in \[0, inf\)$"),
        ({"prune_ratio": 1}, r"^prune_ratio=1: must be in \[0, 1\)$"),
        ({"bonus": "luck"}, r"^bonus='luck': must be 'variance' or 'count'$"),
    ],
)
def test_bad_values_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        create("ucb", 10, 20, **options)
