"""A loader for sequences that fit on the device: flat tokens live there and are padded there."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from es_repro.data.base import wanted
from es_repro.data.transfer import on_device
from es_repro.rows import Batch, Inputs, Tokens
from es_repro.selection import EpochPlan, PlannedBatchSampler
from es_repro.selection.checks import as_int

if TYPE_CHECKING:  # they build this loader
    from es_repro.data.sequences import Sequences, TokenData

__all__ = ["TokenLoader"]

MASK = "attention_mask"


class TokenLoader:
    """Meta-batches of the planned samples, padded on the right to the longest of each.

    `batches` never waits for the device: lengths and order are known on the CPU too. A sample has
    the same tokens in every epoch, so nothing here depends on a seed.

    Args:
        data: the data set.
        sampler: says which samples an epoch visits, in which order and batches.
        device: where tokens lie and batches appear.

    Attributes:
        num_samples: n.
        labels: [n] int64 class ids on the device, None where targets are no classes.
        corrupted: [n] bool on the device, flipped labels; None: there is no noise.
        split: what `evaluation` answers, test or validation.
    """

    def __init__(
        self, data: "TokenData", sampler: PlannedBatchSampler, *, device: torch.device | str
    ) -> None:
        self.device = torch.device(device)
        self.sampler, self.split, self.num_samples = sampler, data.split, len(data.train)
        self._multiple = as_int("multiple", data.multiple, minimum=1)
        self._data, self._padding, self._trims = data, data.padding, data.trims
        self._train = _Resident(data.train, self.device)
        self._held = _Resident(data.evaluation, self.device)
        self.num_evaluated = len(data.evaluation)
        self.labels = self._train.targets if data.has_classes else None
        self.corrupted = on_device(data.corrupted, self.device)

    @property
    def plan(self) -> EpochPlan:
        """The plan of the epoch set last.

        Raises:
            RuntimeError: none was set.
        """
        if self.sampler.plan is None:
            raise RuntimeError("no epoch is planned yet: call set_epoch(epoch) first")
        return self.sampler.plan

    def set_epoch(self, epoch: int) -> None:
        """Let the sampler plan an epoch."""
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.sampler)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """The epoch's meta-batches from the `start`-th on.

        Yields:
            index [m] int64, tokens of m rows and targets [m], on the device.
        """
        ids, size = self.sampler.indices, self.sampler.batch_size
        yield from self._walk(ids[start * size : len(self) * size], size)

    def visit(self, ids: Tensor, batch_size: int) -> Iterator[Batch]:
        """Batches of given ids [k], in their order; waits for them once."""
        yield from self._walk(ids.cpu(), batch_size)

    def rows(self, index: Tensor) -> tuple[Inputs, Tensor]:
        """What `batches` must have yielded for these ids, made one by one and another way.

        From the tokens as they were given, on the CPU where they still lie; equal bit for bit.

        Args:
            index: [m] int64.

        Returns:
            tokens of m rows and targets [m], on the device.
        """
        train, ids = self._data.train, index.cpu().tolist()
        spans = [slice(*train.offsets[sample : sample + 2].tolist()) for sample in ids]
        lengths = torch.tensor([span.stop - span.start for span in spans])
        longest = _padded(int(lengths.max()), self._multiple)
        fields = {}
        for name, tokens in {**train.fields, MASK: None}.items():
            table = torch.full((len(ids), longest), self._padding.get(name, 0), dtype=torch.int64)
            for row, span in enumerate(spans):
                table[row, : lengths[row]] = 1 if tokens is None else tokens[span].long()
            fields[name] = table.to(self.device)
        inputs = Tokens(fields, lengths, self._multiple, self._trims)
        return inputs, train.targets[ids].to(self.device)

    def evaluation(
        self, batch_size: int, numbers: Iterable[int] | None = None
    ) -> Iterator[tuple[Inputs, Tensor]]:
        """Inputs and targets of the evaluation split, in its order.

        Args:
            batch_size: sequences a batch.
            numbers: of the batches wanted; None: all.
        """
        for ids in wanted(torch.arange(self.num_evaluated).split(batch_size), numbers):
            yield self._batch(self._held, ids, ids.to(self.device))

    def _walk(self, ids: Tensor, size: int) -> Iterator[Batch]:
        order = ids.to(self.device)  # once, not a copy a batch
        for here, there in zip(ids.split(size), order.split(size), strict=True):
            if len(here):  # no ids at all split into one empty batch
                yield there, *self._batch(self._train, here, there)

    def _batch(self, split: "_Resident", here: Tensor, there: Tensor) -> tuple[Tokens, Tensor]:
        """The samples of the ids [m], which are known on the CPU (`here`) and the device."""
        lengths = split.lengths[here]
        columns = torch.arange(_padded(int(lengths.max()), self._multiple), device=self.device)
        begins = split.offsets[there].unsqueeze(1)
        mask = columns < split.offsets[there + 1].unsqueeze(1) - begins  # [m, L]
        places = torch.where(mask, begins + columns, begins)
        fields = {
            name: torch.where(mask, tokens[places].long(), self._padding.get(name, 0))
            for name, tokens in split.fields.items()
        }
        inputs = Tokens(fields | {MASK: mask.long()}, lengths, self._multiple, self._trims)
        return inputs, split.targets[there]


class _Resident:
    """A split on the device; its lengths [n] on the CPU, where padding is decided."""

    def __init__(self, split: "Sequences", device: torch.device) -> None:
        self.fields = {name: tokens.to(device) for name, tokens in split.fields.items()}
        self.offsets, self.targets = split.offsets.to(device), split.targets.to(device)
        self.lengths = split.lengths


def _padded(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
