"""The inputs of a batch, row by row, whatever they are made of: images, or sequences of tokens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from es_repro.selection.batches import tensor_rows

__all__ = [
    "Batch", "Inputs", "Tokens", "first_row", "length_order", "micro_batches", "row_shape",
    "rows_on", "same_rows", "split_rows", "take_rows",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tokens:
    """Sequences of a batch, padded on the right to a common length; a model takes `**fields`.

    Attributes:
        fields: by name, each [m, L]: input ids, attention mask, labels, ...
        lengths: [m] int64, CPU: where each row's padding begins.
        multiple: padded lengths are multiples of it, so that there are few shapes.
        trims: rows that are picked lose the padding that they no longer need. On an accelerator
            that waits for the positions, once a step: worth it for long sequences alone. On a CPU
            it is always done, for nothing waits there.
    """

    fields: Mapping[str, Tensor]
    lengths: Tensor
    multiple: int = 8
    trims: bool = False

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def padded_length(self) -> int:
        """L: tokens a row, padding included."""
        return next(iter(self.fields.values())).shape[1]

    def take(self, positions: Tensor, known: Tensor | None = None) -> "Tokens":
        """The rows at `positions` [b] int64, on the device; `known`: the same on the CPU."""
        fields = {name: field.index_select(0, positions) for name, field in self.fields.items()}
        if known is None and (self.trims or positions.device.type == "cpu"):
            known = positions.cpu()
        if known is not None:
            return self._trimmed(fields, self.lengths[known])
        # Which rows these are is known on the device alone: they stay as long as they came.
        return self._with(fields, torch.full((len(positions),), self.padded_length))

    def split(self, size: int) -> Sequence["Tokens"]:
        """Consecutive pieces of at most `size` rows, each as short as its longest row allows."""
        pieces = []
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            fields = {name: field[rows] for name, field in self.fields.items()}
            pieces.append(self._trimmed(fields, self.lengths[rows]))
        return pieces

    def _trimmed(self, fields: Mapping[str, Tensor], lengths: Tensor) -> "Tokens":
        longest = -(-int(lengths.max()) // self.multiple) * self.multiple
        return self._with({name: field[:, :longest] for name, field in fields.items()}, lengths)

    def _with(self, fields: Mapping[str, Tensor], lengths: Tensor) -> "Tokens":
        return Tokens(fields, lengths, self.multiple, self.trims)


Inputs = Tensor | Tokens
Batch = tuple[Tensor, Inputs, Tensor]  # index [m] int64, inputs of m rows, targets [m, ...]


def take_rows(inputs: Inputs, positions: Tensor) -> Inputs:
    """The rows at `positions` [b] int64; a tensor keeps its memory format."""
    if isinstance(inputs, Tokens):
        return inputs.take(positions)
    return tensor_rows(inputs, positions)


def split_rows(inputs: Inputs, size: int) -> Sequence[Inputs]:
    """Consecutive pieces of at most `size` rows."""
    return inputs.split(size)


def length_order(inputs: Inputs, size: int | None, *, enabled: bool = True) -> Tensor | None:
    """Rows from the longest to the shortest, [m] int64 on the CPU: pieces then hold little padding.

    None where it gains nothing: one piece, equal lengths, no sequences at all, or not `enabled`.
    """
    if not enabled or not isinstance(inputs, Tokens) or size is None or size >= len(inputs):
        return None
    if bool((inputs.lengths == inputs.lengths[0]).all()):
        return None
    return inputs.lengths.argsort(descending=True, stable=True)


def micro_batches(
    index: Tensor,
    inputs: Inputs,
    targets: Tensor,
    size: int | None,
    order: Tensor | None = None,
) -> Iterator[Batch]:
    """A batch in consecutive pieces of at most `size` rows; None: in one piece.

    Args:
        index: sample ids [m] int64.
        inputs: of m rows.
        targets: [m, ...].
        size: at least 1.
        order: [m] int64 on the CPU, the order in which the rows are cut; None: as they come.
    """
    size = size or len(index)
    if order is not None:
        assert isinstance(inputs, Tokens)
        there = order.to(index.device, non_blocking=True)
        index, inputs, targets = index[there], inputs.take(there, order), targets[there]
    return zip(index.split(size), split_rows(inputs, size), targets.split(size), strict=True)


def first_row(inputs: Inputs) -> Inputs:
    """One row [1, ...], as long as the batch that it came in."""
    if isinstance(inputs, Tokens):
        fields = {name: field[:1] for name, field in inputs.fields.items()}
        return Tokens(fields, inputs.lengths[:1], inputs.multiple)
    return inputs[:1]


def rows_on(inputs: Inputs, device: torch.device) -> Inputs:
    """The same rows on a device; themselves where they are there."""
    if isinstance(inputs, Tokens):
        fields = {name: field.to(device) for name, field in inputs.fields.items()}
        return Tokens(fields, inputs.lengths, inputs.multiple, inputs.trims)
    return inputs.to(device)


def row_shape(inputs: Inputs) -> tuple[int, ...]:
    """The shape of every row: what its FLOPs depend on."""
    return (inputs.padded_length,) if isinstance(inputs, Tokens) else tuple(inputs.shape[1:])


def same_rows(ours: Inputs, theirs: Inputs) -> bool:
    """Whether two batches of inputs are equal, bit for bit; waits for the device."""
    if isinstance(ours, Tokens) and isinstance(theirs, Tokens):
        return ours.fields.keys() == theirs.fields.keys() and all(
            torch.equal(field, theirs.fields[name]) for name, field in ours.fields.items()
        )
    return isinstance(ours, Tensor) and isinstance(theirs, Tensor) and torch.equal(ours, theirs)
