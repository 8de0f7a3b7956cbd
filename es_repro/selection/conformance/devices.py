"""What waits: operators that make a GPU's queue run dry, found without a GPU."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from es_repro.selection.base import Selector
from es_repro.selection.conformance.drive import (
    BATCH,
    EPOCHS,
    SAMPLES,
    BrokenPromise,
    Factory,
    all_losses,
    expect,
    meet,
    run_epoch,
    signals_of,
)

__all__ = ["NoWaiting", "device_is_not_waited_for", "nothing_is_read"]

WAITING = {
    "aten._local_scalar_dense",
    "aten._unique2",
    "aten.equal",
    "aten.is_nonzero",
    "aten.masked_select",
    "aten.multinomial",
    "aten.nonzero",
    "aten.nonzero_numpy",
    "aten.repeat_interleave",
    "aten.unique_consecutive",
}
INDEXING = {"aten.index", "aten.index_put", "aten.index_put_"}
READS = ("tolist", "numpy", "item", "cpu", "__array__")  # on the CPU these call no operator


def device_is_not_waited_for(factory: Factory) -> None:
    """`select`, `observe` and `reduce` read nothing back and stay on the device of the losses."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    for epoch in range(EPOCHS):
        index = selector.plan_epoch(epoch).indices[:BATCH]
        losses = all_losses(epoch)[index]
        with NoWaiting(), nothing_is_read():
            _take(selector, index, losses)
        run_epoch(selector, epoch, start=1)
    _on_pretended_cuda(factory)


class NoWaiting(TorchDispatchMode):
    """Raises on every operator that would make a device's queue wait."""

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - as torch declares it, and the result below
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        name = str(func.overloadpacket)
        indices = args[1] if name in INDEXING else ()
        masked = any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)
        left = name == "aten._to_copy" and _leaves(args[0], (kwargs or {}).get("device"))
        if name in WAITING or masked or left:
            raise BrokenPromise(f"{func} waits for the device")
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def nothing_is_read() -> Iterator[None]:
    """Makes the methods that read a tensor's values raise."""
    kept = {name: getattr(Tensor, name) for name in READS}
    for name in READS:
        setattr(Tensor, name, _Reading(name))
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(Tensor, name, method)


class _Reading:
    """Stands in for a method that reads values back."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise BrokenPromise(f".{self.name}() waits for the device")


class _CpuGenerator(torch.Generator):
    """A generator of the CPU, whatever device it is asked for: a CUDA one cannot be pretended."""

    def __new__(cls, device: torch.device | str = "cpu") -> "_CpuGenerator":  # noqa: ARG004
        return super().__new__(cls, "cpu")  # type: ignore[call-arg]  # a stub's omission


def _on_pretended_cuda(factory: Factory) -> None:
    """Fake tensors on ``cuda`` raise wherever a value or another device is needed."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # a second to import

    generator = torch.Generator
    setattr(torch, "Generator", _CpuGenerator)  # noqa: B010 - put back below
    try:
        with FakeTensorMode():
            selector = factory(SAMPLES, EPOCHS, device="cuda", seed=7)
            index = torch.arange(BATCH, device="cuda")
            losses = torch.linspace(0, 3, BATCH, device="cuda")
            for epoch in (0, EPOCHS // 2):
                selector.epoch = epoch  # planning may wait, and fake tables have nothing to plan by
                with NoWaiting(), nothing_is_read():
                    found = _take(selector, index, losses)
                for name, tensor in found.items():
                    on = tensor.device.type
                    expect(on == "cuda", f"{name} answers a tensor on {on}, losses being on cuda")
    finally:
        setattr(torch, "Generator", generator)  # noqa: B010


def _take(selector: Selector, index: Tensor, losses: Tensor) -> dict[str, Tensor]:
    """One batch, selected or observed, and its objective."""
    positions = meet(selector, index, losses)
    if not selector.selects_batches:
        positions = selector.select(index, losses, **signals_of(selector, losses))
    objective = selector.reduce(index.index_select(0, positions), losses.index_select(0, positions))
    return {"select": positions, "reduce": objective}


def _leaves(tensor: Tensor, device: torch.device | None) -> bool:
    return device is not None and tensor.device.type != "cpu" and torch.device(device).type == "cpu"
