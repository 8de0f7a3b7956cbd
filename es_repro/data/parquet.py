"""CIFAR in the layout of the public hub: parquet files with encoded images.

Source: https://huggingface.co/datasets/uoft-cs/cifar10 and .../cifar100 (data cards).
"""

import contextlib
import io
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from es_repro.data.errors import DataDamaged
from es_repro.data.images import Source

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

__all__ = [
    "check_columns", "find_parquet", "find_shards", "read_labels", "read_parquet", "where_to_put",
]  # fmt: skip

# Where copies of the hub's repositories put the files, relative to the data root.
REPOSITORIES = ("{name}", "uoft-cs/{name}")
SUBFOLDERS = (".", "plain_text", "{name}", "data")
IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("fine_label", "label", "labels")  # CIFAR-100 has a coarse_label too
SIZE = 32
JPEG = b"\xff\xd8\xff"  # how such a file begins


def find_parquet(root: Path, name: str) -> dict[str, list[Path]] | None:
    """The files of both splits, by `train` and `test`; None where there are none.

    Raises:
        DataDamaged: one split without the other, or a shard of one is missing.
    """
    for repository, subfolder in product(REPOSITORIES, SUBFOLDERS):
        folder = root / repository.format(name=name) / subfolder.format(name=name)
        shards = {split: find_shards(folder, split) for split in ("train", "test")}
        missing = [split for split, paths in shards.items() if not paths]
        if len(missing) == 1:
            raise DataDamaged(f"{folder}: no {missing[0]} parquet file beside the other; fetch it")
        if not missing:
            return shards
    return None


def find_shards(folder: Path, split: str) -> list[Path]:
    """The files of one split in their order, `split.parquet` or `split-*-of-*.parquet`; or none.

    Raises:
        DataDamaged: some shards of it are missing.
    """
    single = folder / f"{split}.parquet"
    if single.is_file():
        return [single]
    shards = sorted(folder.glob(f"{split}-*-of-*.parquet"))
    for path in shards:
        match = re.fullmatch(rf"{split}-\d+-of-(\d+)(-\w+)?", path.stem)
        if match is None or int(match[1]) != len(shards):
            raise DataDamaged(f"{path}: found with {len(shards)} shards in all; fetch the others")
    return shards


def where_to_put(name: str) -> str:
    """The folders that are looked in, in words for a message."""
    repositories = " or ".join(f"{repository}/" for repository in REPOSITORIES)
    subfolders = ", ".join(f"{subfolder}/" for subfolder in SUBFOLDERS)
    return f"{repositories} ({subfolders})".format(name=name)


def read_parquet(paths: Sequence[Path]) -> Source:
    """One split, its shards in order.

    Raises:
        DataDamaged: an unreadable file, or columns of another layout.
    """
    images, labels = zip(*(_columns(path) for path in paths), strict=True)
    ends = np.cumsum([len(column) for column in images]).tolist()

    def decode(rows: Tensor) -> Tensor:
        pixels = torch.empty(len(rows), 3, SIZE, SIZE, dtype=torch.uint8)
        for position, row in enumerate(rows.tolist()):
            shard = bisect_right(ends, row)
            place = row - (ends[shard - 1] if shard else 0)
            pixels[position] = _decode(images[shard][place].as_py(), paths[shard], place)
        return pixels

    origin = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and its other shards"
    first = images[0][0].as_py() if len(images[0]) else None
    return Source(origin, torch.cat(labels), decode, lossy=(first or b"").startswith(JPEG))


def check_columns(path: Path) -> tuple[str, str]:
    """The names of a file's image and label columns.

    Raises:
        DataDamaged: an unreadable file, or columns of another layout.
    """
    import pyarrow as pa  # here, for digits do without it
    import pyarrow.parquet as pq

    with _whole(path):
        schema = pq.read_schema(path)
    names = schema.names
    image = next((name for name in IMAGE_COLUMNS if name in names), None)
    label = next((name for name in LABEL_COLUMNS if name in names), None)
    if image is None or label is None:
        raise DataDamaged(
            f"{path}: has the columns {names}; needs one of {list(IMAGE_COLUMNS)} and one of "
            f"{list(LABEL_COLUMNS)}"
        )
    kind = schema.field(image).type
    if not (pa.types.is_struct(kind) and "bytes" in [field.name for field in kind]):
        raise DataDamaged(f"{path}: column {image} is {kind}, not a struct with encoded bytes")
    if not pa.types.is_integer(schema.field(label).type):
        raise DataDamaged(f"{path}: column {label} must hold an integer in every row")
    return image, label


def read_labels(path: Path, column: str) -> tuple[Tensor, "pyarrow.parquet.FileMetaData"]:
    """The labels [n] int64 of a file, and its metadata.

    Raises:
        DataDamaged: an unreadable file, or a row without a label.
    """
    import pyarrow.parquet as pq  # as above

    with _whole(path):
        labels = pq.read_table(path, columns=[column], use_threads=False)[column]
        metadata = pq.read_metadata(path)
    if labels.null_count:
        raise DataDamaged(f"{path}: column {column} must hold an integer in every row")
    return torch.from_numpy(labels.to_numpy().astype(np.int64)), metadata


def _columns(path: Path) -> tuple["pyarrow.ChunkedArray", Tensor]:
    import pyarrow.compute as pc  # as above
    import pyarrow.parquet as pq

    image, label = check_columns(path)
    targets, _ = read_labels(path, label)
    with _whole(path):
        table = pq.read_table(path, columns=[image], use_threads=False)
    return pc.struct_field(table[image], "bytes"), targets


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    import pyarrow as pa  # as above

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataDamaged(f"{path}: no whole parquet file ({reason}); fetch it again") from error


def _decode(encoded: bytes | None, path: Path, row: int) -> Tensor:
    """One image, [3, 32, 32] uint8.

    PIL rather than torchvision's decoder, which some builds lack: 3 s instead of 1.5 s for 50,000
    images, and the same pixels.
    """
    if encoded is None:
        raise DataDamaged(f"{path}: row {row} has no image bytes; fetch it again")
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # PIL's words for a broken PNG or JPEG
        raise DataDamaged(f"{path}: the image of row {row} is broken; fetch it again") from error
    if pixels.shape != (SIZE, SIZE, 3):
        size = "x".join(str(length) for length in pixels.shape[:2])
        raise DataDamaged(f"{path}: the image of row {row} is {size}, not {SIZE}x{SIZE}")
    return torch.from_numpy(pixels).permute(2, 0, 1)
