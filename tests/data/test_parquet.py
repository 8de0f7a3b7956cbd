"""The hub's parquet layout: where it is found, what is read, what is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from layouts import encoded, pictures, write_parquet

from es_repro.data import DataDamaged
from es_repro.data.parquet import find_parquet, read_parquet

IMAGES, LABELS = pictures(num_classes=10, per_class=2, seed=0)


@pytest.mark.parametrize(
    "file",
    [
        "cifar10/{split}.parquet",
        "cifar10/plain_text/{split}-00000-of-00001.parquet",
        "cifar10/plain_text/{split}-00000-of-00001-b4af1727fb5b132e.parquet",
        "cifar10/data/{split}-00000-of-00001.parquet",
        "cifar10/cifar10/{split}-00000-of-00001.parquet",
        "uoft-cs/cifar10/{split}.parquet",
        "uoft-cs/cifar10/plain_text/{split}-00000-of-00001.parquet",
    ],
)
def test_copies_of_the_hub_are_found(tmp_path, file):
    for split in ("train", "test"):
        write_parquet(tmp_path / file.format(split=split), IMAGES, LABELS)
    found = find_parquet(tmp_path, "cifar10")
    assert found == {s: [tmp_path / file.format(split=s)] for s in ("train", "test")}
    assert find_parquet(tmp_path, "cifar100") is None


@pytest.mark.parametrize("image", ["img", "image"])
@pytest.mark.parametrize("label", ["label", "fine_label", "labels"])
def test_both_spellings_of_the_columns_are_read(tmp_path, image, label):
    more = {"coarse_label": pa.array(np.zeros(20, dtype=np.int64))}
    write_parquet(tmp_path / "train.parquet", IMAGES, LABELS, image, label, **more)
    source = read_parquet([tmp_path / "train.parquet"])
    assert source.targets.tolist() == LABELS.tolist()
    decoded = source.decode(torch.arange(20))
    assert np.array_equal(decoded.permute(0, 2, 3, 1).numpy(), IMAGES)
    assert decoded.dtype == torch.uint8


def test_shards_are_joined_in_order(tmp_path):
    paths = [tmp_path / f"train-{i:05}-of-00003.parquet" for i in range(3)]
    for path, part in zip(paths, np.array_split(np.arange(20), 3), strict=True):
        write_parquet(path, IMAGES[part], LABELS[part])
    source = read_parquet(paths)
    assert source.targets.tolist() == LABELS.tolist()
    rows = torch.tensor([19, 0, 7, 6, 13, 14])
    assert np.array_equal(source.decode(rows).permute(0, 2, 3, 1).numpy(), IMAGES[rows])


def test_grey_and_palette_images_become_rgb(tmp_path):
    grey = encoded(IMAGES[0, :, :, 0])
    write_parquet(tmp_path / "train.parquet", [grey], [0])
    decoded = read_parquet([tmp_path / "train.parquet"]).decode(torch.tensor([0]))
    assert np.array_equal(decoded[0], np.stack([IMAGES[0, :, :, 0]] * 3))


def test_a_missing_shard_is_named(tmp_path):
    for split, number in (("train", 0), ("train", 2), ("test", 0)):
        total = 3 if split == "train" else 1
        write_parquet(
            tmp_path / "cifar10" / f"{split}-{number:05}-of-{total:05}.parquet", IMAGES, LABELS
        )
    with pytest.raises(DataDamaged, match=r"train-00000-of-00003\.parquet: found with 2 shards"):
        find_parquet(tmp_path, "cifar10")


@pytest.mark.parametrize(("present", "missing"), [("train", "test"), ("test", "train")])
def test_half_a_data_set_is_named(tmp_path, present, missing):
    write_parquet(tmp_path / "cifar10" / f"{present}.parquet", IMAGES, LABELS)
    with pytest.raises(DataDamaged, match=rf"cifar10: no {missing} parquet file"):
        find_parquet(tmp_path, "cifar10")


@pytest.mark.parametrize("keep", [0, 3, 2000, -4])
def test_a_truncated_file_is_named(tmp_path, keep):
    path = tmp_path / "train.parquet"
    write_parquet(path, IMAGES, LABELS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataDamaged) as caught:
        read_parquet([path])
    assert str(caught.value).startswith(f"{path}: no whole parquet file (")
    assert "\n" not in str(caught.value)


def test_a_file_damaged_inside_is_named(tmp_path):
    path = tmp_path / "train.parquet"
    write_parquet(path, IMAGES, LABELS)
    raw = bytearray(path.read_bytes())
    raw[4:200] = bytes(196)  # the header of the first page; the footer stays whole
    path.write_bytes(raw)
    with pytest.raises(DataDamaged, match=r"train\.parquet"):
        read_parquet([path]).decode(torch.arange(20))


@pytest.mark.parametrize("missing", ["img", "label"])
def test_columns_of_another_layout_are_named(tmp_path, missing):
    path = tmp_path / "train.parquet"
    columns = {"img": "pixels"} if missing == "img" else {"label": "class"}
    write_parquet(path, IMAGES, LABELS, columns.get("img", "img"), columns.get("label", "label"))
    with pytest.raises(DataDamaged, match=r"has the columns \[.*\]; needs one of"):
        read_parquet([path])


def test_an_image_column_without_bytes_is_named(tmp_path):
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"img": ["a.png"], "label": [0]}), path)
    with pytest.raises(DataDamaged, match="column img is string, not a struct with encoded bytes"):
        read_parquet([path])


@pytest.mark.parametrize("labels", [[0, None], [0.5, 1.0], ["cat", "dog"]])
def test_labels_that_are_no_integers_are_named(tmp_path, labels):
    path = tmp_path / "train.parquet"
    write_parquet(path, IMAGES[:2], labels)
    with pytest.raises(DataDamaged, match="column label must hold an integer in every row"):
        read_parquet([path])


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (None, "row 1 has no image bytes"),
        (b"", "the image of row 1 is broken"),
        (b"no image at all", "the image of row 1 is broken"),
        (encoded(IMAGES[0])[:-500], "the image of row 1 is broken"),
        (encoded(IMAGES[0], "JPEG")[:400], "the image of row 1 is broken"),
        (encoded(IMAGES[0, :28, :30]), "the image of row 1 is 28x30, not 32x32"),
    ],
)
def test_a_broken_image_is_named_with_its_shard_and_row(tmp_path, blob, words):
    paths = [tmp_path / f"train-0000{i}-of-00002.parquet" for i in range(2)]
    write_parquet(paths[0], IMAGES[:3], LABELS[:3])
    write_parquet(paths[1], [IMAGES[3], blob], LABELS[3:5])
    source = read_parquet(paths)
    source.decode(torch.tensor([0, 2, 3]))
    with pytest.raises(DataDamaged, match=rf"train-00001-of-00002\.parquet: .*{words}"):
        source.decode(torch.tensor([3, 4]))
