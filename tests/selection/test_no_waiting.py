"""No method waits for the device: fake CUDA tensors, and a dispatch mode on the CPU."""

import pytest
import torch
from guards import NoWaiting, forbidden
from torch._subclasses.fake_tensor import FakeTensorMode
from variants import VARIANTS, signals_of

from es_repro.selection import base, create, stream


def hot_path(selector, device="cpu"):
    """One selecting and one observed batch, and the objective of each."""
    index = torch.arange(16, device=device)
    losses = torch.linspace(0, 3, 16, device=device)
    positions = selector.select(index, losses, **signals_of(selector, losses))
    selector.observe(index, losses, **signals_of(selector, losses))
    objective = selector.reduce(index.index_select(0, positions), losses[: len(positions)])
    return positions, objective


@pytest.fixture(params=VARIANTS)
def make(request):
    name, options = VARIANTS[request.param]
    tracked = {} if name in {"baseline", "random"} else {"negative": "error"}
    return lambda **more: create(name, 100, 20, **options, **tracked, **more)


def test_no_operator_waits(make, monkeypatch):
    selector = make()
    for epoch in (1, 5):
        selector.plan_epoch(epoch)
        with NoWaiting(), monkeypatch.context() as patched:
            for name in ("tolist", "numpy"):  # no operators: on the CPU they read memory
                patched.setattr(torch.Tensor, name, forbidden)
            hot_path(selector)


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 1],
        lambda x: x.nonzero(),
        lambda x: x.multinomial(2),
        lambda x: x.clone().__setitem__(x > 1, 0.0) or x.masked_select(x > 1),
        lambda x: float(x[0]),
    ],
)
def test_the_guard_sees_what_waits(waiting):
    with NoWaiting(), pytest.raises(AssertionError, match="waits for the device"):
        waiting(torch.linspace(0, 3, 16))


def test_everything_stays_on_pretended_cuda(make, monkeypatch):
    """Fake CUDA tensors raise on what needs their values; the rest is patched to raise."""
    # A CUDA generator cannot be pretended; a CPU one passes on fake tensors.
    monkeypatch.setattr(base, "stream", lambda *_: stream(0, "select", 0))
    with FakeTensorMode():
        selector = make(device="cuda")
        for name in ("cpu", "tolist", "numpy", "multinomial", "item"):
            monkeypatch.setattr(torch.Tensor, name, forbidden)
        for epoch in (0, 5):
            selector.epoch = epoch
            positions, objective = hot_path(selector, "cuda")
            assert positions.device.type == objective.device.type == "cuda"
            assert positions.dtype == torch.int64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_not_waited_for(make):
    selector = make(device="cuda")
    for epoch in (1, 5):
        selector.plan_epoch(epoch)
        index = torch.arange(16, device="cuda")
        losses = torch.linspace(0, 3, 16, device="cuda")
        signals = signals_of(selector, losses)
        torch.cuda.set_sync_debug_mode("error")
        try:
            positions = selector.select(index, losses, **signals)
            selector.observe(index, losses, **signals)
            selector.reduce(index.index_select(0, positions), losses[: len(positions)])
        finally:
            torch.cuda.set_sync_debug_mode("default")
        selector.check()
