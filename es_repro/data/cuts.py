"""Which samples of a data set a run gets, and with which labels.

Everything here is keyed by the data set's own seeds, not by the run's: runs that differ in their
seed train on the same samples.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from es_repro.data.errors import DataDamaged
from es_repro.data.images import Images, Source, SplitName
from es_repro.selection import require, stream
from es_repro.selection.checks import as_choice, as_int, as_real

__all__ = ["Choice", "Labelled", "Rows", "choose", "choose_rows", "mislabel", "stratified"]


class Labelled(Protocol):
    """A split as far as a choice looks at it."""

    @property
    def origin(self) -> str: ...  # the files, as a message names them
    @property
    def targets(self) -> Tensor: ...  # [n] int64


@dataclass(frozen=True, eq=False)
class Rows:
    """What is taken out of one split.

    Attributes:
        split: the split, of the two in the files.
        rows: [k] int64, where in it.
        targets: [k] int64, the labels given to them.
        corrupted: [k] bool, those of another class than in the files; None: there is no noise.
    """

    split: Literal["train", "test"]
    rows: Tensor
    targets: Tensor
    corrupted: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Choice:
    """What is taken out of a data set.

    Attributes:
        split: evaluate on the test split, or on a validation cut of the training one, which is
            then not trained on.
        validation: share of the training split in that cut, in (0, 1).
        subset: train on so many samples (int), or on this share of them (float, in (0, 1]), each
            class in proportion; None: all.
        subset_seed: of the subset and of the validation cut.
        label_noise: chance of a training label to be flipped to another class, in [0, 1].
        noise_seed: of the flips.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    split: SplitName = "test"
    validation: float = 0.1
    subset: int | float | None = None
    subset_seed: int = 0
    label_noise: float = 0.0
    noise_seed: int = 0

    def __post_init__(self) -> None:
        as_choice("split", self.split, SplitName)
        as_real("validation", self.validation, "(0, 1)")
        as_int("subset_seed", self.subset_seed)
        as_real("label_noise", self.label_noise, "[0, 1]")
        as_int("noise_seed", self.noise_seed)

    def subset_count(self, n: int, num_classes: int) -> int:
        """How many of n samples the subset has.

        Raises:
            ValueError: fewer than classes, more than samples, or no number at all.
        """
        if self.subset is None:
            return n
        allowed = f"a count in [{num_classes}, {n}], or a share in (0, 1] of at least {num_classes}"
        is_share = isinstance(self.subset, float)
        is_number = is_share or (isinstance(self.subset, int) and not isinstance(self.subset, bool))
        valid = is_number and (not is_share or 0 < self.subset <= 1)
        require(valid, "subset", self.subset, allowed)
        count = _half_up(self.subset * n) if is_share else int(self.subset)
        require(num_classes <= count <= n, "subset", self.subset, allowed)
        return count


def choose(train: Source, test: Source, choice: Choice, num_classes: int) -> tuple[Images, Images]:
    """Cut, thin out, mislabel and only then decode.

    Returns:
        What to train on, and what to evaluate on: labels as in the files.

    Raises:
        DataDamaged: labels that do not fit the number of classes, or an image that does not decode.
        ValueError: a choice that this data set is too small for.
    """
    sources = {"train": train, "test": test}
    kept, held = (
        Images(sources[part.split].decode(part.rows), part.targets, part.corrupted)
        for part in choose_rows(train, test, choice, num_classes)
    )
    return kept, held


def choose_rows(
    train: Labelled, test: Labelled, choice: Choice, num_classes: int
) -> tuple[Rows, Rows]:
    """Cut, thin out and mislabel; nothing is decoded.

    Labels are flipped by the row in the file, so that a sample has the same label in every subset.

    Returns:
        What to train on, and what to evaluate on: labels as in the files.

    Raises:
        DataDamaged: labels that do not fit the number of classes.
        ValueError: a choice that this data set is too small for.
    """
    check_classes(train, num_classes, all_present=True)
    check_classes(test, num_classes, all_present=False)
    rows = torch.arange(len(train.targets))
    held = Rows("test", torch.arange(len(test.targets)), test.targets)
    if choice.split == "validation":
        count = _half_up(choice.validation * len(rows))
        allowed = f"a share that leaves samples on both sides of the {len(rows)}"
        require(0 < count < len(rows), "validation", choice.validation, allowed)
        generator = stream(choice.subset_seed, "validation", 0)
        cut = stratified(train.targets, count, generator)
        held = Rows("train", cut, train.targets[cut])
        rows = rows[torch.isin(rows, cut, invert=True)]
    count = choice.subset_count(len(rows), num_classes)
    generator = stream(choice.subset_seed, "subset", 0)
    rows = rows[stratified(train.targets[rows], count, generator)]
    generator = stream(choice.noise_seed, "noise", 0)
    labels = mislabel(train.targets, choice.label_noise, num_classes, generator)[rows]
    corrupted = labels != train.targets[rows] if choice.label_noise else None
    return Rows("train", rows, labels, corrupted), held


def check_classes(source: Labelled, num_classes: int, *, all_present: bool) -> None:
    """Compare the labels with the number of classes that the data set is known to have.

    Raises:
        DataDamaged: no rows, a label outside [0, C), or a class without any.
    """
    origin, targets = source.origin, source.targets
    if len(targets) == 0:
        raise DataDamaged(f"{origin}: holds no rows; fetch it again")
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= num_classes:
        raise DataDamaged(
            f"{origin}: labels run from {low} to {high}, not within 0..{num_classes - 1}; "
            "it is another data set, or other labels of it"
        )
    present = int(targets.bincount(minlength=num_classes).count_nonzero())
    if all_present and present < num_classes:
        raise DataDamaged(
            f"{origin}: {present} of {num_classes} classes have rows; "
            "it is another data set, or a part of it is missing"
        )


def stratified(targets: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw `count` samples, each class in proportion to its size (largest remainders).

    Args:
        targets: [n] int64.
        count: 0..n.
        generator: on the CPU.

    Returns:
        [count] int64 positions, ascending.
    """
    sizes = targets.bincount()
    quotas, remainders = sizes * count // len(targets), sizes * count % len(targets)
    left = count - int(quotas.sum())
    quotas[remainders.argsort(descending=True, stable=True)[:left]] += 1
    shuffled = torch.randperm(len(targets), generator=generator)
    by_class = shuffled[targets[shuffled].argsort(stable=True)]
    place = torch.arange(len(targets)) - (sizes.cumsum(0) - sizes)[targets[by_class]]
    return by_class[place < quotas[targets[by_class]]].sort().values


def mislabel(targets: Tensor, noise: float, num_classes: int, generator: torch.Generator) -> Tensor:
    """Flip each label with chance `noise` to one of the other C - 1 classes, uniformly.

    With one generator state, the labels flipped at a lower chance are flipped at a higher one too.

    Args:
        targets: [n] int64.
        noise: in [0, 1].
        num_classes: C >= 2.
        generator: on the CPU.

    Returns:
        [n] int64.
    """
    if noise == 0:  # numbers that are no classes come with one class
        return targets
    chance = torch.rand(len(targets), generator=generator)
    shift = torch.randint(1, num_classes, targets.shape, generator=generator)
    return torch.where(chance < noise, (targets + shift) % num_classes, targets)


def _half_up(value: float) -> int:
    return math.floor(value + 0.5)
