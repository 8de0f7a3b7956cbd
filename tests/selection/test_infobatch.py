import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import infobatch_low

from es_repro.selection import create

WHOLE = (0.125, 0.25, 0.375, 0.25, 2.0, 3.0, 4.0, 6.0)  # mean exactly 2
ODD = (0.1, 0.2, 0.3, 0.4, 1.0, 2.0, 3.0, 5.0)  # mean 1.5, five below it


def planned(losses, epoch=1, num_epochs=10, **options):
    selector = create("infobatch", len(losses), num_epochs, **options)
    selector.observe(torch.arange(len(losses)), torch.tensor(losses))
    return selector, selector.plan_epoch(epoch).indices


def expected_sum(losses, plans=2_000, **options):
    """Mean over plans of sum of v * l, by way of `reduce`."""
    total = 0.0
    for seed in range(plans):
        selector, ids = planned(losses, seed=seed, **options)
        total += selector.reduce(ids, torch.tensor(losses)[ids]).item() * len(ids)
    return total / plans


def test_low_samples_are_halved_and_counted_twice():
    selector, ids = planned(WHOLE)
    assert len(ids) == 6
    assert ids[-4:].tolist() == [4, 5, 6, 7]  # the 2 is its mean, hence not below it
    weights = [selector.reduce(ids[i : i + 1], torch.ones(1)).item() for i in range(6)]
    assert weights == [2, 2, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("losses", "options", "wanted"),
    [
        (WHOLE, {}, 16.0),
        (ODD, {}, 10 + 2 * (2 / 5) * 2.0),
        (ODD, {"exact_rescale": True}, 12.0),
    ],
)
def test_the_expected_sum(losses, options, wanted):
    # Sigma of one plan's sum is below 0.7 in all three; five sigma of 2,000: 0.08.
    assert expected_sum(losses, **options) == pytest.approx(wanted, abs=0.08)


def test_reduce_divides_by_the_count():
    selector, ids = planned(WHOLE)
    index = torch.stack([ids[0], ids[-1]])  # v = 2, 1
    losses = torch.tensor([1.0, 4.0], requires_grad=True)
    objective = selector.reduce(index, losses)
    assert objective.item() == 3.0
    objective.backward()
    assert losses.grad.tolist() == [1.0, 0.5]


def test_the_first_epoch_is_full_whatever_the_table_holds():
    selector = create("infobatch", 8, 10)
    assert len(selector.plan_epoch(0).indices) == 8
    _, ids = planned([0.1] * 8, epoch=0)
    assert len(ids) == 8


@pytest.mark.parametrize(("epochs", "pruning"), [(200, 175), (10, 8), (90, 78), (300, 262), (1, 0)])
def test_the_last_epochs_are_full_and_unweighted(epochs, pruning):
    for epoch in range(max(0, pruning - 1), epochs):
        selector, ids = planned(WHOLE, epoch=epoch, num_epochs=epochs)
        assert len(ids) == (6 if epoch < pruning else 8)
        if epoch >= pruning:
            assert selector.reduce(ids, torch.ones(8)).item() == 1.0


def test_weights_return_to_one_after_pruning():
    selector, _ = planned(WHOLE, epoch=7)
    selector.plan_epoch(8)
    assert selector.reduce(torch.arange(8), torch.ones(8)).item() == 1.0


@given(losses=st.lists(st.one_of(st.none(), st.floats(0, 50, width=32)), min_size=2, max_size=40))
@settings(deadline=None)
def test_only_low_samples_are_left_out(losses):
    index = torch.tensor([i for i, loss in enumerate(losses) if loss is not None], dtype=torch.long)
    if not len(index):
        return
    selector = create("infobatch", len(losses), 10, prune_ratio=0.3)
    selector.observe(index, torch.tensor([losses[i] for i in index]))
    low = infobatch_low(losses)
    ids = set(selector.plan_epoch(2).indices.tolist())
    assert len(ids) == len(losses) - len(low) + math.floor(0.7 * len(low) + 1e-9)
    assert set(range(len(losses))) - ids <= set(low)


@pytest.mark.parametrize("n", [3, 7, 1000, 999_999])
def test_equal_losses_are_never_below_their_own_mean(n):
    selector = create("infobatch", n, 10)
    selector.last_losses.fill_(0.1)
    assert len(selector.plan_epoch(3).indices) == n


def test_pruned_samples_keep_their_stale_loss():
    selector, ids = planned(WHOLE)
    pruned = sorted(set(range(8)) - set(ids.tolist()))
    selector.observe(ids, torch.zeros(len(ids)))
    assert selector.last_losses[pruned].tolist() == [WHOLE[i] for i in pruned]


def test_kept_low_samples_are_uniform():
    plans, hits = 2_000, torch.zeros(8)
    for seed in range(plans):
        hits += planned(WHOLE, seed=seed)[1].bincount(minlength=8)
    # Five sigma of 2,000 fair coins: false alarm below 6e-7 an id.
    assert ((hits[:4] / plans - 0.5).abs() < 5 * 0.5 / math.sqrt(plans)).all()
