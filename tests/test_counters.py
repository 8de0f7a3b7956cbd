"""Counts by class and length, against scipy."""

from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric
from scipy.stats import rankdata, spearmanr

from es_repro.counters import Cost, Picks, midranks
from es_repro.parallel.ranks import Ranks


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

    found = counted.epoch_summary()["selection/length_correlation"]
    assert found == pytest.approx(spearmanr(lengths, picked).statistic)
    # The next epoch starts anew.
    counted.add(lengths.argsort()[25:])
    assert counted.epoch_summary()["selection/length_correlation"] > 0.8


def test_where_all_are_picked_or_no_lengths_known_there_is_none():
    everything = picks(torch.arange(50))
    everything.add(torch.arange(50))
    assert "selection/length_correlation" not in everything.epoch_summary()
    plain = picks()
    plain.add(torch.arange(10))
    assert "selection/length_correlation" not in plain.epoch_summary()


def test_passes_of_a_rank_are_those_of_the_run():
    ranks = Ranks(Fabric(accelerator="cpu", devices=1))
    cost = Cost(3, 2, 8, 5, 100, 60, 7)
    assert cost.over(ranks) == cost
