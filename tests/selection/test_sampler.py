"""The plan inside torch's loaders: fresh iterators, workers, ranks, epochs that change size."""

import copy
import pickle

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset

from es_repro.selection import PlannedBatchSampler, create

N = 50


class Rows(Dataset):
    """Each row is its own id."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return torch.tensor(i), torch.tensor(float(i))


def planned(name="random", size=8, epoch=3, seed=0, **options):
    sampler = PlannedBatchSampler(create(name, N, 10, seed=seed), size, seed=seed, **options)
    sampler.set_epoch(epoch)
    return sampler


def ids_of(batches):
    return [i for batch in batches for i in batch]


def test_every_planned_id_is_visited_once():
    sampler = planned()
    batches = list(sampler)
    assert [len(batch) for batch in batches] == [8] * 5  # 40 of 50 are planned
    assert sorted(ids_of(batches)) == sampler.plan.indices.tolist()
    assert ids_of(batches) == sampler.indices.tolist()
    assert all(isinstance(i, int) for i in batches[0])


def test_the_last_batch_is_short_or_left_out_but_never_the_only_one():
    assert [len(b) for b in planned("baseline", 16)] == [16, 16, 16, 2]
    dropping = planned("baseline", 16, drop_last=True)
    assert [len(b) for b in dropping] == [16, 16, 16]
    assert len(dropping) == 3
    assert [len(b) for b in planned("baseline", 64, drop_last=True)] == [50]
    assert [len(b) for b in planned("baseline", 25, drop_last=True)] == [25, 25]


def test_iterating_plans_nothing_and_is_always_fresh(monkeypatch):
    sampler = planned()
    monkeypatch.setattr(sampler.selector, "plan_epoch", lambda _: pytest.fail("planned"))
    first = list(sampler)
    assert list(sampler) == first
    assert list(iter(iter(sampler))) == first
    half = iter(sampler)
    next(half)
    assert list(iter(half)) == first[1:]
    assert list(sampler) == first


def test_an_iterator_keeps_its_epoch():
    sampler = planned("baseline", epoch=0)
    expected, running = list(sampler), iter(sampler)
    sampler.set_epoch(1)
    assert list(running) == expected
    assert list(sampler) != expected


def test_the_order_is_one_of_seed_and_epoch_where_the_plan_is_full():
    for name in ("es", "loss", "ka", "infobatch"):
        assert planned(name, epoch=0).indices.equal(planned("baseline", epoch=0).indices)
    base = planned("baseline", epoch=0).indices
    assert not planned("baseline", epoch=1).indices.equal(base)
    assert not planned("baseline", epoch=0, seed=1).indices.equal(base)


def test_epochs_shrink_and_grow_again():
    sampler = planned("random", 10)
    lengths = []
    for epoch in range(10):
        sampler.set_epoch(epoch)
        lengths.append((len(sampler), len(list(sampler))))
    assert lengths == [(5, 5), *[(4, 4)] * 8, (5, 5)]


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_share_the_plan_evenly_and_repeat_nothing(world_size, drop_last):
    shards = [
        planned(size=6, rank=rank, world_size=world_size, drop_last=drop_last)
        for rank in range(world_size)
    ]
    assert len({len(shard) for shard in shards}) == 1
    assert len({len(shard.indices) for shard in shards}) == 1
    seen = [i for shard in shards for i in shard.indices.tolist()]
    assert len(seen) == len(set(seen)) == 40 // world_size * world_size
    whole = planned(size=6).indices[: len(seen)]
    for rank, shard in enumerate(shards):
        assert shard.indices.equal(whole[rank::world_size])
        assert shard.batch_size == 6 // world_size


@pytest.mark.parametrize("drop_last", [False, True])
def test_torchs_own_batch_sampler(drop_last):
    sampler = planned("baseline", 8)
    rows = list(BatchSampler(sampler.indices.tolist(), 8, drop_last))
    assert rows == list(planned("baseline", 8, drop_last=drop_last))
    pairs = list(BatchSampler(sampler, 2, drop_last))  # two meta-batches at a time
    assert pairs == [list(sampler)[i : i + 2] for i in range(0, 6 if drop_last else 7, 2)]


def epochs_through(loader, sampler, epochs=(0, 1, 9)):
    seen = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        assert len(loader) == len(sampler)
        batches = [(index.tolist(), values) for index, values in loader]
        assert all(values.tolist() == index for index, values in batches)
        seen.append([index for index, _ in batches])
    return seen


@pytest.mark.parametrize("persistent", [False, True])
def test_loaders_with_workers_follow_the_plan(persistent):
    expected = epochs_through(DataLoader(Rows(), batch_sampler=(s := planned())), s)
    sampler = planned()
    loader = DataLoader(Rows(), batch_sampler=sampler, num_workers=1, persistent_workers=persistent)
    assert epochs_through(loader, sampler) == expected
    assert [sum(map(len, epoch)) for epoch in expected] == [50, 40, 50]


@pytest.mark.slow
def test_loaders_with_spawned_workers_follow_the_plan():
    sampler = planned()
    loader = DataLoader(
        Rows(), batch_sampler=sampler, num_workers=1, multiprocessing_context="spawn"
    )
    assert epochs_through(loader, sampler, (0, 1)) == [list(planned(epoch=e)) for e in (0, 1)]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_it_pickles_and_copies(clone):
    sampler = planned()
    twin = clone(sampler)
    assert list(twin) == list(sampler)
    twin.set_epoch(4)
    assert list(sampler) == list(planned())


def test_iterating_before_the_first_epoch_says_what_to_do():
    sampler = PlannedBatchSampler(create("baseline", N, 10), 8)
    for call in (iter, len):
        with pytest.raises(RuntimeError, match="call set_epoch"):
            call(sampler)


def test_global_generators_are_left_alone():
    before = torch.get_rng_state()
    list(planned())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (0, {}, r"^meta_batch_size=0: must be an integer >= 1$"),
        (10, {"world_size": 3}, r"^meta_batch_size=10: must be divisible by world_size=3$"),
        (8, {"rank": 2, "world_size": 2}, r"^rank=2: must be in 0\.\.1$"),
        (8, {"seed": 0.5}, r"^seed=0.5: must be an integer$"),
        (8, {"drop_last": 1}, r"^drop_last=1: must be true or false$"),
        (1, {}, r"^batch_ratio=0.25: must be at least half a sample of the 1 a rank loads"),
    ],
)
def test_bad_arguments_are_named(size, options, message):
    with pytest.raises(ValueError, match=message):
        PlannedBatchSampler(create("es", N, 10), size, **options)


def test_a_plan_smaller_than_the_ranks_is_refused():
    sampler = PlannedBatchSampler(create("baseline", 1, 2), 8, world_size=2)
    with pytest.raises(ValueError, match=r"^planned samples=1: must be at least world_size=2$"):
        sampler.set_epoch(0)
