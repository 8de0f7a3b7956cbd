"""Workloads on features of pretrained encoders: real text and images, for the price of a head.

They are there where the optional packages (extra `pretrained`) and the data (`DATA_ROOT`) are.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from es_repro.data import Data, DataNotFound, Images, Sequences, cifar, glue
from es_repro.data.cuts import stratified
from es_repro.judge.encoders import EFFICIENTNET, IMAGE_STATISTICS, MINILM, Encoder
from es_repro.judge.features import Show, features
from es_repro.judge.problem import VALIDATION, Problem, SplitName
from es_repro.selection import stream

__all__ = ["CIFAR10", "SST2", "Encoded", "Pool", "images_of_cifar10", "sentences_of_sst2"]

TRAINING_ROWS = 20_000
SENTENCES_TO_TEST = 40_000  # standard error of an accuracy of 80%: 0.2 points; of 94%: 0.12


@dataclass(frozen=True, eq=False)
class Pool:
    """All rows of a workload, before they are encoded.

    Attributes:
        data: its training rows are all of them: the first are trained on, the others measured on.
        targets: [n] int64, theirs.
        training: how many are trained on.
        order: [n] int64, in which they are best encoded.
        num_classes: C.
        note: what a reader must know of the files.
    """

    data: Data
    targets: Tensor
    training: int
    order: Tensor
    num_classes: int
    note: str = ""


@dataclass(eq=False)
class Encoded:
    """Loads the problem of a workload on features.

    Attributes:
        name: of the workload.
        pool: reads its rows, from the data root; the second folder is for what it keeps.
        encoder: which.
    """

    name: str
    pool: Callable[[Path, Path], Pool]
    encoder: Encoder
    _read: dict[tuple[Path, Path], tuple[Pool, Tensor]] = field(default_factory=dict)

    def __call__(self, split: SplitName) -> Problem:
        """The problem with a split held out, its features standardised by the rows trained on.

        Raises:
            DataNotFound: the encoder or the data are not here; the message says which.
        """
        pool, rows = self.prepare()
        kept = torch.arange(pool.training)
        held = torch.arange(pool.training, len(rows))
        if split == "validation":
            count = round(VALIDATION * pool.training)
            held = stratified(pool.targets[kept], count, stream(0, "validation", 0))
            kept = kept[torch.isin(kept, held, invert=True)]
        inputs = rows[kept].float()
        mean, std = inputs.mean(0), inputs.std(0)
        std[std == 0] = 1.0  # a feature that never fires
        return Problem(
            inputs.sub_(mean).div_(std), pool.targets[kept],
            rows[held].float().sub_(mean).div_(std), pool.targets[held],
            pool.num_classes, note=pool.note,
        )  # fmt: skip

    def prepare(
        self, say: Callable[[str], None] | None = None, show: Show | None = None
    ) -> tuple[Pool, Tensor]:
        """Read the rows and their features, or make these.

        Args:
            say: told in a line where they have to be made.
            show: told how far that is.

        Returns:
            The rows, and [n, d] float16.

        Raises:
            DataNotFound: the encoder or the data are not here; the message says which.
        """
        self.encoder.find()  # the quicker one to miss
        data_root = Path(os.environ.get("DATA_ROOT", "data"))
        cache = Path(os.environ.get("RUNS_ROOT", "runs")) / "cache"
        if (data_root, cache) not in self._read:
            pool = self.pool(data_root, cache)

            def begin() -> None:
                if say is not None:
                    count = len(pool.targets)
                    say(f"{self.name}: encoding {count} rows, once: a few minutes of one core")

            rows = features(
                pool.data, pool.order, self.encoder, cache / "features", begin=begin, show=show
            )
            self._read[data_root, cache] = pool, rows
        return self._read[data_root, cache]


def sentences_of_sst2(
    data_root: Path,
    cache: Path,
    *,
    tokenizer: str = MINILM.weights,
    training: int = TRAINING_ROWS,
    testing: int = SENTENCES_TO_TEST,
) -> Pool:
    """Of SST-2's training split, each text once: rows to train and to test on, none in common.

    Most are phrases of a longer sentence, and those of one sentence fall on both sides: good for
    comparing methods, not for GLUE's own accuracy.

    Args:
        data_root: as `data.glue` wants it.
        cache: for tokens.
        tokenizer: the encoder's.
        training: rows to train on, each class in proportion.
        testing: rows to test on, likewise.

    Raises:
        DataNotFound: it is not there, or the tokenizer is not.
        DataDamaged: a file is truncated or contradicts itself, or holds too few texts.
    """
    data = glue(
        "sst2", tokenizer=tokenizer, data_root=data_root, cache_root=cache, download="never"
    )
    once = _distinct(data.train)
    labels = data.train.targets[once]
    if len(once) < training + testing:
        raise DataNotFound(
            f"sst2: DATA_ROOT={data_root} holds {len(once)} different texts to train on, not the "
            f"{training + testing} that are wanted; fetch the whole training split"
        )
    tested = stratified(labels, testing, stream(0, "sst2 test", 0))
    left = torch.arange(len(once))
    left = left[torch.isin(left, tested, invert=True)]
    trained = left[stratified(labels[left], training, stream(0, "sst2 train", 0))]
    sequences = data.train.take(once[torch.cat((trained, tested))])
    return Pool(
        replace(data, train=sequences, multiple=1), sequences.targets, training,
        sequences.lengths.argsort(stable=True), data.facts["num_classes"],
    )  # fmt: skip


def images_of_cifar10(data_root: Path, _cache: Path, *, training: int = TRAINING_ROWS) -> Pool:
    """So many images of CIFAR-10's training split, each class alike, and all of its test split.

    Raises:
        DataNotFound: it is not there.
        DataDamaged: a file is truncated or contradicts itself.
    """
    data = cifar("cifar10", data_root=data_root, download="never", subset=training, augment=False)
    both = (data.train, data.evaluation)
    images = Images(
        torch.cat([split.images for split in both]), torch.cat([split.targets for split in both])
    )
    mean, std = IMAGE_STATISTICS
    return Pool(
        replace(data, train=images, mean=mean, std=std), images.targets, training,
        torch.arange(len(images)), data.num_classes,
        note="a JPEG copy of the data" if data.lossy else "",
    )  # fmt: skip


def _distinct(sentences: Sequences) -> Tensor:
    """Where each sequence of tokens stands first, [k] int64, ascending."""
    tokens, ends = sentences.fields["input_ids"].numpy(), sentences.offsets.tolist()
    first: dict[bytes, int] = {}
    for row, (start, stop) in enumerate(pairwise(ends)):
        first.setdefault(tokens[start:stop].tobytes(), row)
    return torch.tensor(list(first.values()))


SST2 = Encoded("sst2", sentences_of_sst2, MINILM)
CIFAR10 = Encoded("cifar10", images_of_cifar10, EFFICIENTNET)
