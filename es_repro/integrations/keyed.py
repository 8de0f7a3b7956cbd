"""Sample ids as one more field of the batches that trainers pass around as dictionaries."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor

from es_repro.selection import IndexedBatch, IndexedCollate

__all__ = ["INDEX", "KeyedCollate", "join_index", "split_index"]

INDEX = "sample_index"
SCORED = "sample_scored"  # there where the selector has seen the rows' losses


class KeyedCollate(IndexedCollate):
    """A ``collate_fn`` for `Indexed` samples: what the given one answers, with ids under `INDEX`.

    Raises:
        ValueError: it answers no mapping.
    """

    def __call__(self, samples: list[tuple[int, Any]]) -> Any:  # noqa: ANN401 - a mapping
        batch = super().__call__(samples)
        if not isinstance(batch.data, MutableMapping):
            kind = type(batch.data).__name__
            raise ValueError(
                f"data_collator={kind}: must answer a dictionary, to which ids are added"
            )
        batch.data[INDEX] = batch.index
        return batch.data


def join_index(rows: IndexedBatch) -> dict[str, Any]:
    """What `split_index` takes apart."""
    scored = {SCORED: True} if rows.scored else {}
    return {**rows.data, INDEX: rows.index, **scored}


def split_index(batch: object) -> IndexedBatch:
    """The ids of a batch, whether it was scored, and the batch without them.

    Raises:
        ValueError: the ids are gone: names who may have taken them.
    """
    if not isinstance(batch, Mapping) or INDEX not in batch:
        raise ValueError(
            f"batch: must hold {INDEX!r}, the sample ids that this trainer's own loader adds; was "
            "the training dataloader replaced, or the column removed?"
        )
    index: Tensor = batch[INDEX]
    rest = {name: field for name, field in batch.items() if name not in (INDEX, SCORED)}
    return IndexedBatch(index, rest, SCORED in batch)
