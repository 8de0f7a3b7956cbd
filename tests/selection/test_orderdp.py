import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from es_repro.selection import create


def with_losses(losses, **options):
    selector = create("orderdp", len(losses), 20, **options)
    known = [i for i, loss in enumerate(losses) if loss is not None]
    values = torch.tensor([losses[i] for i in known])
    selector.observe(torch.tensor(known, dtype=torch.int64), values)
    return selector


def test_the_highest_of_all_when_all_are_drawn():
    losses = [0.5, 3.0, 1.0, 2.0, 0.1, 2.0, 0.2, 0.3, 0.4, 0.6]
    selector = with_losses(losses, draw_ratio=1.0, keep_ratio=0.3)
    assert selector.plan_epoch(1).indices.tolist() == [1, 3, 5]


def test_what_was_never_seen_goes_first():
    losses = [0.5, None, 9.0, 8.0, None]
    selector = with_losses(losses, draw_ratio=1.0, keep_ratio=0.6)
    assert selector.plan_epoch(1).indices.tolist() == [1, 2, 4]


def test_the_unseen_are_not_taken_by_their_place_in_the_file():
    plans = [create("orderdp", 1000, 20, seed=seed).plan_epoch(0).indices for seed in range(20)]
    assert {len(plan) for plan in plans} == {600}
    # The mean of 600 uniform ids of 0..999: 499.5 with a standard deviation of 7.5; 20 plans: 1.7.
    assert abs(torch.stack(plans).double().mean() - 499.5) < 6 * 1.7


@given(n=st.integers(1, 60), data=st.data())
@settings(deadline=None, max_examples=60)
def test_sizes_and_ranks_for_any_table(n, data):
    losses = data.draw(st.lists(st.floats(0, 9, width=32), min_size=n, max_size=n))
    draw_ratio, keep_ratio = (data.draw(st.floats(0.05, 1.0)) for _ in range(2))
    selector = with_losses(losses, draw_ratio=draw_ratio, keep_ratio=keep_ratio)
    plan = selector.plan_epoch(3).indices.tolist()

    drawn = max(1, math.floor(draw_ratio * n + 1e-9))
    assert len(plan) == max(1, math.floor(keep_ratio * drawn + 1e-9))
    assert plan == sorted(set(plan))
    # At least drawn - kept samples lie no higher than the lowest that was kept: the dropped ones.
    lowest = min(selector.last_losses[plan].tolist())
    others = [loss for i, loss in enumerate(selector.last_losses.tolist()) if i not in plan]
    assert sum(loss <= lowest for loss in others) >= drawn - len(plan)


def test_candidates_are_drawn_anew_each_epoch():
    selector = with_losses([float(i) for i in range(100)], draw_ratio=0.5, keep_ratio=1.0)
    hits = torch.zeros(100)
    for epoch in range(20):
        hits[selector.plan_epoch(epoch).indices] += 1
    assert hits.sum() == 20 * 50
    assert hits.min() > 0  # left out twenty times: 100 * 0.5 ** 20 = 1e-4
    assert hits.max() < 20


def test_only_training_refreshes_a_loss():
    selector = with_losses([1.0, 2.0, 3.0, 4.0])
    selector.observe(torch.tensor([2]), torch.tensor([0.5]))
    selector.plan_epoch(1)
    assert selector.last_losses.tolist() == [1.0, 2.0, 0.5, 4.0]


def test_cost_and_table_1():
    cls = type(create("orderdp", 10, 5))
    assert cls.expected_cost(10).factor == pytest.approx(0.6)
    assert cls.bp_fraction() == pytest.approx(0.6)


@pytest.mark.parametrize("name", ["draw_ratio", "keep_ratio"])
@pytest.mark.parametrize("value", [0, 1.2, "half"])
def test_a_bad_ratio_is_named(name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r}: must be"):
        create("orderdp", 10, 5, **{name: value})
