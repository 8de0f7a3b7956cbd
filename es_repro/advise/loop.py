"""A training loop in its parts, and what a user may have got wrong in them, each in one line."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from es_repro.selection import require

__all__ = ["Loop", "Stateful", "loop_of", "probe", "put_back"]

Batch = Any


class Stateful(Protocol):
    """A model, an optimizer, a scaler: what a step moves and a state puts back."""

    def state_dict(self) -> Any: ...  # noqa: ANN401  # theirs alone

    def load_state_dict(self, state_dict: Any) -> Any: ...  # noqa: ANN401  # as above


@dataclass(frozen=True)
class Loop:
    """What a step of training consists of, to be put together as selection would.

    Args:
        train: forward, backward and update on every row of a batch.
        score: losses [m] of a batch, without gradient.
        take: some rows [b] int64 of a batch, as a batch.
    """

    train: Callable[[Batch], object]
    score: Callable[[Batch], Tensor]
    take: Callable[[Batch, Tensor], Batch]


def loop_of(
    step: Callable[[Batch], Tensor],
    update: Callable[[Tensor], object] | None,
    take: Callable[[Batch, Tensor], Batch],
    score: Callable[[Batch], Tensor] | None,
) -> Loop:
    """The loop around a user's own step; arguments as of `advise`."""

    def train(batch: Batch) -> None:
        losses = step(batch)
        _require_losses(losses)
        if losses.grad_fn is None:
            raise ValueError(
                "losses.grad_fn=None: must carry a gradient; step must run without torch.no_grad "
                "and without detach"
            )
        objective = losses.mean()
        if update is None:
            objective.backward()
        else:
            update(objective)

    def losses_alone(batch: Batch) -> Tensor:
        with torch.no_grad():
            return (score or step)(batch)

    return Loop(train, losses_alone, take)


def probe(loop: Loop, batch: Batch) -> tuple[int, torch.device]:
    """Score a batch and half of it; answers its rows and where its losses live.

    Raises:
        ValueError: no losses [m] came, or the batch cannot be taken apart.
    """
    losses = loop.score(batch)
    _require_losses(losses)
    m = len(losses)
    require(m >= 2, "rows of a batch", m, "at least 2, or there is nothing to select from")
    half = m // 2
    try:
        left = len(loop.score(loop.take(batch, torch.arange(half, device=losses.device))))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"batch={type(batch).__name__}: must be of tensors, tuples or mappings of m rows "
            f"({reason}); else pass take=, which answers the batch of some rows"
        ) from error
    allowed = f"{half}: take must answer the rows asked for, and nothing else"
    require(left == half, "rows of half a batch", left, allowed)
    return m, losses.device


@contextmanager
def put_back(parts: Sequence[Stateful]) -> Iterator[None]:
    """Whatever trains inside, these come out as they were, and so do torch's generators."""
    before = [copy.deepcopy(part.state_dict()) for part in parts]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            for part, state in zip(parts, before, strict=True):
                part.load_state_dict(state)
                if isinstance(part, nn.Module):
                    part.zero_grad()


def _require_losses(losses: object) -> None:
    if not isinstance(losses, Tensor):
        kind = type(losses).__name__
        raise ValueError(f"losses={kind}: must be a tensor [m], one loss a sample, from step")
    if losses.ndim == 0:
        raise ValueError(
            "losses.shape=(): must be [m], one loss a sample; build the loss with "
            'reduction="none", or wrap it in es_repro.selection.per_sample'
        )
    require(losses.ndim == 1, "losses.shape", tuple(losses.shape), "[m], one loss a sample")
