import math

import pytest
import torch

from es_repro.selection import PlannedBatchSampler, create


def test_set_level_redraws_every_epoch():
    selector = create("random", 1000, 20, prune_ratio=0.3)
    plans = [set(selector.plan_epoch(epoch).indices.tolist()) for epoch in range(20)]
    assert [len(plan) for plan in plans] == [1000, *[700] * 18, 1000]
    assert plans[3] != plans[4]
    assert selector.level == "set"


def test_the_default_is_a_fifth_left_out():
    assert len(create("random", 10, 20).plan_epoch(5).indices) == 8


def test_every_id_is_as_likely():
    plans, hits = 2_000, torch.zeros(10)
    for seed in range(plans):
        hits += create("random", 10, 20, seed=seed).plan_epoch(5).indices.bincount(minlength=10)
    # Five sigma: false alarm below 6e-7 an id.
    assert ((hits / plans - 0.8).abs() < 5 * math.sqrt(0.16 / plans)).all()


def test_batch_level_plans_the_share_and_cuts_small_batches():
    selector = create("random", 1000, 20, batch_ratio=0.25)
    sampler = PlannedBatchSampler(selector, 100)
    sampler.set_epoch(5)
    assert selector.plan_epoch(5).batch_ratio == 0.25
    assert [len(batch) for batch in sampler] == [25] * 10
    assert not selector.selects_batches
    assert selector.level == "batch"
    sampler.set_epoch(0)  # annealed: full batches of everything
    assert [len(batch) for batch in sampler] == [100] * 10


@pytest.mark.parametrize("ratio", [0.5, 0.8, 0.75])
def test_a_cycle_deals_every_id_once_before_any_twice(ratio):
    selector = create("random", 100, 41, prune_ratio=ratio, redraw="cycle", seed=1)
    hand = round(100 * (1 - ratio))
    per_cycle = 100 // hand
    first = selector.selecting_epochs.start
    cycles = []
    for cycle in range(3):
        dealt = []
        for epoch in range(first + cycle * per_cycle, first + (cycle + 1) * per_cycle):
            dealt += selector.plan_epoch(epoch).indices.tolist()
        assert len(dealt) == len(set(dealt)) == per_cycle * hand
        cycles.append(dealt)
    assert cycles[0] != cycles[1]


def test_the_two_ratios_exclude_each_other():
    with pytest.raises(ValueError, match=r"^\(prune_ratio, batch_ratio\)=.*one of them alone$"):
        create("random", 10, 20, prune_ratio=0.2, batch_ratio=0.25)
