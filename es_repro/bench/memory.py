"""What a step keeps in memory: activations to the byte, and the device's own peak."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from es_repro.bench.stepping import Stepper
from es_repro.costs.memory import SavedActivations

__all__ = ["Footprint", "footprint"]


@dataclass(frozen=True)
class Footprint:
    """The memory of one step.

    Attributes:
        saved_activations: bytes that its forward passes keep for the backward.
        peak_bytes: the most that was allocated at once, weights and optimizer included; CUDA only.
    """

    saved_activations: int
    peak_bytes: int | None = None


def footprint(stepper: Stepper) -> Footprint:
    """The memory of one step, uncompiled."""
    net, device = stepper.engine.net, stepper.engine.fabric.device
    with torch.compiler.set_stance("force_eager"):
        peak = _cuda_peak(stepper.step, device)
        with SavedActivations(net) as saved:
            stepper.step()
    return Footprint(saved.peak_bytes, peak)


def _cuda_peak(step: Callable[[], None], device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    step()  # what the allocator keeps from other sizes is returned
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device)
