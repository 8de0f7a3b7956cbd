"""Some rows of a batch, whatever it is made of: tensors, tuples, mappings, columns of values."""

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor

from es_repro.selection.batches import tensor_rows

__all__ = ["take_rows"]

VALUES = (str, bytes, bool, int, float, type(None))  # whole where they stand, rows of a column


def take_rows(batch: Any, rows: Tensor) -> Any:  # noqa: ANN401  # as many kinds as there are loaders
    """The rows of a batch, as a batch of the same make.

    Tensors give up rows of their first dimension and keep their memory format; tuples, lists and
    mappings (transformers' BatchEncoding among them) give up those of their members; a list of
    plain values is a column; numbers, strings and scalars stay.

    Args:
        batch: of m rows.
        rows: [b] int64, in 0..m-1.

    Raises:
        TypeError: something in it is none of these.
    """
    if isinstance(batch, Tensor):
        return tensor_rows(batch, rows.to(batch.device)) if batch.ndim else batch
    if isinstance(batch, VALUES):
        return batch
    if isinstance(batch, MutableMapping):
        taken = copy.copy(batch)
        taken.update({name: take_rows(member, rows) for name, member in batch.items()})
        return taken
    if isinstance(batch, Mapping):
        return {name: take_rows(member, rows) for name, member in batch.items()}
    if isinstance(batch, list | tuple):
        if batch and all(isinstance(member, VALUES) for member in batch):
            members = [batch[row] for row in rows.tolist()]
        else:
            members = [take_rows(member, rows) for member in batch]
        named = hasattr(batch, "_fields")
        return type(batch)(*members) if named else type(batch)(members)
    raise TypeError(f"rows of a {type(batch).__name__} are not known here")
