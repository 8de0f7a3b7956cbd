"""From sample ids to decoded and augmented images, in whichever process that is asked for.

An image that does not decode is no exception here: a worker could only hand one over as a page of
traceback. It is left out of the batch and reported beside it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from es_repro.data.cuts import Labelled, Rows
from es_repro.data.transforms import Views, decode, drawing, resized

__all__ = ["EVALUATION", "Decoded", "Part", "Pictures", "Problem", "Request", "Stored"]

EVALUATION = -1  # in the place of an epoch: the evaluation split, not augmented
Request = tuple[int, int]  # (epoch or EVALUATION, id)


class Stored(Labelled, Protocol):
    """A split in its files."""

    @property
    def listing(self) -> bytes: ...  # what tells one copy of it from another
    def name(self, row: int) -> str: ...
    def read(self, row: int) -> bytes: ...


class Problem(NamedTuple):
    """An image that could not be had.

    Attributes:
        name: its file.
        reason: why.
        damaged: what was read does not decode; else it could not be read at all.
    """

    name: str
    reason: str
    damaged: bool


class Decoded(NamedTuple):
    """The images of one request that could be had.

    Attributes:
        ids: [m] int64, in the order asked for.
        pixels: [m, S, S, 3] uint8.
        targets: [m] int64.
        problems: one for every image that is missing.
    """

    ids: Tensor
    pixels: Tensor
    targets: Tensor
    problems: tuple[Problem, ...]


class Part:
    """Some rows of a split, read from its files or decoded once into memory.

    Args:
        stored: the split in its files.
        chosen: the rows, and the labels given to them.
        resize: keep every image in memory with so many pixels along its shorter side; None: read
            and decode it whenever it is asked for.
    """

    def __init__(self, stored: Stored, chosen: Rows, resize: int | None) -> None:
        self.stored, self.targets = stored, chosen.targets
        self._rows, self._resize = chosen.rows, resize
        self._kept: dict[int, Tensor | Problem] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def fill(self) -> None:
        """Decode what is to be kept in memory; runs of one process share it."""
        if self._resize is None:
            return
        self._kept = _memory(self.stored.origin, self.stored.listing, self._resize)
        for row in self._rows.tolist():
            if row not in self._kept:
                self._kept[row] = self._load(row)

    def image(self, sample: int) -> Tensor | Problem:
        """The image [3, H, W] uint8 of a sample."""
        row = int(self._rows[sample])
        return self._load(row) if self._kept is None else self._kept[row]

    def _load(self, row: int) -> Tensor | Problem:
        try:
            image = decode(self.stored.read(row))
        except OSError as error:
            reason = error.strerror or str(error)
            return Problem(self.stored.name(row), f"cannot be read ({reason})", False)
        except ValueError as error:
            return Problem(self.stored.name(row), f"the image is damaged ({error})", True)
        return image if self._resize is None else resized(image, self._resize)


@lru_cache(maxsize=4)
def _memory(_origin: str, _listing: bytes, _resize: int) -> dict[int, Tensor | Problem]:
    """What was decoded of one split, filled by those who ask for it."""
    return {}


class Pictures:
    """A data set as a `DataLoader` wants it: asked for (epoch, id) pairs, a batch at a time.

    The epoch comes with the id, so that workers which outlive an epoch never augment for another.

    Args:
        train: the samples with ids 0..n-1.
        held: the evaluation split.
        views: how they look.
        seed: of the augmentation.
    """

    def __init__(self, train: Part, held: Part, views: Views, seed: int) -> None:
        self._train, self._held, self._seed = train, held, seed
        self._size = views.image_size
        self._training, self._evaluation = views.training(), views.evaluation()

    def __getitems__(self, requests: Sequence[Request]) -> Decoded:
        """One batch, of one epoch or of the evaluation split."""
        ids, views, problems = [], [], []
        for epoch, sample in requests:
            view = self._view(epoch, sample)
            if isinstance(view, Problem):
                problems.append(view)
            else:
                ids.append(sample)
                views.append(view.permute(1, 2, 0))
        empty = torch.empty(0, self._size, self._size, 3, dtype=torch.uint8)
        index = torch.tensor(ids, dtype=torch.int64)
        targets = self._part(requests[0][0]).targets[index]
        return Decoded(index, torch.stack(views) if views else empty, targets, tuple(problems))

    def _view(self, epoch: int, sample: int) -> Tensor | Problem:
        """One view, [3, S, S] uint8."""
        image = self._part(epoch).image(sample)
        if isinstance(image, Problem):
            return image
        if epoch == EVALUATION:
            return self._evaluation(image)
        with drawing(self._seed, epoch, sample):
            return self._training(image)

    def _part(self, epoch: int) -> Part:
        return self._held if epoch == EVALUATION else self._train
