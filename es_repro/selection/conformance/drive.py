"""Driving a selector through epochs on made-up losses, and looking at all that comes of it."""

import contextlib
import importlib
import io
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from es_repro.selection.base import EpochPlan, Selector

__all__ = [
    "BATCH", "EPOCHS", "SAMPLES", "BrokenPromise", "Factory", "Promise", "Step", "all_losses",
    "expect", "global_generators", "meet", "own_generators", "run", "run_epoch", "same",
    "signals_of", "through_a_file", "told",
]  # fmt: skip

SAMPLES, EPOCHS, BATCH = 203, 12, 32  # short last batches, and windows of annealing at both ends


class Factory(Protocol):
    """What builds the selector under trial: its class, or ``partial(create, name)``."""

    def __call__(
        self, num_samples: int, num_epochs: int, *, device: torch.device | str, seed: int
    ) -> Selector:
        """A fresh selector."""
        ...


Promise = Callable[[Factory], None]


class BrokenPromise(AssertionError):
    """What a selector did against the contract."""


def expect(kept: bool, message: str) -> None:
    """Raise `BrokenPromise` unless it is kept."""
    if not kept:
        raise BrokenPromise(message)


@dataclass(frozen=True)
class Step:
    """What became of one meta-batch: equal steps of two runs are equal bit for bit."""

    met: list[int]
    trained: list[int]
    objective: float


def all_losses(epoch: int, num_samples: int = SAMPLES) -> Tensor:
    """[n] float32 in [0, 2): a loss depends on (epoch, id) alone, so runs can be compared."""
    return torch.rand(num_samples, generator=torch.Generator().manual_seed(1000 + epoch)) * 2


def signals_of(selector: Selector, losses: Tensor) -> dict[str, Tensor]:
    """The signals [m] that the selector asks for, made up from the losses."""
    known = {"correct": losses < 1, "confidence": 1 / (1 + losses)}
    return {name: known.get(name, losses.clone()) for name in selector.signals}


def meet(selector: Selector, index: Tensor, losses: Tensor) -> Tensor:
    """Show a batch [m] to the selector as a loop does; the positions that are trained on."""
    signals = signals_of(selector, losses)
    if selector.selects_batches:
        return selector.select(index, losses, **signals)
    selector.observe(index, losses, **signals)
    return torch.arange(len(index), device=index.device)


def run_epoch(
    selector: Selector, epoch: int, *, start: int = 0, stop: int | None = None
) -> list[Step]:
    """One epoch, or its batches from `start` to before `stop`; re-scores where it was whole."""
    plan, losses = selector.plan_epoch(epoch), all_losses(epoch, selector.num_samples)
    steps = []
    for index in plan.indices.split(max(1, round(BATCH * plan.batch_ratio)))[start:stop]:
        trained = index[meet(selector, index, losses[index])]
        objective = selector.reduce(trained, losses[trained]).item()
        steps.append(Step(index.tolist(), trained.tolist(), objective))
    if stop is None:
        refresh(selector, plan, losses)
    return steps


def refresh(selector: Selector, plan: EpochPlan, losses: Tensor) -> None:
    """Feed the losses of the hidden samples, as a loop does at the end of an epoch."""
    if plan.refresh is not None:
        seen = losses[plan.refresh]
        selector.observe(plan.refresh, seen, **signals_of(selector, seen))


def run(factory: Factory, seed: int, epochs: int = EPOCHS) -> list[list[Step]]:
    """What a fresh selector of this seed does."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=seed)
    return [run_epoch(selector, epoch) for epoch in range(epochs)]


def through_a_file(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state after a trip through a file that may hold no code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def same(left: object, right: object) -> bool:
    """Whether two states are equal bit for bit, NaN being equal to itself."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        alike = left.dtype == right.dtype and left.shape == right.shape
        return alike and bool(((left == right) | (left.isnan() & right.isnan())).all())
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def told(left: list[list[Step]], right: list[list[Step]]) -> str:
    """Where two runs part first, in words."""
    for epoch, (ours, theirs) in enumerate(zip(left, right, strict=True)):
        for batch, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one != other:
                return f"they part at epoch {epoch}, batch {batch}"
        if len(ours) != len(theirs):
            return f"epoch {epoch} has {len(ours)} batches in one and {len(theirs)} in the other"
    return "they are equal"


T = TypeVar("T")


def global_generators() -> dict[str, Any]:
    """The states of torch's, Python's and, where it is installed, NumPy's global generators."""
    numpy = _numpy()
    states = {"torch": torch.get_rng_state(), "random": random.getstate()}
    return states if numpy is None else states | {"numpy": numpy.random.get_state()}


@contextlib.contextmanager
def own_generators() -> Iterator[None]:
    """Start the global generators from known states, and put them back afterwards."""
    before, numpy = global_generators(), _numpy()
    torch.default_generator.manual_seed(0)
    random.seed(0)
    if numpy is not None:
        numpy.random.seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(before["torch"])
        random.setstate(before["random"])
        if numpy is not None:
            numpy.random.set_state(before["numpy"])


def _numpy() -> Any:  # noqa: ANN401 - the module; imported by name: the library needs torch alone
    try:
        return importlib.import_module("numpy")
    except ImportError:
        return None
