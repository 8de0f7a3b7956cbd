"""Class folders and the hub's shards: the same data, and errors that say what to do."""

import shutil

import numpy as np
import pytest
import torch
from layouts import encoded, photographs, write_class_folders, write_parquet, write_shards

from es_repro.data import DataDamaged, DataNotFound, streamed_images
from es_repro.data.shards import GROUPS_KEPT, ShardedSplit

CLASSES = 3
TRAIN, VAL = photographs(CLASSES, 5, seed=0), photographs(CLASSES, 2, seed=1)


@pytest.fixture
def root(tmp_path):
    write_class_folders(tmp_path / "tiny/train", *TRAIN)
    write_class_folders(tmp_path / "tiny/val", *VAL)
    return tmp_path


def tiny(root, **options):
    return streamed_images(
        ["tiny", "elsewhere/tiny"], data_root=root,
        **({"num_classes": CLASSES, "image_size": 16, "resize": 20} | options),
    )  # fmt: skip


def test_a_label_is_the_place_of_its_class_folder_in_the_alphabet(root):
    data = tiny(root)

    assert data.train.targets.tolist() == TRAIN[1].tolist()
    assert data.evaluation.targets.tolist() == VAL[1].tolist()
    assert data.facts == {"num_classes": 3, "in_channels": 3, "image_size": 16}
    stored = data.stored["train"]
    assert stored.name(7) == str(root / "tiny/train/n00000001/n00000001_0007.JPEG")
    assert stored.read(7) == encoded(TRAIN[0][7], "JPEG")


@pytest.mark.parametrize("held", ["val", "validation"])
@pytest.mark.parametrize("place", ["tiny", "elsewhere/tiny"])
def test_every_place_is_looked_in(tmp_path, place, held):
    write_class_folders(tmp_path / place / "train", *TRAIN)
    write_class_folders(tmp_path / place / held, *VAL)

    assert tiny(tmp_path).num_samples == 15


@pytest.mark.parametrize("folder", ["tiny", "tiny/data"])
def test_shards_hold_the_same_images_as_folders(root, folder):
    hub = root / "hub"
    write_shards(hub / folder, "train", *TRAIN)
    write_shards(hub / folder, "validation", *VAL, count=1)
    data = tiny(hub)

    assert data.train.targets.tolist() == TRAIN[1].tolist()
    for row in (14, 0, 7, 8, 3, 7):  # across row groups and shards, and back
        assert data.stored["train"].read(row) == encoded(TRAIN[0][row])
    assert data.stored["train"].name(9).endswith("train-00001-of-00002.parquet (row 1)")
    assert data.stored["test"].name(5).endswith("validation-00000-of-00001.parquet (row 5)")


def test_few_row_groups_are_in_memory(tmp_path):
    write_parquet(tmp_path / "a.parquet", *TRAIN, "image", row_group_size=1)
    split = ShardedSplit([tmp_path / "a.parquet"])

    for row in range(15):
        split.read(row)
    assert list(split._kept) == list(range(15 - GROUPS_KEPT, 15))


def test_the_hub_s_unlabelled_test_split_is_left_alone(tmp_path):
    write_shards(tmp_path / "tiny", "train", *TRAIN)
    write_shards(tmp_path / "tiny", "validation", *VAL)
    write_shards(tmp_path / "tiny", "test", VAL[0], np.full(len(VAL[1]), -1))

    assert tiny(tmp_path).evaluation.targets.tolist() == VAL[1].tolist()


def test_subset_cut_and_noise_are_those_of_resident_data(root):
    data = tiny(root, split="validation", validation=0.2, subset=6, label_noise=1.0)

    assert data.split == "validation"
    assert (data.train.split, data.evaluation.split) == ("train", "train")
    assert data.train.targets.bincount().tolist() != [0, 0, 0]
    assert not set(data.train.rows.tolist()) & set(data.evaluation.rows.tolist())
    clean = data.stored["train"].targets
    assert (data.train.targets != clean[data.train.rows]).all()
    assert torch.equal(data.evaluation.targets, clean[data.evaluation.rows])


def test_the_fingerprint_is_that_of_names_sizes_and_labels(root):
    before = tiny(root).fingerprint
    assert tiny(root).fingerprint == before
    moved = root / "moved"
    moved.mkdir()
    shutil.copytree(root / "tiny", moved / "tiny")
    assert tiny(moved).fingerprint == before

    image = root / "tiny/train/n00000001/n00000001_0007.JPEG"
    image.write_bytes(image.read_bytes() + b"\0")
    longer = tiny(root).fingerprint
    image.rename(image.with_name("other.JPEG"))
    assert len({before, longer, tiny(root).fingerprint}) == 3


def test_the_fingerprint_of_shards_follows_their_labels_and_row_groups(tmp_path):
    def fingerprint(labels, row_group_size=3):
        write_shards(tmp_path / "tiny", "train", TRAIN[0], labels, row_group_size=row_group_size)
        write_shards(tmp_path / "tiny", "validation", *VAL)
        return tiny(tmp_path).fingerprint

    found = [fingerprint(TRAIN[1]), fingerprint(TRAIN[1][::-1].copy()), fingerprint(TRAIN[1], 4)]
    assert len(set(found)) == 3
    assert fingerprint(TRAIN[1]) == found[0]


def test_every_so_many_th_class_is_a_set_of_its_own(tmp_path):
    train, val = photographs(6, 2, seed=0), photographs(6, 1, seed=1)
    write_class_folders(tmp_path / "tiny/train", *train)
    write_class_folders(tmp_path / "tiny/val", *val)
    data = tiny(tmp_path, of_classes=6)

    assert data.facts["num_classes"] == 3
    assert data.train.targets.tolist() == [0, 0, 1, 1, 2, 2]  # classes 0, 2 and 4
    assert "n00000004" in data.stored["train"].name(5)
    assert data.stored["train"].read(5) == encoded(train[0][9], "JPEG")
    assert data.evaluation.targets.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"^of_classes=4: must be a multiple of 3$"):
        tiny(tmp_path, of_classes=4)


def test_a_set_that_is_nowhere_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DataNotFound) as caught:
        tiny(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"tiny: not found under DATA_ROOT={tmp_path}; set DATA_ROOT to")
    assert "tiny or elsewhere/tiny" in message
    assert "\n" not in message


def test_a_missing_class_folder_is_named(root):
    shutil.rmtree(root / "tiny/val/n00000001")
    with pytest.raises(DataDamaged, match=r"val/n00000001: this class folder is missing \(1 of 3"):
        tiny(root)


def test_a_class_folder_without_a_counterpart_is_named(root):
    (root / "tiny/val/n9").mkdir()
    with pytest.raises(DataDamaged, match=r"val/n9: no class of that name in the other split"):
        tiny(root)


def test_another_number_of_classes_is_named(root):
    with pytest.raises(DataDamaged, match=r"tiny/train: 3 class folders, not 10; it is another"):
        tiny(root, num_classes=10)


def test_a_class_without_images_is_named(root):
    for image in (root / "tiny/train/n00000002").iterdir():
        image.rename(image.with_suffix(".txt"))
    with pytest.raises(DataDamaged, match=r"train/n00000002: holds no images"):
        tiny(root)


def test_images_without_class_folders_are_named(tmp_path):
    (tmp_path / "tiny/train").mkdir(parents=True)
    (tmp_path / "tiny/val").mkdir()
    with pytest.raises(DataDamaged, match=r"tiny/train: no class folders; the layout is"):
        tiny(tmp_path)


def test_a_missing_split_is_named(root):
    shutil.rmtree(root / "tiny/val")
    with pytest.raises(DataDamaged, match=r"tiny: no val/ or validation/ beside train/"):
        tiny(root)


def test_a_missing_shard_is_named(tmp_path):
    write_shards(tmp_path / "tiny", "train", *TRAIN)
    with pytest.raises(DataDamaged, match="no validation parquet shards beside the others"):
        tiny(tmp_path)
    (tmp_path / "tiny/train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataDamaged, match=r"train-00000-of-00002\.parquet: found with 1 shards"):
        tiny(tmp_path)


def test_a_truncated_shard_is_named(tmp_path):
    write_shards(tmp_path / "tiny", "train", *TRAIN)
    write_shards(tmp_path / "tiny", "validation", *VAL)
    path = tmp_path / "tiny/train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataDamaged, match=r"train-00001-of-00002\.parquet: no whole parquet file"):
        tiny(tmp_path)


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("image_size", 0, "an integer >= 1"),
        ("resize", 8, "an integer >= 16"),
        ("crop_scale", [0.5, 0.1], "two shares in (0, 1], ascending"),
        ("crop_scale", [0.0, 1.0], "a sequence of numbers in (0, 1]"),
        ("mean", [0.5], "one number a channel, 3"),
        ("std", [0.5, 0.5, 0.0], "a sequence of numbers in (0, 1]"),
        ("augment", "yes", "true or false"),
        ("flip", 1, "true or false"),
        ("auto_augment", "autumn", "null, or timm's string: rand-..."),
        ("erasing", 1.5, "in [0, 1]"),
        ("cache", "disk", "null or 'decoded'"),
        ("max_damaged", -1, "an integer >= 0"),
        ("num_workers", -1, "an integer >= 0"),
        ("num_classes", 1, "an integer >= 2"),
        ("split", "train", "'test' or 'validation'"),
    ],
)
def test_a_bad_value_is_named(root, argument, value, allowed):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole line is compared
        tiny(root, **{argument: value})
    assert str(caught.value) == f"{argument}={value!r}: must be {allowed}"
