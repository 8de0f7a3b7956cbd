"""What a step keeps in memory: activations to the byte, and the device's own peak."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from es_repro.bench.stepping import Stepper

__all__ = ["Footprint", "SavedActivations", "footprint"]


@dataclass(frozen=True)
class Footprint:
    """The memory of one step.

    Attributes:
        saved_activations: bytes that its forward passes keep for the backward.
        peak_bytes: the most that was allocated at once, weights and optimizer included; CUDA only.
    """

    saved_activations: int
    peak_bytes: int | None = None


class _Saved:
    """A tensor that the graph holds; gone when the graph lets go of it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class SavedActivations:
    """Counts the bytes of what autograd saves for the backward, each storage once.

    Exact on any device, where the resident memory of a process is too coarse for a small net. The
    inputs count, parameters and buffers do not: they are there anyway.

    Args:
        permanent: parameters and buffers.

    Attributes:
        peak: the most bytes alive at once since it was entered.
    """

    def __init__(self, permanent: Iterable[Tensor]) -> None:
        self._permanent = {tensor.untyped_storage().data_ptr() for tensor in permanent}
        self._holders: Counter[int] = Counter()
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)
        self._alive = 0
        self.peak = 0

    def __enter__(self) -> "SavedActivations":
        self._hooks.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hooks.__exit__(kind, error, trace)

    def _pack(self, tensor: Tensor) -> _Saved:
        storage = tensor.untyped_storage()
        saved, place = _Saved(tensor), storage.data_ptr()
        if place in self._permanent:
            return saved
        self._holders[place] += 1
        if self._holders[place] == 1:
            self._alive += storage.nbytes()
            self.peak = max(self.peak, self._alive)
        weakref.finalize(saved, self._release, place, storage.nbytes())
        return saved

    def _release(self, place: int, size: int) -> None:
        self._holders[place] -= 1
        if self._holders[place] == 0:
            self._alive -= size


def _unpack(saved: _Saved) -> Tensor:
    return saved.tensor


def footprint(stepper: Stepper) -> Footprint:
    """The memory of one step, uncompiled."""
    net, device = stepper.engine.net, stepper.engine.fabric.device
    with torch.compiler.set_stance("force_eager"):
        peak = _cuda_peak(stepper.step, device)
        with SavedActivations([*net.parameters(), *net.buffers()]) as saved:
            stepper.step()
    return Footprint(saved.peak, peak)


def _cuda_peak(step: Callable[[], None], device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    step()  # what the allocator keeps from other sizes is returned
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device)
