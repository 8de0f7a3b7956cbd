"""Batches that know their sample ids, whatever data set and ``collate_fn`` they come from."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, default_collate

from es_repro.selection.checks import require

__all__ = ["Indexed", "IndexedBatch", "IndexedCollate", "take_rows", "tensor_rows"]

Collate = Callable[[list[Any]], Any]

KNOWN = (
    "a tensor, a list, a tuple or a mapping, whose rows are known, or a number or a string of the "
    "batch as a whole; collate_fn can make it one"
)


@dataclass(frozen=True, eq=False)
class IndexedBatch:
    """What a loader of `Indexed` samples delivers.

    Attributes:
        index: [m] int64 sample ids.
        data: what ``collate_fn`` made of the m samples: tensors [m, ...] in any nesting of tuples,
            lists and mappings (`BatchEncoding` included), and lists of m Python objects.
        scored: whether the selector has seen the losses of these rows, in a scoring pass.
    """

    index: Tensor
    data: Any
    scored: bool = False

    def take(self, positions: Tensor) -> "IndexedBatch":
        """The rows at `positions` [b] int64.

        Raises:
            ValueError: a tensor of the batch has no m rows.
        """
        rows = take_rows(self.data, positions, len(self.index))
        return IndexedBatch(self.index.index_select(0, positions), rows, self.scored)

    def split(self, size: int) -> Iterator["IndexedBatch"]:
        """Consecutive pieces of at most `size` rows, for gradients that are accumulated."""
        places = torch.arange(len(self.index), device=self.index.device)
        return (self.take(place) for place in torch.split(places, size))

    def pin_memory(self) -> "IndexedBatch":
        """For DataLoader, which asks for it by this name."""
        pinned = _mapped(self.data, lambda rows, _: rows.pin_memory())
        return IndexedBatch(self.index.pin_memory(), pinned, self.scored)

    def to(self, device: torch.device) -> "IndexedBatch":
        """The same batch with its tensors on a device; does not wait where memory is pinned."""
        moved = _mapped(self.data, lambda rows, _: rows.to(device, non_blocking=True))
        return IndexedBatch(self.index.to(device, non_blocking=True), moved, self.scored)


class Indexed(Dataset[tuple[int, Any]]):
    """A map-style data set whose samples carry their ids: sample i is ``(i, dataset[i])``.

    Args:
        dataset: of 0..n-1.

    Raises:
        ValueError: it has no length or no items: an iterable data set has no ids.
    """

    def __init__(self, dataset: Any) -> None:  # noqa: ANN401 - anything with items and a length
        mapped = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
        mapped &= not isinstance(dataset, IterableDataset)  # inherits one that only raises
        require(mapped, "dataset", type(dataset).__name__, "map-style, with len() and items by id")
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]

    def __getitems__(self, ids: Sequence[int]) -> list[tuple[int, Any]]:
        """Several at once, by the data set's own means where it has any."""
        fetch = getattr(self.dataset, "__getitems__", None)
        samples = [self.dataset[i] for i in ids] if fetch is None else fetch(ids)
        return list(zip(ids, samples, strict=True))


class IndexedCollate:
    """A ``collate_fn`` for `Indexed` samples around one for the bare ones; it pickles if that does.

    Args:
        collate_fn: torch's default where None.
    """

    def __init__(self, collate_fn: Collate | None = None) -> None:
        self.collate_fn: Collate = default_collate if collate_fn is None else collate_fn

    def __call__(self, samples: list[tuple[int, Any]]) -> IndexedBatch:
        ids, rows = zip(*samples, strict=True)
        return IndexedBatch(torch.tensor(ids, dtype=torch.int64), self.collate_fn(list(rows)))


def take_rows(data: Any, positions: Tensor, rows: int | None = None) -> Any:  # noqa: ANN401 - any nesting
    """The rows at `positions` of everything in a batch, as a batch of the same make.

    Tensors keep their memory format, and tuples, lists and mappings (`BatchEncoding` included)
    their types. A list of Python objects is a column and cut too, for which the positions are read
    back from the device. Numbers, strings, None and 0-d tensors belong to the batch as a whole.

    Args:
        data: tensors [m, ...] and columns of m objects, in any nesting.
        positions: [b] int64, in 0..m-1; on any device.
        rows: m; None: as many as the first part has.

    Raises:
        ValueError: a part has another number of rows, or is of a make whose rows are not known
            here; names its place.
    """

    def check(part: Any, name: str) -> None:  # noqa: ANN401
        nonlocal rows
        rows = len(part) if rows is None else rows
        require(len(part) == rows, f"len({name})", len(part), f"{rows}, the rows of the batch")

    def of_tensor(part: Tensor, name: str) -> Tensor:
        if part.ndim == 0:
            return part
        check(part, name)
        return tensor_rows(part, positions.to(part.device))

    def of_other(part: Any, name: str) -> Any:  # noqa: ANN401
        if isinstance(part, list | tuple):
            check(part, name)
            return type(part)(part[i] for i in positions.tolist())
        whole = part is None or isinstance(part, Number | str | bytes)
        require(whole, name, type(part).__name__, KNOWN)
        return part

    return _mapped(data, of_tensor, of_other)


def tensor_rows(rows: Tensor, positions: Tensor) -> Tensor:
    """The rows at `positions` [b] int64 of a tensor [m, ...], in its memory format.

    `index_select` answers a contiguous tensor whatever it was given.
    """
    if rows.dim() == 4 and rows.is_contiguous(memory_format=torch.channels_last):
        return rows.permute(0, 2, 3, 1).index_select(0, positions).permute(0, 3, 1, 2)
    return rows.index_select(0, positions)


def _mapped(
    data: Any,  # noqa: ANN401
    change: Callable[[Tensor, str], Any],
    other: Callable[[Any, str], Any] = lambda part, _: part,
    name: str = "batch",
) -> Any:  # noqa: ANN401
    """The same nesting: every tensor changed, and by `other` what holds none; both hear where."""
    if isinstance(data, Tensor):
        return change(data, name)
    if isinstance(data, Mapping):
        changed = {k: _mapped(v, change, other, f"{name}[{k!r}]") for k, v in data.items()}
        try:
            twin: Any = copy.copy(data)  # keeps the type, such as BatchEncoding, and its attributes
            twin.update(changed)
        except (AttributeError, TypeError):  # a mapping that cannot be written to
            return changed
        return twin
    if not isinstance(data, list | tuple):
        return other(data, name)
    if not any(isinstance(part, Tensor | Mapping | list | tuple) for part in data):
        return other(data, name) if data else data
    parts = [_mapped(part, change, other, f"{name}[{i}]") for i, part in enumerate(data)]
    return type(data)(*parts) if hasattr(data, "_fields") else type(data)(parts)
