"""Counts by class and length, against scipy."""

from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric
from scipy.stats import rankdata, spearmanr

from es_repro.costs.counters import Cost, Picks, midranks
from es_repro.parallel.ranks import Ranks
from es_repro.selection import EpochPlan

ALL = EpochPlan(torch.arange(50))


def picks(lengths=None, n=50):
    loader = SimpleNamespace(labels=None, num_samples=n)
    if lengths is not None:
        loader.lengths = lengths
    return Picks(loader, Ranks(Fabric(accelerator="cpu", devices=1)))


def test_midranks_are_scipy_s():
    values = torch.tensor([5, 1, 5, 9, 1, 1, 7])
    assert midranks(values).tolist() == (rankdata(values.numpy()) - 1).tolist()


def test_the_correlation_of_selection_with_length_is_spearman_s():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(5, 30, (50,), generator=generator)
    index = torch.randperm(50, generator=generator)[:20]
    counted = picks(lengths)
    counted.add(index[:12])
    counted.add(index[12:])
    picked = torch.zeros(50)
    picked[index] = 1

    found = counted.epoch_summary(ALL)["selection/length_correlation"]
    assert found == pytest.approx(spearmanr(lengths, picked).statistic)
    # The next epoch starts anew.
    counted.add(lengths.argsort()[25:])
    assert counted.epoch_summary(ALL)["selection/length_correlation"] > 0.8


def test_where_all_are_picked_or_no_lengths_known_there_is_none():
    everything = picks(torch.arange(50))
    everything.add(torch.arange(50))
    assert "selection/length_correlation" not in everything.epoch_summary(ALL)
    plain = picks()
    plain.add(torch.arange(10))
    assert "selection/length_correlation" not in plain.epoch_summary(ALL)


def test_passes_of_a_rank_are_those_of_the_run():
    ranks = Ranks(Fabric(accelerator="cpu", devices=1))
    cost = Cost(3, 2, 8, 5, 100, 60, 7)
    assert cost.over(ranks) == cost


def test_wrong_labels_are_counted_among_planned_and_trained():
    corrupted = torch.zeros(50, dtype=torch.bool)
    corrupted[[0, 1, 2, 10]] = True
    loader = SimpleNamespace(labels=None, num_samples=50, corrupted=corrupted)
    counted = Picks(loader, Ranks(Fabric(accelerator="cpu", devices=1)))
    counted.add(torch.tensor([0, 1]))
    counted.add(torch.tensor([5, 6, 7, 10]))

    # Planned are 0..9 with three wrong labels, and 10; trained are six with three.
    found = counted.epoch_summary(EpochPlan(torch.arange(11)))
    assert found["noise/share"] == pytest.approx(4 / 50)
    assert found["noise/planned_share"] == pytest.approx(4 / 11)
    assert found["noise/bp_share"] == 0.5
    # A second epoch: planned 20..39 without any, trained one of them and, twice, sample 0.
    counted.add(torch.tensor([20, 0]))
    resumed = Picks(loader, Ranks(Fabric(accelerator="cpu", devices=1)))
    resumed.load_state_dict(counted.state_dict())
    assert resumed.rows == [2]
    found = resumed.epoch_summary(EpochPlan(torch.arange(20, 40)))
    assert (found["noise/planned_share"], found["noise/bp_share"]) == (0, 0.5)
    assert resumed.summary() == pytest.approx(
        {"noise/share": 4 / 50, "noise/planned_share": 4 / 31, "noise/bp_share": 4 / 8}
    )


def test_without_label_noise_nothing_is_said_of_it():
    plain = picks()
    plain.add(torch.arange(10))
    assert not [name for name in plain.epoch_summary(ALL) if name.startswith("noise/")]
    assert plain.summary() == {}
