"""Tensors on their way to the device: batches travel one ahead of the step that needs them."""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["on_device", "to_device"]

Tensors = tuple[Tensor, ...]


def to_device(batches: Iterator[Tensors], device: torch.device) -> Iterator[Tensors]:
    """The tensors of each batch on `device`.

    On CUDA, a batch is copied in a stream of its own while the step before it computes; the step
    that takes it waits for its copy in the stream, the host for nothing. Copies overlap only from
    pinned memory.
    """
    if device.type != "cuda":
        for batch in batches:
            yield tuple(tensor.to(device) for tensor in batch)
        return
    copying = torch.cuda.Stream(device)
    ahead: tuple[Tensors, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(copying):
            moved = tuple(tensor.to(device, non_blocking=True) for tensor in batch)
            done = copying.record_event()
        if ahead is not None:
            yield _taken(*ahead)
        ahead = moved, done
    if ahead is not None:
        yield _taken(*ahead)


def on_device(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    """The tensor there, or None where there is none."""
    return None if tensor is None else tensor.to(device)


def _taken(moved: Tensors, done: torch.cuda.Event) -> Tensors:
    stream = torch.cuda.current_stream(moved[0].device)
    stream.wait_event(done)
    for tensor in moved:
        tensor.record_stream(stream)  # its memory is not given away before the step is done with it
    return moved
