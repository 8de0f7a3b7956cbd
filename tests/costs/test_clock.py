"""Phases on CUDA are read off events, which somebody has to wait for."""

import pytest
import torch

from es_repro.costs.clock import Clock


class Event:
    """A CUDA event that need not exist: each is recorded a tenth of a second after the last."""

    now = 0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        Event.now += 1
        self.at = Event.now

    def elapsed_time(self, end):
        return 100.0 * (end.at - self.at)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    return Clock(torch.device("cuda"))


def test_a_phase_outside_training_is_read_when_it_is_settled(clock):
    with clock.phase("evaluation"):
        pass
    assert clock.seconds["evaluation"] == 0
    clock.settle()
    assert clock.seconds["evaluation"] == pytest.approx(0.1)
    clock.settle()
    assert clock.seconds["evaluation"] == pytest.approx(0.1)


def test_phases_of_training_are_read_at_its_end(clock):
    with clock.running(), clock.phase("training"), clock.phase("scoring"):
        pass
    assert clock.seconds["training"] == pytest.approx(0.3)
    assert clock.seconds["scoring"] == pytest.approx(0.1)
