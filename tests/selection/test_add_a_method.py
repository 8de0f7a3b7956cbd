"""A ninth method is one file in the package's folder; nothing else knows of it."""

import importlib
import math
import sys

import pytest
import torch
from reference import inclusion

import es_repro.selection
from es_repro.selection import create, selector_class

METHOD = '''
"""Selective backprop in rank form: the middle of training prefers high ranks of the loss."""

import torch
from torch import Tensor

from es_repro.selection.base import Selector, require
from es_repro.selection.checks import as_real
from es_repro.selection.sampling import count, draw

__all__ = ["SelectiveBackprop"]


class SelectiveBackprop(Selector):
    """Rank j of m (ascending) weighs ((j + 0.5) / m) ** (1/f - 1) between start and end."""

    level = "batch"

    def __init__(self, num_samples: int, num_epochs: int, *, device: str = "cpu", seed: int = 0,
                 batch_ratio: float = 0.5, start: float = 0.5, end: float = 0.9) -> None:
        super().__init__(num_samples, num_epochs, device=device, seed=seed)
        self.batch_ratio = as_real("batch_ratio", batch_ratio, "(0, 1]")
        require(0 <= start <= end <= 1, "(start, end)", (start, end), "ascending, in [0, 1]")
        self.start, self.end = start, end

    @property
    def selects_batches(self) -> bool:
        return self.batch_ratio < 1 and self.start <= self.epoch / self.num_epochs < self.end

    def _pick(self, index: Tensor, losses: Tensor) -> Tensor:
        m = len(losses)
        rank = losses.argsort(stable=True).argsort()
        weights = ((rank + 0.5) / m) ** (1 / self.batch_ratio - 1)
        return draw(weights, count(self.batch_ratio, m), self.select_stream)
'''


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    """The file lies in a folder that counts as the package's own."""
    (tmp_path / "selective_backprop.py").write_text(METHOD)
    folders = [*es_repro.selection.__path__, str(tmp_path)]
    monkeypatch.setattr(es_repro.selection, "__path__", folders)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("es_repro.selection.selective_backprop", None)
    vars(es_repro.selection).pop("selective_backprop", None)


def test_it_is_created_by_name_and_draws_by_rank():
    selector, draws = create("selective_backprop", 4, 10, seed=1), 5_000
    selector.plan_epoch(5)
    losses, index = torch.tensor([9.0, 0.1, 2.0, 1.0]), torch.arange(4)
    hits = sum(selector.select(index, losses).bincount(minlength=4) for _ in range(draws))
    for share, p in zip((hits / draws).tolist(), inclusion((7, 1, 5, 3), 2), strict=True):
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / draws)  # false alarm < 6e-7 each


def test_the_contract_comes_with_it():
    selector = create("selective_backprop", 100, 10)
    assert [bool(selector.plan_epoch(e)) and selector.selects_batches for e in range(10)] == [
        5 <= e < 9 for e in range(10)
    ]
    twin = create("selective_backprop", 100, 10, seed=5)
    selector.plan_epoch(6)
    index, losses = torch.arange(32), torch.rand(32)
    selector.select(index, losses)
    twin.load_state_dict(selector.state_dict())
    assert twin.select(index, losses).equal(selector.select(index, losses))
    cost = selector_class("selective_backprop").expected_cost(10)
    assert cost.factor == pytest.approx(0.6 + 0.4 * (1 / 3 + 0.5))
    selector.observe(index[:1], torch.tensor([math.nan]))
    with pytest.raises(FloatingPointError, match=r"\[0\]"):
        selector.check()


def test_its_errors_are_named():
    with pytest.raises(ValueError, match=r"^batch_ratio=0: must be in \(0, 1\]$"):
        create("selective_backprop", 8, 10, batch_ratio=0)
    with pytest.raises(ValueError, match=r"^stop=1: must be a hyper-parameter of selective_backpr"):
        create("selective_backprop", 8, 10, stop=1)
    with pytest.raises(ValueError, match="random, selective_backprop, ucb"):
        create("unknown", 8, 10)
