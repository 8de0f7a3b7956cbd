"""Saved activations, to the byte."""

import torch
from torch import nn

from es_repro.bench.memory import SavedActivations


def count(model, *batches):
    with SavedActivations([*model.parameters(), *model.buffers()]) as saved:
        for batch in batches:
            model(batch).sum().backward()
    return saved.peak


def test_a_linear_layer_keeps_its_input_and_not_its_weight():
    model = nn.Linear(8, 4)
    assert count(model, torch.zeros(10, 8)) == 10 * 8 * 4


def test_a_storage_counts_once_however_many_nodes_hold_it():
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    # The input, and the output of the ReLU, which it and the next layer both keep.
    assert count(model, torch.zeros(10, 8)) == 10 * 8 * 4 + 10 * 4 * 4


def test_micro_batches_do_not_add_up_for_each_lets_go():
    model = nn.Linear(8, 4)
    assert count(model, torch.zeros(10, 8), torch.zeros(6, 8)) == 10 * 8 * 4


def test_a_pass_without_gradient_keeps_nothing():
    model = nn.Linear(8, 4)
    with SavedActivations(model.parameters()) as saved, torch.no_grad():
        model(torch.zeros(10, 8))
    assert saved.peak == 0
