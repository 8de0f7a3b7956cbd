"""What is picked: plans, positions, how many, and by which random numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from es_repro.selection.base import EpochPlan
from es_repro.selection.conformance.drive import (
    EPOCHS,
    SAMPLES,
    Factory,
    all_losses,
    expect,
    global_generators,
    meet,
    run,
    run_epoch,
    same,
    signals_of,
    told,
)
from es_repro.selection.foreign import Foreign
from es_repro.selection.sampling import count

__all__ = [
    "budget_is_kept", "global_generators_are_left_alone", "inputs_are_left_alone",
    "picks_are_positions", "plans_are_of_the_data_set", "seed_alone_decides",
]  # fmt: skip

SIZES = (32, 1, 17, 2, 3, 5, 30)  # of meta-batches: whole, short, and of a single row


def plans_are_of_the_data_set(factory: Factory) -> None:
    """A plan holds distinct ids 0..n-1, int64 on the CPU, and factors that make sense."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    for epoch in range(EPOCHS):
        plan = selector.plan_epoch(epoch)
        expect(isinstance(plan, EpochPlan), f"epoch {epoch}: {type(plan).__name__} is no EpochPlan")
        _expect_ids(plan.indices, f"epoch {epoch}: indices")
        expect(len(plan.indices) > 0, f"epoch {epoch}: nothing is planned")
        if plan.refresh is not None:
            _expect_ids(plan.refresh, f"epoch {epoch}: refresh")
            both = set(plan.refresh.tolist()) & set(plan.indices.tolist())
            expect(not both, f"epoch {epoch}: ids {sorted(both)[:5]} are planned and hidden")
        scale, ratio = plan.lr_scale, plan.batch_ratio
        expect(math.isfinite(scale) and scale > 0, f"epoch {epoch}: lr_scale={scale}")
        expect(0 < ratio <= 1, f"epoch {epoch}: batch_ratio={ratio}, not in (0, 1]")
        run_epoch(selector, epoch)


def picks_are_positions(factory: Factory) -> None:
    """`select` answers distinct positions in the meta-batch, ascending, int64, by any loss type."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    for epoch in range(EPOCHS):
        losses = all_losses(epoch)
        for number, index in enumerate(_cut(selector.plan_epoch(epoch).indices)):
            dtype = (torch.float32, torch.bfloat16, torch.float64)[number % 3]
            seen, m = losses[index].to(dtype), len(index)
            positions = selector.select(index, seen, **signals_of(selector, seen))
            where = f"epoch {epoch}, a batch of {m}"
            expect(positions.dtype == torch.int64, f"{where}: positions are {positions.dtype}")
            expect(positions.ndim == 1, f"{where}: positions of shape {tuple(positions.shape)}")
            found = positions.tolist()
            expect(len(set(found)) == len(found), f"{where}: {found} are not distinct")
            expect(found == sorted(found), f"{where}: {found} are not ascending")
            expect(all(0 <= i < m for i in found), f"{where}: {found} are not all in 0..{m - 1}")


def budget_is_kept(factory: Factory) -> None:
    """Of a batch of m, b is ``max(1, half_up(f * m))``; all m where nothing is selected.

    A selector of another make that states no f must pick equally many of equally long batches.
    """
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    unstated: dict[int, int] = {}  # b by m
    for epoch in range(EPOCHS):
        losses = all_losses(epoch)
        for index in _cut(selector.plan_epoch(epoch).indices):
            m, seen = len(index), losses[index]
            selecting, ratio = selector.selects_batches, selector.batch_ratio
            stated = ratio is not None or isinstance(selector, Foreign)
            expect(not selecting or stated, "it selects batches, and batch_ratio=None")
            picked = len(selector.select(index, seen, **signals_of(selector, seen)))
            wanted = m
            if selecting:
                wanted = unstated.setdefault(m, picked) if ratio is None else count(ratio, m)
            rule = f"batch_ratio={ratio}" if selecting else "an epoch that does not select"
            expect(picked == wanted, f"{rule}: {picked} of {m} are picked, not {wanted}")


def inputs_are_left_alone(factory: Factory) -> None:
    """Neither ids nor losses are changed in place: the loop goes on with them."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    for epoch in range(EPOCHS):
        plan = selector.plan_epoch(epoch)
        index, losses = plan.indices.clone(), all_losses(epoch)[plan.indices]
        ids, values = index.clone(), losses.clone()
        trained = meet(selector, index, losses)
        selector.reduce(index[trained], losses[trained])
        expect(index.equal(ids), f"epoch {epoch}: the ids passed were changed")
        expect(losses.equal(values), f"epoch {epoch}: the losses passed were changed")


def seed_alone_decides(factory: Factory) -> None:
    """The same seed picks the same; another seed picks other samples, where any are drawn."""
    with _Draws() as draws:
        first = run(factory, seed=7)
    torch.default_generator.manual_seed(1)
    second = run(factory, seed=7)
    expect(first == second, f"two runs of one seed: {told(first, second)}")
    if draws.drawn:
        expect(run(factory, seed=8) != first, "another seed draws the very same samples")


def global_generators_are_left_alone(factory: Factory) -> None:
    """No call moves torch's, NumPy's or Python's global generator."""
    before = global_generators()
    run(factory, seed=7)
    after = global_generators()
    for name, state in before.items():
        moved = not same(_plain(state), _plain(after[name]))
        expect(not moved, f"the global generator of {name} was moved")


class _Draws(TorchDispatchMode):
    """Sees whether any operator of torch draws random numbers."""

    drawn = False

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - as torch declares it, and the result below
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        # The losses of the trial are drawn too, by generators of their own: 1,000 and up.
        if torch.Tag.nondeterministic_seeded in func.tags:
            generator = (kwargs or {}).get("generator")
            ours = generator is not None and 1000 <= generator.initial_seed() < 1000 + EPOCHS
            self.drawn |= not ours
        return func(*args, **(kwargs or {}))


def _cut(ids: Tensor) -> list[Tensor]:
    """A plan in meta-batches of all sizes."""
    sizes: list[int] = []
    left = len(ids)
    while left:
        sizes.append(min(left, SIZES[len(sizes) % len(SIZES)]))
        left -= sizes[-1]
    return list(ids.split(sizes))


def _expect_ids(ids: Tensor, name: str) -> None:
    expect(ids.dtype == torch.int64 and ids.ndim == 1, f"{name} are {ids.dtype}, {ids.ndim}-d")
    expect(ids.device.type == "cpu", f"{name} lie on {ids.device}, not on the CPU")
    found = ids.tolist()
    expect(len(set(found)) == len(found), f"{name} are not distinct")
    outside = [i for i in found if not 0 <= i < SAMPLES]
    expect(not outside, f"{name} hold {outside[:5]}, outside 0..{SAMPLES - 1}")


def _plain(state: Any) -> Any:  # noqa: ANN401 - a generator's state, whatever it is made of
    """NumPy's state holds an array, whose ``==`` is no truth value."""
    return [str(part) if not hasattr(part, "tolist") else part.tolist() for part in state]
