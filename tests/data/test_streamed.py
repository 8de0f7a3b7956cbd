"""The streamed loader: ids, order, workers, resume and damage."""

import gc
import io
import pickle
import re

import numpy as np
import psutil
import pytest
import torch
from layouts import encoded, photographs, write_class_folders, write_parquet, write_shards
from PIL import Image

from es_repro.data import DataDamaged, streamed_images
from es_repro.data.decoding import EVALUATION, Pictures
from es_repro.data.transforms import drawing
from es_repro.selection import PlannedBatchSampler, create

CLASSES, B = 3, 4
TRAIN, VAL = photographs(CLASSES, 6, seed=0), photographs(CLASSES, 3, seed=1)
CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path):
    write_class_folders(tmp_path / "tiny/train", *TRAIN)
    write_class_folders(tmp_path / "tiny/val", *VAL)
    return tmp_path


def tiny(root, **options):
    return streamed_images(
        ["tiny"], data_root=root, num_classes=CLASSES,
        **({"image_size": 16, "resize": 20} | options),
    )  # fmt: skip


def loader(root, method="baseline", seed=0, **options):
    data = tiny(root, **options)
    sampler = PlannedBatchSampler(create(method, data.num_samples, 4, seed=seed), B, seed=seed)
    return data.loader(sampler, seed=seed, device=CPU)


def epoch(loader, number, start=0):
    loader.set_epoch(number)
    return list(loader.batches(start))


def same(one, two):
    return len(one) == len(two) and all(
        torch.equal(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
    )


def damage(path):
    path.write_bytes(path.read_bytes()[:-40])


def train_file(root, row):
    return sorted((root / "tiny/train").rglob("*.JPEG"))[row]


def test_an_epoch_visits_the_plan_in_the_sampler_s_order(root):
    ours = loader(root)
    batches = epoch(ours, 0)

    assert [x[0].tolist() for x in batches] == list(ours.sampler)
    assert sorted(torch.cat([x[0] for x in batches]).tolist()) == list(range(18))
    for index, inputs, targets in batches:
        assert index.dtype == torch.int64
        assert inputs.shape == (len(index), 3, 16, 16)
        assert targets.tolist() == TRAIN[1][index].tolist()


def test_inputs_are_the_transformed_and_normalised_image(root):
    ours = loader(root, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    views = tiny(root).views
    for index, inputs, _ in epoch(ours, 3):
        for sample, row in zip(index.tolist(), inputs, strict=True):
            picture = np.array(Image.open(io.BytesIO(encoded(TRAIN[0][sample], "JPEG"))))
            with drawing(0, 3, sample):
                view = views.training()(torch.from_numpy(picture).permute(2, 0, 1))
            mean, std = torch.tensor((0.5, 0.4, 0.3)), torch.tensor((0.2, 0.3, 0.4))
            expected = (view / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
            torch.testing.assert_close(row, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cache", [None, "decoded"])
def test_any_number_of_workers_gives_the_same_batches_in_every_epoch(root, cache):
    alone, shared = loader(root, cache=cache), loader(root, cache=cache, num_workers=2)
    first = epoch(alone, 0)
    assert same(first, epoch(shared, 0))
    workers = {x.pid for x in psutil.Process().children()}
    second = epoch(alone, 1)
    assert same(second, epoch(shared, 1))
    assert workers <= {x.pid for x in psutil.Process().children()}  # the same ones, still there
    pixels = [x[1].sum() for batches in (first, second) for x in batches]
    assert len(set(map(float, pixels))) == len(pixels)
    shared._workers.close()
    assert not workers & {x.pid for x in psutil.Process().children()}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resume_in_the_middle_decodes_nothing_before_it(root, num_workers):
    whole = epoch(loader(root), 2)
    ours = loader(root, num_workers=num_workers)
    asked = []
    answers = ours._workers.answers
    ours._workers.answers = lambda batches: asked.extend(batches) or answers(batches)

    assert same(epoch(ours, 2, start=3), whole[3:])
    assert [[sample for _, sample in batch] for batch in asked] == [
        x[0].tolist() for x in whole[3:]
    ]


def test_a_pruned_plan_decodes_only_what_it_kept(root):
    data = tiny(root)
    selector = create("random", data.num_samples, 4, prune_ratio=0.5, annealing_start=0)
    ours = data.loader(PlannedBatchSampler(selector, B), seed=0, device=CPU)
    read, train = [], data.stored["train"]
    original = train.read
    train.read = lambda row: read.append(row) or original(row)

    batches = epoch(ours, 1)
    assert sorted(read) == sorted(ours.plan.indices.tolist())
    assert len(read) == 9
    full = {int(i): row for x in epoch(loader(root), 1) for i, row in zip(x[0], x[1], strict=True)}
    for index, inputs, _ in batches:  # an image looks as it does where nothing is pruned
        assert all(torch.equal(full[int(i)], row) for i, row in zip(index, inputs, strict=True))


def test_rows_are_those_of_the_batches(root):
    ours = loader(root, num_workers=1)
    ours.set_epoch(1)
    for index, inputs, targets in ours.batches():
        again = ours.rows(index)
        assert torch.equal(again[0], inputs)
        assert torch.equal(again[1], targets)


def test_visits_look_as_they_do_in_the_epoch(root):
    ours = loader(root)
    rows = {int(i): x for b in epoch(ours, 1) for i, x in zip(b[0], b[1], strict=True)}
    ids = torch.tensor([5, 0, 17, 3, 3])
    visited = list(ours.visit(ids, 2))
    assert [x[0].tolist() for x in visited] == [[5, 0], [17, 3], [3]]
    assert all(
        torch.equal(rows[int(i)], x) for b in visited for i, x in zip(b[0], b[1], strict=True)
    )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_is_in_order_and_the_same_every_time(root, num_workers):
    ours = loader(root, num_workers=num_workers)
    once, twice = list(ours.evaluation(4)), list(ours.evaluation(4))
    assert same(once, twice)
    assert torch.cat([x[1] for x in once]).tolist() == VAL[1].tolist()
    assert same(once, list(loader(root, seed=5).evaluation(4)))


def test_only_the_wanted_batches_of_evaluation_are_decoded(root):
    ours = loader(root)
    whole, read = list(ours.evaluation(4)), []
    stored = ours._pictures._held.stored
    reading, stored.read = stored.read, lambda at: read.append(at) or reading(at)
    assert same(list(ours.evaluation(4, [2, 0])), [whole[2], whole[0]])
    assert ours.num_evaluated == len(VAL[1])
    assert len(read) == len(whole[2][1]) + len(whole[0][1])


def test_evaluation_between_two_halves_of_an_epoch_costs_neither(root):
    ours = loader(root, num_workers=2)
    whole = epoch(ours, 0)
    begun = ours.batches()
    first = next(begun)
    evaluated = list(ours.evaluation(4))
    assert len(evaluated) == 3
    assert same([first, *ours.batches(1)], whole)
    with pytest.raises(RuntimeError, match="another iteration over the data has begun"):
        next(begun)


def test_no_global_generator_is_moved(root):
    before = torch.get_rng_state()
    for num_workers in (0, 1):
        ours = loader(root, num_workers=num_workers)
        epoch(ours, 0)
        list(ours.evaluation(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_shards_and_folders_of_the_same_images_give_the_same_batches(tmp_path):
    folders, hub = tmp_path / "folders", tmp_path / "hub"
    for split, name, part in (("train", "train", TRAIN), ("val", "validation", VAL)):
        write_class_folders(folders / "tiny" / split, *part, kind="PNG")
        write_shards(hub / "tiny" / "data", name, *part)
    assert same(epoch(loader(folders), 0), epoch(loader(hub, num_workers=2), 0))


def test_what_is_decoded_once_is_kept_at_its_shorter_side(root):
    ours, reads = loader(root, cache="decoded"), []
    train = ours._pictures._train
    train.stored.read = reads.append
    epoch(ours, 0)
    assert reads == []
    assert train.image(0).shape == (3, 20, 26)  # of 24 x 32
    assert train._kept is loader(root, cache="decoded")._pictures._train._kept


def test_a_data_set_travels_to_spawned_workers(root):
    pictures = loader(root)._pictures
    copy = pickle.loads(pickle.dumps(pictures))
    assert isinstance(copy, Pictures)
    one, two = (x.__getitems__([(0, 3), (0, 4)]) for x in (pictures, copy))
    assert torch.equal(one.pixels, two.pixels)
    assert copy.__getitems__([(EVALUATION, 2)]).targets.tolist() == [0]


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("cache", [None, "decoded"])
def test_a_damaged_image_stops_the_run_by_default_and_is_named(root, num_workers, cache):
    path = train_file(root, 7)
    damage(path)
    ours = loader(root, num_workers=num_workers, cache=cache)
    with pytest.raises(DataDamaged, match=re.escape(str(path))) as caught:
        epoch(ours, 0)
    assert "image file is truncated" in str(caught.value)
    assert "dataset.max_damaged=N (now 0)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_damaged_image_is_left_out_named_and_counted_once(root, num_workers, caplog):
    whole = epoch(loader(root), 0)
    path = train_file(root, 7)
    damage(path)
    ours = loader(root, num_workers=num_workers, max_damaged=1)
    batches = epoch(ours, 0)

    assert [x[0].tolist() for x in batches] == [
        [i for i in x[0].tolist() if i != 7] for x in whole
    ]  # every batch in its place, one of them a row short
    for (index, inputs, _), (old, images, _) in zip(batches, whole, strict=True):
        assert torch.equal(inputs, images[torch.isin(old, index)])
    epoch(ours, 1)
    assert ours.damaged == 1
    (line,) = [x.getMessage() for x in caplog.records]
    assert line.startswith(f"{path}: the image is damaged (image file is truncated")
    assert line.endswith("left out")


def test_one_damaged_image_too_many_stops_the_run(root):
    for row in (3, 7, 16):
        damage(train_file(root, row))
    assert len(epoch(loader(root, max_damaged=3), 0)) == 5
    with pytest.raises(DataDamaged, match=r"max_damaged=N \(now 2\)"):
        epoch(loader(root, max_damaged=2), 0)


def test_a_damaged_image_of_the_evaluation_split_counts_too(root):
    damage(sorted((root / "tiny/val").rglob("*.JPEG"))[4])
    ours = loader(root, max_damaged=1)
    rows = [len(x[1]) for x in ours.evaluation(4)]
    assert rows == [4, 3, 1]
    assert ours.damaged == 1
    with pytest.raises(DataDamaged, match="max_damaged"):
        list(loader(root).evaluation(4))


def test_a_batch_of_nothing_but_damaged_images_stops_the_run(root):
    first = loader(root)
    first.set_epoch(0)
    for row in next(iter(first.sampler)):
        damage(train_file(root, row))
    with pytest.raises(DataDamaged, match="no image of its batch decodes"):
        epoch(loader(root, max_damaged=18), 0)


def test_rows_of_a_damaged_image_say_so(root):
    damage(train_file(root, 7))
    ours = loader(root, max_damaged=5)
    ours.set_epoch(0)
    with pytest.raises(DataDamaged, match="n00000001_0007"):
        ours.rows(torch.tensor([1, 7]))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_file_that_vanished_is_no_damage_to_be_tolerated(root, num_workers):
    ours = loader(root, max_damaged=18, num_workers=num_workers)
    path = train_file(root, 7)
    path.unlink()
    with pytest.raises(DataDamaged, match=re.escape(f"{path}: cannot be read (No such file")):
        epoch(ours, 0)


def test_a_row_of_a_shard_without_bytes_is_named(tmp_path):
    images = [*TRAIN[0][:-1], None]
    write_parquet(tmp_path / "tiny/train.parquet", images, TRAIN[1], "image")
    write_shards(tmp_path / "tiny", "validation", *VAL)
    ours = loader(tmp_path)
    with pytest.raises(DataDamaged, match=r"train\.parquet \(row 17\): the image is damaged"):
        epoch(ours, 0)


def test_workers_end_with_their_loader(root):
    ours = loader(root, num_workers=1)
    before = set(psutil.Process().children())
    epoch(ours, 0)
    (worker,) = set(psutil.Process().children()) - before
    del ours
    gc.collect()
    worker.wait(5)
    assert not worker.is_running()


def test_no_epoch_is_planned_yet(root):
    ours = loader(root)
    for ask in (
        lambda: list(ours.batches()),
        lambda: ours.plan,
        lambda: ours.rows(torch.arange(2)),
    ):
        with pytest.raises(RuntimeError, match="no epoch is planned yet"):
            ask()


def test_several_ranks_tolerate_no_damage(root):
    data = tiny(root, max_damaged=2)
    selector = create("baseline", data.num_samples, 10)
    sampler = PlannedBatchSampler(selector, 4, rank=1, world_size=2)
    with pytest.raises(ValueError, match=r"^dataset.max_damaged=2: must be 0 where several ranks"):
        data.loader(sampler, seed=0, device=torch.device("cpu"))
