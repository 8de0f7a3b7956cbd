"""`torch.compile` for the passes of a run, at the batch sizes that its steps have."""

import contextlib
from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from es_repro.settings import CompileMode

__all__ = ["Compiler", "resolve_compile"]


def resolve_compile(name: bool | str, device: torch.device) -> bool:
    """`auto`, true or false as what this device is better off with.

    `auto` compiles on CUDA alone: there the kernels of small nets are bound by their launches. On
    a CPU it takes 20 to 30 seconds a shape to save a tenth of a step.

    Raises:
        ValueError: another value.
    """
    if name not in ("auto", True, False):
        raise ValueError(f"compile={name}: must be auto, true or false")
    return device.type == "cuda" if name == "auto" else bool(name)


class Compiler:
    """Compiles modules for some batch sizes and lets every other size run as it is.

    Args:
        enabled: whether to compile at all.
        mode: of `torch.compile`.
    """

    def __init__(self, enabled: bool, mode: CompileMode) -> None:
        self.enabled, self._mode = enabled, mode
        self._sizes: frozenset[int] = frozenset()

    def wrap(self, model: nn.Module) -> nn.Module:
        """The module compiled, sharing all parameters, or itself."""
        if not self.enabled:
            return model
        return cast(nn.Module, torch.compile(model, mode=self._mode, dynamic=False))

    def fix_sizes(self, sizes: Iterable[int | None]) -> None:
        """Say which numbers of rows are worth a compilation."""
        self._sizes = frozenset(size for size in sizes if size is not None)

    def at(self, rows: int) -> contextlib.AbstractContextManager[object]:
        """Around a pass over `rows` rows: a short last batch must not compile anew."""
        if not self.enabled or rows in self._sizes:
            return contextlib.nullcontext()
        return torch.compiler.set_stance("force_eager")
