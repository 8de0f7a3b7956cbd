"""The contract between data and the rest: what a data set builds and what a loader yields."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from es_repro.rows import Batch, Inputs
from es_repro.selection import EpochPlan, PlannedBatchSampler

__all__ = ["Data", "Loader", "wanted"]

T = TypeVar("T")


class Loader(Protocol):
    """Batches of the planned samples; `index` are sample ids [m], int64, on the device.

    One of sequences may have `lengths` [n], on the device: tokens that carry a sample's loss. One
    with label noise has `corrupted` [n] bool, on the device, else None. How selection goes with
    either is then recorded.
    """

    num_samples: int
    num_evaluated: int  # rows of the evaluation split
    sampler: PlannedBatchSampler

    @property
    def labels(self) -> Tensor | None: ...  # [n] class ids on the device, where there are classes
    @property
    def split(self) -> str: ...  # what `evaluation` answers: test or validation
    @property
    def plan(self) -> EpochPlan: ...
    def set_epoch(self, epoch: int) -> None: ...
    def __len__(self) -> int: ...
    def batches(self, start: int = 0) -> Iterator[Batch]: ...
    def rows(self, index: Tensor) -> tuple[Inputs, Tensor]: ...
    def visit(self, ids: Tensor, batch_size: int) -> Iterator[Batch]: ...
    def evaluation(
        self, batch_size: int, numbers: Iterable[int] | None = None
    ) -> Iterator[tuple[Inputs, Tensor]]: ...  # of its batches those of these numbers; None: all


class Data(Protocol):
    """A data set as `conf/dataset/` names it, read and cut.

    It may have `companions`, functions that fill an exported model's folder with what belongs to
    the data (a tokenizer), and `notes` for the record: numbers by name.
    """

    @property
    def num_samples(self) -> int: ...  # n, to train on
    @property
    def split(self) -> str: ...  # what is evaluated on: test or validation
    @property
    def fingerprint(self) -> str: ...  # hash of the decoded content, equal for every layout
    @property
    def facts(self) -> Mapping[str, int]: ...  # what models and tasks may ask for, by name
    @property
    def corrupted(
        self,
    ) -> Tensor | None: ...  # [n] bool, CPU: labels that noise has flipped, if any
    def loader(
        self, sampler: PlannedBatchSampler, *, seed: int, device: torch.device
    ) -> Loader: ...


def wanted(batches: Sequence[T], numbers: Iterable[int] | None) -> Sequence[T]:
    """Those of `batches` that have these numbers, in their order; None: all."""
    return batches if numbers is None else [batches[number] for number in numbers]
