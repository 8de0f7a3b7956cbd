"""The resident loader: every planned id once, equal pixels by id, nothing that waits."""

import random

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.transforms import functional as reference

from es_repro.data import ImageData, Images, ResidentLoader
from es_repro.selection import PlannedBatchSampler, create

N, HELD = 50, 23


def make_data(channels=3, size=12, **changes):
    generator = torch.Generator().manual_seed(0)

    def images(n):
        pixels = torch.randint(
            0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator
        )
        return Images(pixels, torch.randint(0, 10, (n,), generator=generator))

    settings = {
        "split": "test", "num_classes": 10, "augment": True, "pad": 3, "flip": True,
        "mean": (0.5, 0.4, 0.3)[:channels], "std": (0.2, 0.25, 0.3)[:channels], "fingerprint": "",
    }  # fmt: skip
    return ImageData(train=images(N), evaluation=images(HELD), **(settings | changes))


def make_loader(
    data=None, *, method="baseline", batch=16, seed=0, epoch=0, drop_last=False, **more
):
    data = data or make_data()
    settings = {"prune_ratio": 0.4} if method == "random" else {}
    selector = create(method, N, 10, seed=seed, **settings)
    sampler = PlannedBatchSampler(selector, batch, seed=seed, drop_last=drop_last)
    loader = ResidentLoader(data, sampler, seed=seed, device="cpu", **more)
    loader.set_epoch(epoch)
    return loader


def by_id(batches):
    return {
        sample: (inputs[row], int(targets[row]))
        for index, inputs, targets in batches
        for row, sample in enumerate(index.tolist())
    }


VARIANTS = [
    {},
    {"augment": False},
    {"flip": False},
    {"pad": 0},
    {"channels": 1, "size": 8, "pad": 1},
    {"channels": 1, "size": 8, "augment": False},
]


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_rows_agree_with_batches_bit_for_bit(changes, dtype, channels_last):
    loader = make_loader(make_data(**changes), dtype=dtype, channels_last=channels_last)
    for index, inputs, targets in loader.batches():
        again, same_targets = loader.rows(index)
        assert inputs.dtype == dtype
        assert torch.equal(inputs, again)
        assert torch.equal(targets, same_targets)
        wanted = torch.channels_last if channels_last else torch.contiguous_format
        assert inputs.is_contiguous(memory_format=wanted)


def test_a_sample_out_of_place_would_be_noticed():
    loader = make_loader()
    index, inputs, _ = next(loader.batches())
    assert not torch.equal(inputs, loader.rows(index.roll(1))[0])


def test_batches_are_torchvisions_image_by_image():
    data = make_data()
    loader = make_loader(data)
    seen = by_id(loader.batches())
    draws = loader._drawn()
    for sample, (inputs, target) in seen.items():
        image = reference.pad(data.train.images[sample], [3] * 4, padding_mode="reflect")
        top, left = int(draws.tops[sample]), int(draws.lefts[sample])
        image = reference.crop(image, top, left, 12, 12)
        image = reference.hflip(image) if draws.flips[sample] else image
        expected = reference.normalize(image / 255, list(data.mean), list(data.std))
        torch.testing.assert_close(inputs, expected, rtol=1e-5, atol=1e-6)
        assert target == int(data.train.targets[sample])


@pytest.mark.parametrize("batch", [1, 16, 25, 50, 64])
@pytest.mark.parametrize("method", ["baseline", "random"])
def test_every_planned_id_is_visited_once(batch, method):
    loader = make_loader(method=method, batch=batch)
    visited = torch.cat([index for index, _, _ in loader.batches()])
    assert sorted(visited.tolist()) == sorted(loader.plan.indices.tolist())
    assert len(list(loader.batches())) == len(loader)
    assert visited.dtype == torch.int64


def test_batches_are_the_samplers():
    loader = make_loader(drop_last=True)
    batches = [index.tolist() for index, _, _ in loader.batches()]
    assert batches == list(loader.sampler)
    assert [len(batch) for batch in batches] == [16, 16, 16]


def test_a_sample_looks_the_same_in_every_plan_and_batch_size():
    whole = by_id(make_loader(epoch=3).batches())
    for method, batch in (("random", 16), ("baseline", 7), ("random", 1)):
        part = by_id(make_loader(method=method, batch=batch, epoch=3).batches())
        for sample, (inputs, target) in part.items():
            assert torch.equal(inputs, whole[sample][0])
            assert target == whole[sample][1]


def test_another_epoch_or_seed_looks_different():
    first = by_id(make_loader().batches())
    for change in ({"epoch": 1}, {"seed": 1}):
        other = by_id(make_loader(**change).batches())
        assert sum(torch.equal(first[i][0], other[i][0]) for i in range(N)) < N / 5


@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_start_resumes_at_a_meta_batch(start):
    loader = make_loader()
    expected = list(loader.batches())[start:]
    resumed = list(make_loader().batches(start=start))
    assert len(resumed) == len(expected)
    for ours, theirs in zip(resumed, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_an_epoch_can_be_set_again_after_another():
    loader = make_loader(epoch=2)
    before = by_id(loader.batches())
    loader.set_epoch(5)
    loader.set_epoch(2)
    after = by_id(loader.batches())
    assert all(torch.equal(before[i][0], after[i][0]) for i in range(N))


def test_visit_shows_samples_as_the_epoch_does():
    loader = make_loader(epoch=1)
    known = by_id(loader.batches())
    ids = torch.tensor([44, 3, 17, 8, 20])
    batches = list(loader.visit(ids, batch_size=2))
    assert [index.tolist() for index, _, _ in batches] == [[44, 3], [17, 8], [20]]
    for sample, (inputs, target) in by_id(batches).items():
        assert torch.equal(inputs, known[sample][0])
        assert target == known[sample][1]
    assert list(loader.visit(ids[:0], batch_size=2)) == []


def test_evaluation_is_in_order_and_not_augmented():
    data = make_data()
    batches = list(make_loader(data).evaluation(10))
    assert [len(targets) for _, targets in batches] == [10, 10, 3]
    inputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    expected = reference.normalize(data.evaluation.images / 255, list(data.mean), list(data.std))
    torch.testing.assert_close(inputs, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(targets, data.evaluation.targets)


def test_the_engine_is_told_what_it_asks():
    data = make_data(split="validation")
    loader = make_loader(data)
    assert (loader.num_samples, loader.num_classes, loader.split) == (N, 10, "validation")
    assert torch.equal(loader.labels, data.train.targets)


def test_asking_before_an_epoch_is_set_says_so():
    sampler = PlannedBatchSampler(create("baseline", N, 10), 16)
    loader = ResidentLoader(make_data(), sampler, seed=0, device="cpu")
    for ask in (
        lambda: loader.plan,
        lambda: next(loader.batches()),
        lambda: loader.rows(torch.tensor([0])),
        lambda: next(loader.visit(torch.tensor([0]), 1)),
    ):
        with pytest.raises(RuntimeError, match=r"call set_epoch\(epoch\)"):
            ask()


def test_batches_do_not_alias_the_data():
    loader = make_loader(make_data(augment=False))
    for _, inputs, _ in loader.batches():
        inputs.zero_()
    index, inputs, _ = next(loader.batches())
    assert inputs.abs().sum() > 0
    assert torch.equal(inputs, loader.rows(index)[0])


def test_global_generators_are_untouched():
    def states():
        numpys = str(np.random.get_state())  # noqa: NPY002 - the global one is meant
        return torch.get_rng_state().tolist(), numpys, random.getstate()

    before = states()
    loader = make_loader(method="random")
    list(loader.batches())
    assert states() == before


class FakeSampler:
    """A sampler whose ids are fake tensors, which a real one's cannot be."""

    batch_size = 16

    def __init__(self, indices):
        self.indices = indices

    def set_epoch(self, epoch):
        pass

    def __len__(self):
        return -(-len(self.indices) // self.batch_size)


@pytest.mark.parametrize("changes", VARIANTS)
def test_nothing_on_the_path_waits_for_a_gpu(changes, monkeypatch):
    """Fake CUDA tensors refuse `.item()`, `nonzero` and masks; the rest is refused here."""
    with FakeTensorMode():
        data = make_data(**changes)
        sampler = FakeSampler(torch.randperm(N))
        loader = ResidentLoader(data, sampler, seed=0, device="cuda")
        loader.set_epoch(0)
        hidden = torch.arange(20).to("cuda")

        def refuse(*args, **kwargs):
            raise AssertionError("the path waits for the device")

        for name in ("cpu", "item", "tolist", "numpy", "nonzero", "__bool__"):
            monkeypatch.setattr(torch.Tensor, name, refuse)
        monkeypatch.setattr(torch, "multinomial", refuse)
        batches = [*loader.batches(), *loader.visit(hidden, 8)]
        held = list(loader.evaluation(10))
        monkeypatch.undo()
    assert [len(index) for index, _, _ in batches] == [16, 16, 16, 2, 8, 8, 4]
    assert all(part.device.type == "cuda" for batch in [*batches, *held] for part in batch)
