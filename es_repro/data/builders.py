"""The data sets by name, as `conf/dataset/` calls them."""

from pathlib import Path
from typing import Literal

import torch

from es_repro.data.cuts import Choice, choose, stratified
from es_repro.data.download import download as fetch
from es_repro.data.errors import DataNotFound
from es_repro.data.images import ImageData, Source, SplitName, fingerprint
from es_repro.data.parquet import find_parquet, read_parquet, where_to_put
from es_repro.data.pickled import LAYOUTS, read_pickled
from es_repro.selection import stream
from es_repro.selection.checks import as_choice, require_bool

__all__ = ["cifar", "digits"]

CifarName = Literal["cifar10", "cifar100"]

# Of pixels in [0, 1]. CIFAR-10: the usual constants; CIFAR-100: those of InfoBatch's code, whose
# deviations are means of per-image ones; digits: of the training cut made below.
CIFAR_STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5074, 0.4867, 0.4411), (0.2011, 0.1987, 0.2025)),
}
CIFAR_CLASSES = {"cifar10": 10, "cifar100": 100}
DIGITS_STATISTICS = ((0.305,), (0.376,))
DIGITS_CLASSES = 10
DIGITS_TEST_SHARE = 0.2
DIGITS_LEVELS = 16


def digits(
    *,
    split: SplitName = "test",
    validation: float = 0.1,
    subset: int | float | None = None,
    subset_seed: int = 0,
    label_noise: float = 0.0,
    noise_seed: int = 0,
    augment: bool = False,
    pad: int = 1,
    flip: bool = False,
) -> ImageData:
    """1,797 real 8x8 images of handwritten digits, which ship with scikit-learn.

    They come in one piece: a fifth of each class, always the same, is the test split.

    Args:
        split: what to evaluate on, `test` or `validation`.
        validation: share of the training split in a validation cut.
        subset: how many samples (int) or which share of them (float) to train on; None: all.
        subset_seed: of the subset and of the validation cut.
        label_noise: chance of a training label to be flipped.
        noise_seed: of the flips.
        augment: random crops and flips; off, for an image of 8x8 has no border to spare.
        pad: border of the crops, in pixels.
        flip: mirror half of the images; off, for a mirrored digit is none.

    Raises:
        ValueError: a value outside its range; the message names it.
    """
    require_bool("augment", augment)
    require_bool("flip", flip)
    choice = Choice(split, validation, subset, subset_seed, label_noise, noise_seed)
    train, evaluation = choose(*_digits_splits(), choice, DIGITS_CLASSES)
    mean, std = DIGITS_STATISTICS
    return ImageData(
        train=train,
        evaluation=evaluation,
        split=split,
        num_classes=DIGITS_CLASSES,
        mean=mean,
        std=std,
        augment=augment,
        pad=pad,
        flip=flip,
        fingerprint=fingerprint(train, evaluation),
    )


def cifar(
    name: CifarName = "cifar10",
    *,
    data_root: str | Path,
    download: Literal["auto", "never"] = "auto",
    split: SplitName = "test",
    validation: float = 0.1,
    subset: int | float | None = None,
    subset_seed: int = 0,
    label_noise: float = 0.0,
    noise_seed: int = 0,
    augment: bool = True,
    pad: int = 4,
    flip: bool = True,
) -> ImageData:
    """CIFAR-10 or CIFAR-100: 50,000 and 10,000 colour images of 32x32.

    Taken from the first of: the hub's parquet files under the data root, torchvision's folder
    there, torchvision's download into it.

    Args:
        name: which of the two.
        data_root: the folder that holds data sets (`DATA_ROOT`).
        download: `never` looks under the data root only.
        split: what to evaluate on, `test` or `validation`.
        validation: share of the training split in a validation cut.
        subset: how many samples (int) or which share of them (float) to train on; None: all.
        subset_seed: of the subset and of the validation cut.
        label_noise: chance of a training label to be flipped.
        noise_seed: of the flips.
        augment: random crops and flips.
        pad: reflected border of the crops, in pixels.
        flip: mirror half of the images.

    Raises:
        DataNotFound: it is neither there nor to be had.
        DataDamaged: a file of it is truncated or contradicts itself.
        ValueError: a value outside its range; the message names it.
    """
    as_choice("name", name, CifarName)
    as_choice("download", download, Literal["auto", "never"])
    require_bool("augment", augment)
    require_bool("flip", flip)
    choice = Choice(split, validation, subset, subset_seed, label_noise, noise_seed)
    sources = _cifar_splits(name, Path(data_root).expanduser(), download)
    train, evaluation = choose(*sources, choice, CIFAR_CLASSES[name])
    mean, std = CIFAR_STATISTICS[name]
    return ImageData(
        train=train,
        evaluation=evaluation,
        split=split,
        num_classes=CIFAR_CLASSES[name],
        mean=mean,
        std=std,
        augment=augment,
        pad=pad,
        flip=flip,
        fingerprint=fingerprint(train, evaluation),
        lossy=any(source.lossy for source in sources),
    )


def _digits_splits() -> tuple[Source, Source]:
    from sklearn.datasets import load_digits  # here, for it takes a second

    bundle = load_digits()
    levels = torch.from_numpy(bundle.images)  # [n, 8, 8], 0..16
    images = (levels * (255 / DIGITS_LEVELS)).round().to(torch.uint8).unsqueeze(1)
    targets = torch.from_numpy(bundle.target).long()
    count = int(DIGITS_TEST_SHARE * len(targets))
    held = stratified(targets, count, stream(0, "digits test", 0))
    kept = torch.arange(len(targets))
    kept = kept[torch.isin(kept, held, invert=True)]
    train, test = (
        Source("scikit-learn's digits", targets[ids], images[ids].__getitem__)
        for ids in (kept, held)
    )
    return train, test


def _cifar_splits(name: CifarName, root: Path, download: str) -> tuple[Source, Source]:
    if shards := find_parquet(root, name):
        return read_parquet(shards["train"]), read_parquet(shards["test"])
    layout, reason = LAYOUTS[name], "download=never"
    if not (root / layout.folder).is_dir() and download == "auto":
        try:
            fetch(name, root, layout)
        except (OSError, RuntimeError) as error:
            reason = f"the download failed: {error}"
    if not (root / layout.folder).is_dir():
        raise DataNotFound(
            f"{name}: not found under DATA_ROOT={root}; set DATA_ROOT to a folder that holds "
            f"train and test parquet files in {where_to_put(name)}, or torchvision's "
            f"{layout.folder}/ ({reason})"
        )
    return read_pickled(root, layout)
