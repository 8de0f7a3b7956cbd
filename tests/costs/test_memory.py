"""Peaks by kind of epoch, and what a step saves for its backward pass."""

import pytest
import torch
from torch import nn

from es_repro.costs.memory import Memory, SavedActivations
from es_repro.train import train

CPU = torch.device("cpu")


def saved_bytes(model, *batches):
    with SavedActivations(model) as saved:
        for inputs in batches:
            model(inputs).sum().backward()
    return saved.peak_bytes


def test_a_linear_net_saves_its_inputs_and_relu_its_outputs():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    # float32 inputs [8, 10] and the ReLU's output [8, 20], which the last layer shares; no weight.
    assert saved_bytes(model, torch.randn(8, 10)) == 4 * 8 * (10 + 20)
    assert saved_bytes(model, torch.randn(2, 10)) == 4 * 2 * (10 + 20)


def test_micro_batches_count_once():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    pieces = torch.randn(8, 10).split(2)
    copies = [piece.clone() for piece in pieces]
    assert saved_bytes(model, *copies) == 4 * 2 * (10 + 20)


def test_without_gradient_nothing_is_saved():
    model = nn.Linear(10, 20)
    with torch.no_grad(), SavedActivations(model) as saved:
        model(torch.randn(8, 10))
    assert saved.peak_bytes == 0


def test_gradients_are_those_without_the_hooks():
    torch.manual_seed(0)
    model, inputs = (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GELU()),
        torch.randn(2, 3, 8, 8),
    )
    model(inputs).square().sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with SavedActivations(model):
        model(inputs).square().sum().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(expected, model.parameters(), strict=True))


def test_each_kind_of_epoch_keeps_its_own_peak(monkeypatch):
    peaks = iter([100, 500, 0, 300, 0, 700, 200])  # before and in each epoch, and after them
    monkeypatch.setattr("es_repro.costs.memory.PeakMemory.read", lambda _: next(peaks))
    memory = Memory(CPU)
    for selecting in (False, True, True):
        memory.start_epoch()
        memory.end_epoch(selecting=selecting)
    assert memory.summary() == {
        "memory/peak_bytes": 700, "memory/plain_bytes": 500, "memory/selecting_bytes": 700,
    }  # fmt: skip


def test_peaks_survive_a_resume(monkeypatch):
    monkeypatch.setattr("es_repro.costs.memory.PeakMemory.read", lambda _: 10)
    memory = Memory(CPU)
    memory.load_state_dict({"memory/peak_bytes": 90, "memory/selecting_bytes": 80})
    memory.start_epoch()
    memory.end_epoch(selecting=True)
    assert memory.state_dict() == {"memory/peak_bytes": 90, "memory/selecting_bytes": 80}


def test_a_resident_peak_is_seen_and_forgotten():
    memory = Memory(CPU)
    memory.start_epoch()
    block = torch.ones(16 << 20)  # 64 MiB
    del block
    memory.end_epoch(selecting=False)
    memory.start_epoch()
    memory.end_epoch(selecting=True)
    found = memory.summary()
    if found["memory/plain_bytes"] is None:
        pytest.skip("this system tells no resident peak")
    assert found["memory/plain_bytes"] - found["memory/selecting_bytes"] > 32 << 20
    assert found["memory/peak_bytes"] >= found["memory/plain_bytes"]


@pytest.mark.parametrize("method", ["baseline", "es", "infobatch"])
def test_a_run_s_record_tells_both_kinds_apart(quick, method):
    summary = train(quick(f"method={method}", "epochs=10", "subset=128"))

    plain = summary["memory/plain_activation_bytes"]
    assert summary["memory/plain_bytes"] <= summary["memory/peak_bytes"]
    selects = method == "es"
    assert ("memory/selecting_bytes" in summary) is selects
    assert ("memory/selecting_activation_bytes" in summary) is selects
    if selects:  # the perceptron's activations grow with its rows: b / B = 1/4
        assert summary["memory/selecting_activation_bytes"] == pytest.approx(plain / 4, rel=0.1)
