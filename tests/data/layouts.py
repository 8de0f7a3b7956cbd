"""Tiny data in the public layouts of CIFAR and ImageNet, written the way their hosts write it."""

import io
import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = {"cifar10": 10, "cifar100": 100}


def pictures(num_classes, per_class, seed):
    """Noise images [n, 32, 32, 3] uint8, and shuffled labels [n], so many of each class."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(num_classes), per_class))
    return generator.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8), labels


def encoded(picture, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


def write_parquet(path, images, labels, image="img", label="label", row_group_size=None, **more):
    """One parquet file as the hub serves it; `images` are arrays, or what stands for them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blobs = [encoded(x) if isinstance(x, np.ndarray) else x for x in images]
    structs = [{"bytes": blob, "path": f"{i}.png"} for i, blob in enumerate(blobs)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {image: pa.array(structs, kind), label: pa.array(list(labels)), **more}
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)


def write_hub(root: Path, name="cifar10", *, train, test):
    """`name/train.parquet` and `name/test.parquet`."""
    write_parquet(root / name / "train.parquet", *train)
    write_parquet(root / name / "test.parquet", *test)


def photographs(num_classes, per_class, seed, size=(24, 32)):
    """Smooth images of one height and width, [n][H, W, 3] uint8, in the order of their labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_classes), per_class)
    coarse = generator.integers(0, 256, (len(labels), 4, 4, 3), dtype=np.uint8)
    enlarged = [Image.fromarray(x).resize(size[::-1], Image.Resampling.BICUBIC) for x in coarse]
    return [np.array(image) for image in enlarged], labels


def write_class_folders(folder: Path, images, labels, names="n{:08d}", kind="JPEG"):
    """`folder/<wnid>/<wnid>_<number>.JPEG`; answers the files in the order of the rows."""
    paths = []
    for number, (picture, label) in enumerate(zip(images, labels, strict=True)):
        name = names.format(label)
        path = folder / name / f"{name}_{number:04d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture, kind))
        paths.append(path)
    return paths


def write_shards(folder: Path, split, images, labels, count=2, row_group_size=3):
    """The hub's shards of one split, a few rows in each of their row groups."""
    parts = zip(np.array_split(np.arange(len(labels)), count), range(count), strict=True)
    for rows, shard in parts:
        path = folder / f"{split}-{shard:05d}-of-{count:05d}.parquet"
        pictures = [images[row] for row in rows]
        write_parquet(path, pictures, labels[rows], "image", row_group_size=row_group_size)


def write_home_page(root: Path, name="cifar10", *, train, test):
    """torchvision's folder: CIFAR-10 in five train batches, CIFAR-100 in one."""
    if name == "cifar10":
        folder, key = root / "cifar-10-batches-py", "labels"
        parts = zip(np.array_split(train[0], 5), np.array_split(train[1], 5), strict=True)
        files = {f"data_batch_{i}": part for i, part in enumerate(parts, 1)} | {"test_batch": test}
    else:
        folder, key = root / "cifar-100-python", "fine_labels"
        files = {"train": train, "test": test}
    folder.mkdir(parents=True)
    for file, (images, labels) in files.items():
        data = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        write_batch(folder / file, {"data": data, key: [int(label) for label in labels]})
    return folder


def write_batch(path, content):
    """A pickle of Python 2 and NumPy 1, which is what the home page serves."""
    file = io.BytesIO()
    _Python2(file, protocol=2).dump(content)
    path.write_bytes(file.getvalue().replace(b"cnumpy._core.", b"cnumpy.core."))


class _Python2(pickle._Pickler):
    """Byte strings and text alike are written as Python 2's `str`."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        raw = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + len(raw).to_bytes(4, "little") + raw)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string
