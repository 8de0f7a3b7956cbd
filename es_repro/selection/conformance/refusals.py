"""What is refused: a loss without rows, and losses that are not finite."""

import math
from collections.abc import Callable

import torch

from es_repro.selection.conformance.drive import (
    BATCH,
    EPOCHS,
    SAMPLES,
    Factory,
    all_losses,
    expect,
    meet,
    run_epoch,
    signals_of,
)

__all__ = ["non_finite_losses_are_told", "scalar_losses_are_refused"]


def scalar_losses_are_refused(factory: Factory) -> None:
    """A mean over the batch ranks nothing: `select`, `observe` and `reduce` raise a ValueError."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    index, loss = selector.plan_epoch(0).indices[:4], torch.tensor(1.0)
    signals = signals_of(selector, torch.rand(4))
    calls: dict[str, Callable[[], object]] = {
        "select": lambda: selector.select(index, loss, **signals),
        "observe": lambda: selector.observe(index, loss, **signals),
        "reduce": lambda: selector.reduce(index, loss),
    }
    for name, call in calls.items():
        try:
            call()
        except ValueError:
            continue
        expect(False, f"{name} takes a scalar loss without a ValueError")


def non_finite_losses_are_told(factory: Factory) -> None:
    """A NaN is never picked before a good loss, and the next `check` names its id, once."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    for epoch in range(EPOCHS):
        index = selector.plan_epoch(epoch).indices[:BATCH]
        losses = all_losses(epoch)[index]
        losses[len(index) // 2] = math.nan
        bad = int(index[len(index) // 2])
        selector.check()
        picked = meet(selector, index, losses)
        if len(picked) < len(index):
            expect(bad not in index[picked].tolist(), f"epoch {epoch}: a NaN is picked")
        try:
            selector.check()
        except FloatingPointError as error:
            expect(str(bad) in str(error), f"check does not name sample {bad}: {error}")
        else:
            expect(False, "a NaN among the losses, and check() raises no FloatingPointError")
        selector.check()  # told once
        run_epoch(selector, epoch, start=1)
