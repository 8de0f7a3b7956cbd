"""Peak memory by kind of epoch, selecting or plain, and what a step keeps for its backward pass.

Without that split, a run's peak says nothing of selection: it is that of its annealed epochs, which
train on whole meta-batches (Sec. 4.1 of the paper names one number a method).
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from es_repro.process.machine import PeakMemory

__all__ = ["Memory", "SavedActivations"]


class Memory:
    """A run's peaks, by the record's names.

    Args:
        device: where it runs: allocated bytes on CUDA, the process's resident ones on a CPU.
        activations: count those too; not of compiled passes, which save what their compiler chose
            where no hook sees it.
    """

    def __init__(self, device: torch.device, *, activations: bool = True) -> None:
        self._process, self._activations = PeakMemory(device), activations
        self._found: dict[str, int | None] = {"memory/peak_bytes": None}

    def start_epoch(self) -> None:
        """Look at training alone from here on."""
        self._raise("memory/peak_bytes", self._process.read())
        self._process.reset()

    def end_epoch(self, *, selecting: bool) -> None:
        """Take the peak since `start_epoch` as that of an epoch of its kind."""
        peak = self._process.read()
        for name in (_name(selecting, ""), "memory/peak_bytes"):
            self._raise(name, peak)

    @contextlib.contextmanager
    def step(self, model: nn.Module, *, selecting: bool) -> Iterator[None]:
        """Around a training pass: what it saves is taken as that of every step of its kind."""
        if not self._activations:
            yield
            return
        with SavedActivations(model) as saved:
            yield
        self._raise(_name(selecting, "activation_"), saved.peak_bytes)

    def summary(self) -> dict[str, int | None]:
        """The peaks so far; kinds that never came are left out."""
        self._raise("memory/peak_bytes", self._process.read())
        return dict(self._found)

    def state_dict(self) -> dict[str, int | None]:
        """The peaks so far, by the record's names."""
        return self.summary()

    def load_state_dict(self, state: dict[str, int | None]) -> None:
        """Go on from the peaks of an interrupted run."""
        for name, peak in state.items():
            self._raise(name, peak)

    def _raise(self, name: str, peak: int | None) -> None:
        known = self._found.get(name)
        self._found[name] = known if peak is None else max(peak, known or 0)


class SavedActivations:
    """Inside, counts the bytes that autograd holds for backward passes, parameters left out.

    By distinct storages, as long as they are held: of micro-batches, which follow one another, the
    largest counts.

    Args:
        model: whose parameters and buffers are not activations.
    """

    def __init__(self, model: nn.Module) -> None:
        own = [*model.parameters(), *model.buffers()]
        self._own = {tensor.untyped_storage().data_ptr() for tensor in own}
        self._held: Counter[int] = Counter()
        self._bytes = 0
        self.peak_bytes = 0
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)

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

    def _pack(self, tensor: Tensor) -> Any:  # noqa: ANN401 - whatever `_unpack` understands
        storage = tensor.untyped_storage()
        if storage.data_ptr() in self._own:
            return tensor
        return _Held(tensor, self)

    def hold(self, address: int, num_bytes: int, change: int) -> None:
        """A saved tensor over this storage has come (+1) or gone (-1)."""
        before = self._held[address]
        self._held[address] += change
        if (before == 0) != (self._held[address] == 0):
            self._bytes += change * num_bytes
            self.peak_bytes = max(self.peak_bytes, self._bytes)


class _Held:
    """A saved tensor, for as long as the graph needs it."""

    def __init__(self, tensor: Tensor, counter: SavedActivations) -> None:
        storage = tensor.untyped_storage()
        self.tensor, self._counter = tensor, counter
        self._key = storage.data_ptr(), storage.nbytes()
        counter.hold(*self._key, 1)

    def __del__(self) -> None:
        self._counter.hold(*self._key, -1)


def _unpack(saved: Any) -> Tensor:  # noqa: ANN401 - what `_pack` answered
    return saved.tensor if isinstance(saved, _Held) else saved


def _name(selecting: bool, what: str) -> str:
    return f"memory/{'selecting' if selecting else 'plain'}_{what}bytes"
