"""Sets of images in ImageNet's folder layout or in the hub's parquet shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from es_repro.data.class_cut import ClassCut
from es_repro.data.cuts import Choice, choose_rows
from es_repro.data.decoding import Stored
from es_repro.data.errors import DataDamaged, DataNotFound
from es_repro.data.folders import FolderSplit, class_names
from es_repro.data.images import SplitName
from es_repro.data.parquet import find_shards
from es_repro.data.shards import ShardedSplit
from es_repro.data.streamed import StreamedData
from es_repro.data.transforms import Views
from es_repro.selection import require
from es_repro.selection.checks import as_choice, as_int

__all__ = ["streamed_images"]

# The reported split by the names that its copies have; the hub's own `test` has no labels.
HELD = ("val", "validation", "test")
HELD_SHARDS = ("validation", "val", "test")


def streamed_images(
    places: Sequence[str],
    *,
    num_classes: int,
    of_classes: int | None = None,
    data_root: str | Path,
    image_size: int = 224,
    resize: int = 248,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
    augment: bool = True,
    crop_scale: Sequence[float] = (0.08, 1.0),
    flip: bool = True,
    auto_augment: str | None = None,
    erasing: float = 0.0,
    split: SplitName = "test",
    validation: float = 0.1,
    subset: int | float | None = None,
    subset_seed: int = 0,
    label_noise: float = 0.0,
    noise_seed: int = 0,
    cache: Literal["decoded"] | None = None,
    max_damaged: int = 0,
    num_workers: int = 0,
) -> StreamedData:
    """Images of `num_classes` classes, from the first of the places that holds them.

    A place holds `train/<class>/*.JPEG` and `val/` or `validation/` alike, or parquet shards of
    both splits, in it or in its `data/`.

    Args:
        places: folders below the data root.
        num_classes: C.
        of_classes: how many classes the files hold, a multiple of C: every so many-th is taken, in
            the alphabet of their names; None: C.
        data_root: the folder that holds data sets (`DATA_ROOT`).
        image_size: height and width of a view, in pixels.
        resize: shorter side before the centre crop of an evaluated image, and of every image that
            is kept in memory.
        mean: one a channel, of pixels scaled to [0, 1].
        std: likewise.
        augment: random crops and what follows them.
        crop_scale: least and most area of a random crop, as a share of the image's.
        flip: mirror half of the images.
        auto_augment: timm's RandAugment by its string; None: none.
        erasing: chance of a rectangle to be replaced by noise.
        split: what to evaluate on, `test` or `validation`.
        validation: share of the training split in a validation cut.
        subset: how many samples (int) or which share of them (float) to train on; None: all.
        subset_seed: of the subset and of the validation cut.
        label_noise: chance of a training label to be flipped.
        noise_seed: of the flips.
        cache: `decoded`: every image once, into memory, for sets that fit there; None: whenever it
            is asked for.
        max_damaged: how many damaged images may be left out before the run stops.
        num_workers: processes that decode; 0: the run's own.

    Raises:
        DataNotFound: it lies in none of the places.
        DataDamaged: a class folder or a shard is missing or contradicts another.
        ValueError: a value outside its range; the message names it.
    """
    as_int("num_classes", num_classes, minimum=2)
    require(cache in (None, "decoded"), "cache", cache, "null or 'decoded'")
    as_choice("split", split, SplitName)
    views = Views(image_size, resize, mean, std, augment, crop_scale, flip, auto_augment, erasing)
    choice = Choice(split, validation, subset, subset_seed, label_noise, noise_seed)
    there = as_int("of_classes", of_classes or num_classes, minimum=num_classes)
    require(there % num_classes == 0, "of_classes", of_classes, f"a multiple of {num_classes}")
    stored = _find(Path(data_root).expanduser(), places, there)
    if there > num_classes:
        stored = {split: ClassCut(x, num_classes, there) for split, x in stored.items()}
    train, evaluation = choose_rows(stored["train"], stored["test"], choice, num_classes)
    return StreamedData(
        stored=stored,
        train=train,
        evaluation=evaluation,
        split=split,
        num_classes=num_classes,
        views=views,
        cached=cache == "decoded",
        max_damaged=max_damaged,
        num_workers=num_workers,
    )


def _find(root: Path, places: Sequence[str], num_classes: int) -> dict[str, Stored]:
    for place in places:
        found = _folders(root / place, num_classes)
        for folder in (root / place, root / place / "data"):
            found = found or _shards(folder)
        if found is not None:
            return found
    raise DataNotFound(
        f"{places[0]}: not found under DATA_ROOT={root}; set DATA_ROOT to a folder that holds "
        f"{' or '.join(places)}, with train/<class>/*.JPEG and val/<class>/*.JPEG or with parquet "
        "shards of train and validation in it"
    )


def _folders(place: Path, num_classes: int) -> dict[str, Stored] | None:
    if not (place / "train").is_dir():
        return None
    held = next((place / name for name in HELD if (place / name).is_dir()), None)
    if held is None:
        raise DataDamaged(f"{place}: no val/ or validation/ beside train/; fetch it")
    classes = class_names(place / "train", num_classes)
    return {"train": FolderSplit(place / "train", classes), "test": FolderSplit(held, classes)}


def _shards(folder: Path) -> dict[str, Stored] | None:
    train = find_shards(folder, "train")
    held = next((x for name in HELD_SHARDS if (x := find_shards(folder, name))), [])
    if not train and not held:
        return None
    if not train or not held:
        missing = "validation" if train else "train"
        raise DataDamaged(f"{folder}: no {missing} parquet shards beside the others; fetch them")
    return {"train": ShardedSplit(train), "test": ShardedSplit(held)}
