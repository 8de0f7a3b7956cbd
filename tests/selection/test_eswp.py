"""ESWP: the plan's draw, stale weights, unseen samples, ES inside."""

import math

import pytest
import torch
from reference import inclusion

from es_repro.selection import create

WEIGHTS = (0.4965, 0.4595, 0.8985, 3.2405)  # methods.md 7.1, third visit, betas (0.2, 0.9)


def seen(weights, **options):
    selector = create("eswp", len(weights), 20, **options)
    selector.observe(torch.arange(len(weights)), torch.ones(len(weights)))
    selector.weights.copy_(torch.tensor(weights))
    return selector


def test_the_plan_follows_the_weights():
    plans, hits = 3_000, torch.zeros(4)
    for seed in range(plans):
        plan = seen(WEIGHTS, prune_ratio=0.5, seed=seed).plan_epoch(5)
        hits += plan.indices.bincount(minlength=4)
    for share, wanted in zip((hits / plans).tolist(), inclusion(WEIGHTS, 2), strict=True):
        # Five sigma: false alarm below 6e-7 an id.
        assert abs(share - wanted) < 5 * math.sqrt(wanted * (1 - wanted) / plans)


def test_pruned_samples_keep_their_scores_and_weights():
    selector = seen(WEIGHTS, prune_ratio=0.5)
    plan = selector.plan_epoch(5)
    before = selector.scores.clone(), selector.weights.clone()
    selector.select(plan.indices, torch.full((2,), 7.0))
    pruned = [i for i in range(4) if i not in plan.indices.tolist()]
    assert len(pruned) == 2
    assert selector.scores[pruned].equal(before[0][pruned])
    assert selector.weights[pruned].equal(before[1][pruned])
    assert (selector.weights[plan.indices] > 5).all()


@pytest.mark.parametrize(("ratio", "n", "kept"), [(0.2, 1000, 800), (0.9, 10, 1), (0.99, 10, 1)])
def test_kept_ids_round_half_up(ratio, n, kept):
    plan = create("eswp", n, 20, prune_ratio=ratio).plan_epoch(3)
    assert len(plan.indices) == kept


def test_annealed_epochs_are_full():
    selector = create("eswp", 10, 20)
    sizes = [len(selector.plan_epoch(epoch).indices) for epoch in range(20)]
    assert sizes == [10, *[8] * 18, 10]


def test_without_pruning_it_is_es():
    generator = torch.Generator().manual_seed(0)
    eswp = create("eswp", 32, 20, seed=2, prune_ratio=0, beta2=0.9)
    es = create("es", 32, 20, seed=2)
    for epoch in range(4):
        assert eswp.plan_epoch(epoch).indices.equal(es.plan_epoch(epoch).indices)
        losses = torch.rand(32, generator=generator)
        assert eswp.select(torch.arange(32), losses).equal(es.select(torch.arange(32), losses))
    assert eswp.scores.equal(es.scores)


def test_unseen_samples_weigh_as_the_mean_of_the_seen():
    """Half of 200 ids never seen, the others of weight 2: every id is as likely as any other."""
    kept = {"mean": 0, "literal": 0}
    for unseen_weight in kept:
        for seed in range(50):
            selector = create(
                "eswp", 200, 20, seed=seed, prune_ratio=0.5, unseen_weight=unseen_weight
            )
            selector.observe(torch.arange(100), torch.full((100,), 2.0))
            kept[unseen_weight] += (selector.plan_epoch(5).indices >= 100).sum().item()
    # 50 plans of 100 ids, half of them unseen: 2500 with a sigma below 36; five of them.
    assert abs(kept["mean"] - 2500) < 180
    assert kept["literal"] < 100  # 1/n is far below any loss


def test_the_first_plan_without_annealing_is_uniform():
    hits = torch.zeros(4)
    for seed in range(2_000):
        selector = create("eswp", 4, 20, seed=seed, prune_ratio=0.5, annealing_start=0)
        hits += selector.plan_epoch(0).indices.bincount(minlength=4)
    assert ((hits / 2_000 - 0.5).abs() < 5 * 0.5 / math.sqrt(2_000)).all()  # false alarm < 6e-7


def test_with_whole_batches_it_is_set_level_alone():
    selector = create("eswp", 10, 20, batch_ratio=1)
    selector.plan_epoch(5)
    assert not selector.selects_batches
    assert selector.select(torch.arange(4), torch.rand(4)).tolist() == [0, 1, 2, 3]


def test_the_default_beta2_is_its_own():
    assert create("eswp", 4, 20).hyperparameters["beta2"] == 0.8
    assert create("es", 4, 20).hyperparameters["beta2"] == 0.9
