"""Passes beside the training pass: the scoring pass, and the trial that finds mixed rows."""

import contextlib
import importlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["collate_mixes", "depends_on_other_rows", "replayed", "scoring_pass"]

TRIALS = 3  # mixup may be switched on for some batches only, or draw a share close to 1
CLOSE = {"rtol": 1e-3, "atol": 1e-5}  # the same shapes and kernels: differences are bugs, not noise


@contextlib.contextmanager
def scoring_pass(model: nn.Module, device: torch.device) -> Iterator[None]:
    """A forward pass without gradient that leaves batch norm and torch's generators as they were.

    Modules stay in train mode, batch norm takes the batch's statistics and keeps its running ones
    (methods.md 1.6), and an autocast around it forgets the low-precision weights that it cached,
    which have no gradient.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    devices = [device] if device.type == "cuda" else []
    for norm in norms:
        norm.track_running_stats = False
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        torch.clear_autocast_cache()


@contextlib.contextmanager
def replayed(seed: int, device: torch.device, model: nn.Module | None = None) -> Iterator[None]:
    """Whatever runs inside draws the same numbers each time, and leaves no trace.

    Args:
        seed: of all global generators inside.
        device: of the model.
        model: its batch norm takes the running statistics, which are the same for all rows.
    """
    numpy = _numpy()
    kept = random.getstate(), None if numpy is None else numpy.random.get_state()
    buffers = [] if model is None else [(b, b.clone()) for b in model.buffers()]
    norms = (
        [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training] if model else []
    )
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.random.manual_seed(seed)
            random.seed(seed)
            if numpy is not None:
                numpy.random.seed(seed % 2**32)
            for norm in norms:
                norm.eval()
            yield
    finally:
        random.setstate(kept[0])
        if numpy is not None:
            numpy.random.set_state(kept[1])
        for norm in norms:
            norm.train()
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        torch.clear_autocast_cache()


def collate_mixes(
    dataset: Any,  # noqa: ANN401 - anything with items
    ids: Sequence[int],
    collate: Callable[[list[Any]], Any],
    device: torch.device,
) -> bool:
    """Whether a row of the batch that `collate` makes of these samples depends on the others."""
    with replayed(0, device):  # a sample may be augmented at random
        samples = [dataset[i] for i in ids]
    return depends_on_other_rows(
        len(ids), lambda places: collate([samples[i] for i in places]), device
    )


def depends_on_other_rows(
    rows: int,
    make: Callable[[list[int]], Any],
    device: torch.device,
    model: nn.Module | None = None,
) -> bool:
    """Whether what becomes of a row changes with the rows beside it: mixup, or in-batch losses.

    The first row is put in the place of the last one, which may change that row alone.

    Args:
        rows: m.
        make: answers tensors [m, ...], in any nesting, for the batch made of these positions.
        device: of the model.
        model: as of `replayed`.
    """
    whole = list(range(rows))
    other = [*whole[:-1], 0]
    for seed in range(TRIALS if rows > 1 else 0):
        seen = []
        for positions in (whole, other):
            with replayed(seed, device, model):
                seen.append(_tensors(make(positions)))
        for one, two in zip(*seen, strict=False):
            # Padded to another length, rows are not comparable; losses and images are.
            if one.shape == two.shape and len(one) == rows and not _close(one[:-1], two[:-1]):
                return True
    return False


def _close(one: Tensor, two: Tensor) -> bool:
    if not one.is_floating_point():
        return torch.equal(one, two)
    return torch.allclose(one.float(), two.float(), equal_nan=True, **CLOSE)


def _tensors(data: Any) -> list[Tensor]:  # noqa: ANN401 - any nesting
    if isinstance(data, Tensor):
        return [data] if data.ndim else []
    values = data.values() if hasattr(data, "values") else data
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def _numpy() -> Any:  # noqa: ANN401 - the module; imported by name: the library needs torch alone
    try:
        return importlib.import_module("numpy")
    except ImportError:
        return None
