"""What adds up: micro-batches to the whole batch, and two ranks to one process."""

import torch
from torch import Tensor

from es_repro.selection.base import Selector
from es_repro.selection.conformance.drive import (
    BATCH,
    EPOCHS,
    SAMPLES,
    Factory,
    all_losses,
    expect,
    meet,
    refresh,
    run_epoch,
    same,
    signals_of,
)

__all__ = ["micro_batches_add_up", "two_ranks_are_one"]

PIECES = (1, 7, 24)  # of a batch of 32: unequal, so that a divisor of their own shows


def micro_batches_add_up(factory: Factory) -> None:
    """`reduce` over pieces, each times its share of the rows, has the gradient of the whole."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    for epoch in range(EPOCHS):
        index = selector.plan_epoch(epoch).indices[:BATCH]
        pieces = PIECES if len(index) == BATCH else (1, len(index) - 1)
        whole = all_losses(epoch)[index].requires_grad_()
        parts = whole.detach().clone().requires_grad_()
        objective = selector.reduce(index, whole)
        expect(objective.ndim == 0, f"reduce answers {tuple(objective.shape)}, not a scalar")
        expect(objective.requires_grad, "reduce answers a scalar without gradient")
        objective.backward()
        for ids, losses in zip(index.split(pieces), parts.split(pieces), strict=True):
            share = len(ids) / len(index)
            (selector.reduce(ids, losses) * share).backward()
        assert whole.grad is not None
        assert parts.grad is not None
        equal = torch.allclose(whole.grad, parts.grad, rtol=1e-5, atol=1e-8)
        expect(equal, f"epoch {epoch}: the gradients of micro-batches add up to another")
        run_epoch(selector, epoch)


def two_ranks_are_one(factory: Factory) -> None:
    """Ranks that hear of each other's rows plan alike, and as one process that met them all."""
    alone, *pair = (factory(SAMPLES, EPOCHS, device="cpu", seed=7) for _ in range(3))
    for rank, selector in enumerate(pair):
        selector.rank = rank
    for epoch in range(EPOCHS):
        losses = all_losses(epoch)
        plan, *others = (selector.plan_epoch(epoch) for selector in (alone, *pair))
        for other in others[1:]:
            expect(other.indices.equal(others[0].indices), f"epoch {epoch}: the ranks' plans part")
        alike = others[0].indices.equal(plan.indices)
        expect(alike, f"epoch {epoch}: two ranks plan otherwise than one process")
        for index in plan.indices.tensor_split(-(-len(plan.indices) // BATCH)):
            meet(alone, index, losses[index])
            shares = index[0::2], index[1::2]
            for selector, mine in zip(pair, shares, strict=True):
                if len(mine):
                    meet(selector, mine, losses[mine])
            for selector, theirs in zip(pair, reversed(shares), strict=True):
                _hear(selector, theirs, losses[theirs])
        for selector in (alone, *pair):
            refresh(selector, plan, losses)
        tables = [selector.state_dict().get("tensors") for selector in pair]
        expect(same(*tables), f"epoch {epoch}: the ranks' tables part")


def _hear(selector: Selector, index: Tensor, losses: Tensor) -> None:
    if len(index):
        selector.observe_elsewhere(index, losses, **signals_of(selector, losses))
