"""One split of images as ImageNet has it: a folder a class, `<wnid>/*.JPEG`.

Nothing but names and sizes is read; which images there are is known from the listing alone.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from es_repro.data.errors import DataDamaged

__all__ = ["FolderSplit", "class_names"]

EXTENSIONS = (".jpeg", ".jpg", ".png")


def class_names(folder: Path, num_classes: int) -> list[str]:
    """The class folders of a training split; a class's label is its place in this order.

    Raises:
        DataDamaged: another number of them than the data set is known to have.
    """
    names = _folders(folder)
    if not names:
        raise DataDamaged(
            f"{folder}: no class folders; the layout is one folder a class, <wnid>/*.JPEG"
        )
    if len(names) != num_classes:
        raise DataDamaged(
            f"{folder}: {len(names)} class folders, not {num_classes}; "
            "it is another data set, or a part of it is missing"
        )
    return names


class FolderSplit:
    """The images below the class folders of one split.

    Args:
        folder: of the split.
        classes: the names of its class folders, by label.

    Attributes:
        origin: the folder, as a message names it.
        targets: [n] int64.
        listing: what tells one copy from another: names, sizes and labels, as bytes.

    Raises:
        DataDamaged: a class folder is missing, empty, or one too many.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        found = _folders(folder)
        if missing := sorted(set(classes) - set(found)):
            raise DataDamaged(
                f"{folder / missing[0]}: this class folder is missing ({len(missing)} of "
                f"{len(classes)} are); fetch it"
            )
        if unknown := sorted(set(found) - set(classes)):
            raise DataDamaged(f"{folder / unknown[0]}: no class of that name in the other split")
        names, sizes, counts = [], [], []
        for name in classes:
            images = sorted(_images(folder / name))
            if not images:
                raise DataDamaged(f"{folder / name}: holds no images; fetch them")
            names += [os.fsencode(f"{name}/{image}") for image, _ in images]
            sizes += [size for _, size in images]
            counts.append(len(images))
        self.origin, self._folder = str(folder), folder
        # One array of bytes: a list of strings would be copied into every worker by and by, for
        # reading a string touches its reference count.
        self._names, self._sizes = np.array(names), np.array(sizes, dtype=np.int64)
        self.targets: Tensor = torch.arange(len(classes)).repeat_interleave(torch.tensor(counts))

    @property
    def listing(self) -> bytes:
        """Relative path, size and label of every image."""
        parts = (self._names, self._sizes, self.targets.numpy())
        return b"".join(str(part.dtype).encode() + part.tobytes() for part in parts)

    def name(self, row: int) -> str:
        """Where the image of a row lies."""
        return str(self._folder / os.fsdecode(bytes(self._names[row])))

    def read(self, row: int) -> bytes:
        """The encoded image of a row.

        Raises:
            OSError: it cannot be read.
        """
        return Path(self.name(row)).read_bytes()


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(x.name for x in entries if x.is_dir() and not x.name.startswith("."))
    except OSError as error:
        raise DataDamaged(f"{folder}: cannot be listed ({error.strerror})") from error


def _images(folder: Path) -> list[tuple[str, int]]:
    with os.scandir(folder) as entries:
        return [
            (x.name, x.stat().st_size)
            for x in entries
            if x.name.lower().endswith(EXTENSIONS) and not x.name.startswith(".")
        ]
