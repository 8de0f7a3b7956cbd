"""Samples that are sequences of tokens, kept flat: a field is one long row of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from es_repro.data.errors import DataDamaged
from es_repro.data.token_loader import TokenLoader
from es_repro.selection import PlannedBatchSampler

__all__ = ["Sequences", "TokenData", "pack"]


@dataclass(frozen=True, eq=False)
class Sequences:
    """One split, as numbers.

    Attributes:
        fields: by the name that the model knows them by, each [total] int32: all samples' tokens,
            one sample after the other. `attention_mask` is not among them: loaders make it.
        offsets: [n + 1] int64: sample i has the tokens offsets[i] .. offsets[i + 1].
        targets: [n], class ids (int64) or numbers (float32).

    Raises:
        DataDamaged: fields, offsets and targets that do not fit together, or an empty sample.
    """

    fields: Mapping[str, Tensor]
    offsets: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        total, n = int(self.offsets[-1]), len(self.targets)
        lengths = {name: len(tokens) for name, tokens in self.fields.items()}
        if len(self.offsets) != n + 1 or any(length != total for length in lengths.values()):
            raise DataDamaged(
                f"{n} targets and {len(self.offsets) - 1} sequences of {total} tokens, fields of "
                f"{lengths}: they must agree"
            )
        if n and int(self.lengths.min()) < 1:
            raise DataDamaged(f"sample {int(self.lengths.argmin())} has no tokens")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> Tensor:
        """[n] int64: tokens of each sample."""
        return self.offsets.diff()

    def take(self, rows: Tensor, targets: Tensor | None = None) -> "Sequences":
        """The samples at `rows` [k] int64, with their own targets or with others."""
        lengths = self.lengths[rows]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = (self.offsets[rows] - offsets[:-1]).repeat_interleave(lengths)
        places = torch.arange(int(offsets[-1])) + shift
        fields = {name: tokens[places] for name, tokens in self.fields.items()}
        return Sequences(fields, offsets, self.targets[rows] if targets is None else targets)


def pack(samples: Mapping[str, list[list[int]]], targets: Tensor) -> Sequences:
    """Lists of tokens, by field and sample, as flat tensors.

    Raises:
        DataDamaged: a sample whose fields have different lengths, or none.
    """
    first = next(iter(samples.values()))
    lengths = torch.tensor([len(tokens) for tokens in first], dtype=torch.int64)
    for name, rows in samples.items():
        if [len(tokens) for tokens in rows] != lengths.tolist():
            raise DataDamaged(f"field {name}: its samples are not as long as those of the others")
    fields = {
        name: torch.tensor([token for row in rows for token in row], dtype=torch.int32)
        for name, rows in samples.items()
    }
    return Sequences(fields, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]), targets)


@dataclass(frozen=True, eq=False)
class TokenData:
    """What a run on sequences trains and evaluates on.

    Attributes:
        train: the samples that have ids 0..n-1.
        evaluation: never trained on, labels clean.
        split: what `evaluation` is.
        facts: what a model or a task may ask for, by name.
        has_classes: whether targets are class ids, to be counted by class.
        padding: what a field is padded with, 0 where it is not named.
        multiple: padded lengths are multiples of it.
        trims: see `rows.Tokens`.
        corrupted: [n] bool, labels that noise has flipped; None: there is no noise.
    """

    train: Sequences
    evaluation: Sequences
    split: Literal["test", "validation"]
    facts: Mapping[str, int]
    has_classes: bool = False
    padding: Mapping[str, int] = field(default_factory=dict)
    multiple: int = 8
    trims: bool = False
    corrupted: Tensor | None = None

    @property
    def num_samples(self) -> int:
        """n, the samples to train on."""
        return len(self.train)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all tokens and targets of both splits."""
        digest = hashlib.sha256()
        for split in (self.train, self.evaluation):
            named = {**split.fields, "offsets": split.offsets, "targets": split.targets}
            for name, tensor in sorted(named.items()):
                digest.update(f"{name} {tensor.dtype} {len(tensor)}".encode())
                digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()

    def loader(
        self, sampler: PlannedBatchSampler, *, seed: int, device: torch.device
    ) -> TokenLoader:
        """Batches of the planned samples, from tensors on the device."""
        return TokenLoader(self, sampler, device=device)
