"""CIFAR in the layout of its home page, which torchvision uses: folders of pickled batches.

Source: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import codecs
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from es_repro.data.errors import DataDamaged
from es_repro.data.images import Source

__all__ = ["LAYOUTS", "Layout", "read_pickled"]

PIXELS = 3 * 32 * 32  # a row of `data`: one channel after the other


@dataclass(frozen=True)
class Layout:
    """Folder, files and label key of one data set."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: str


LAYOUTS: Mapping[str, Layout] = {
    "cifar10": Layout(
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test=("test_batch",),
        labels="labels",
    ),
    "cifar100": Layout(
        folder="cifar-100-python", train=("train",), test=("test",), labels="fine_labels"
    ),
}


def read_pickled(root: Path, layout: Layout) -> tuple[Source, Source]:
    """The train and the test split.

    Raises:
        DataDamaged: a file is missing, truncated or not what it should be.
    """
    folder = root / layout.folder
    return _read(folder, layout.train, layout.labels), _read(folder, layout.test, layout.labels)


def _read(folder: Path, files: tuple[str, ...], key: str) -> Source:
    parts = [_batch(folder / file, key) for file in files]
    images = torch.cat([pixels for pixels, _ in parts])
    targets = torch.cat([labels for _, labels in parts])
    origin = str(folder / files[0]) if len(files) == 1 else f"{folder}/{files[0]}..{files[-1]}"
    return Source(origin, targets, lambda rows: images[rows])


def _batch(path: Path, key: str) -> tuple[torch.Tensor, torch.Tensor]:
    """One file: pixels [m, 3, 32, 32] uint8 and labels [m] int64."""
    again = "delete its folder and let it be downloaded again"
    if not path.is_file():
        raise DataDamaged(f"{path}: missing from its folder; {again}")
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="latin1").load()
        pixels, labels = np.asarray(batch["data"]), np.asarray(batch[key], dtype=np.int64)
    except Exception as error:  # broken pickles raise nearly anything
        raise DataDamaged(f"{path}: no whole CIFAR batch ({error!r}); {again}") from error
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (PIXELS,) or labels.ndim != 1:
        raise DataDamaged(f"{path}: data is {pixels.dtype} {pixels.shape}, not rows of {PIXELS}")
    if len(pixels) != len(labels):
        raise DataDamaged(f"{path}: {len(pixels)} images but {len(labels)} labels; {again}")
    return torch.from_numpy(pixels.copy()).view(-1, 3, 32, 32), torch.from_numpy(labels)


class _ArraysOnly(pickle.Unpickler):
    """Builds NumPy arrays and plain containers, and calls nothing else a file may ask for."""

    _reconstruct: Callable[..., Any] = np.empty(0).__reduce__()[0]  # type: ignore[assignment]
    _allowed: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 1, the published files
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 2
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): codecs.encode,
    }

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's own signature
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self._allowed[module, name]
