"""Nothing in a step waits for the device: whole steps of the engine, for every method."""

from pathlib import Path

import pytest
import torch
from guards import READS, NoWaiting, forbidden
from torch._subclasses.fake_tensor import FakeTensorMode

from es_repro.build import build_engine, build_selector, load_data, run_epochs
from es_repro.config import config_folder
from es_repro.data import ImageData, Images, ResidentLoader
from es_repro.data.augmentation import Draws
from es_repro.models import small_resnet
from es_repro.passes import Statistics
from es_repro.process.generators import isolated_generators
from es_repro.rows import take_rows
from es_repro.selection import PlannedBatchSampler, base, create, stream
from es_repro.tasks import Classification

METHODS = sorted(path.stem for path in Path(config_folder(), "method").glob("*.yaml"))
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def make_engine(compose, method, device=CPU, *overrides):
    config = compose(
        f"method={method}", "epochs=20", "subset=200", "model=resnet8", "model.width=4",
        "+dataset.augment=true", "meta_batch_size=32", "clip_norm=1.0", *overrides,
    )  # fmt: skip
    data = load_data(config)
    selector = build_selector(config, data.num_samples, run_epochs(config), device)
    engine = build_engine(
        config, data=data, selector=selector, record=None, device=device, precision="fp32"
    )
    return engine, selector


@pytest.mark.parametrize("method", METHODS)
def test_no_operator_of_a_step_waits(compose_run, monkeypatch, method):
    engine, selector = make_engine(compose_run, method)
    engine.warm_up()  # counts FLOPs, which waits
    for epoch in (0, 3):  # annealed, and selecting where the method does
        engine.loader.set_epoch(epoch)
        batches = engine.loader.batches()
        with NoWaiting(), monkeypatch.context() as patched:
            for name in READS:
                patched.setattr(torch.Tensor, name, forbidden)
            for _ in range(2):
                engine.train_step(next(batches), selecting=selector.selects_batches, lr_scale=1.0)


def test_the_guard_sees_a_step_that_waits(compose_run):
    engine, _ = make_engine(compose_run, "es")
    engine.warm_up()
    engine.selector.reduce = lambda _, losses: losses[losses > 0].mean()
    with NoWaiting(), pytest.raises(AssertionError, match="waits for the device"):
        engine.train_step(next(engine.loader.batches()), selecting=False, lr_scale=1.0)


def pretended_loader(selector):
    """The resident loader with its pixels on a CUDA device that need not exist."""
    pixels = torch.zeros(40, 3, 8, 8, dtype=torch.uint8)
    images = Images(pixels, torch.zeros(40, dtype=torch.int64))
    data = ImageData(
        train=images, evaluation=images, split="test", num_classes=10, mean=(0.5,) * 3,
        std=(0.2,) * 3, augment=True, pad=1, flip=True, fingerprint="",
    )  # fmt: skip
    sampler = PlannedBatchSampler(selector, 16)
    loader = ResidentLoader(data, sampler, seed=0, device=CUDA)
    sampler.plan = base.EpochPlan(torch.arange(40))
    sampler._indices = torch.arange(40)
    loader._order = sampler._indices.to(CUDA)
    draws = (torch.zeros(40, dtype=kind, device=CUDA) for kind in (torch.int64,) * 2)
    flips = torch.zeros(40, dtype=torch.uint8, device=CUDA)
    loader._draws = Draws(*draws, flips)
    return loader


@pytest.mark.parametrize(
    "method", ["baseline", "loss", "order", "es", "eswp", "infobatch", "ka", "ucb"]
)
def test_augmentation_scoring_and_selection_stay_on_pretended_cuda(monkeypatch, method):
    """Fake CUDA tensors raise on mixed devices and on reads; the rest is patched to raise."""
    # A CUDA generator cannot be pretended; a CPU one passes on fake tensors.
    monkeypatch.setattr(base, "stream", lambda *_: stream(0, "select", 0))
    with FakeTensorMode():
        selector = create(method, 40, 20, device="cuda")
        loader = pretended_loader(selector)
        with CUDA:  # fake parameters cannot be moved there
            model = small_resnet(8, 4, num_classes=10, in_channels=3, image_size=8)
        task, statistics = Classification(num_classes=10), Statistics(model)
        for name in (*READS, "multinomial"):
            monkeypatch.setattr(torch.Tensor, name, forbidden)
        selector.epoch = 5
        index, inputs, targets = next(loader.batches())
        with torch.no_grad(), statistics.scoring():
            seen = task(model, inputs, targets, selector.signals)
        if selector.selects_batches:
            picked = selector.select(index, seen.scores, **seen.signals)
            index, losses = index[picked], seen.losses[picked]
            assert take_rows(inputs, picked).device.type == "cuda"
        else:
            selector.observe(index, seen.scores, **seen.signals)
            losses = seen.losses
        assert selector.reduce(index, losses).device.type == "cuda"


def test_scoring_leaves_torch_alone():
    before = torch.get_rng_state()
    with isolated_generators(CPU):
        torch.rand(3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_a_gpu_is_not_waited_for_in_a_step(compose_run, method):
    engine, selector = make_engine(compose_run, method, CUDA, "compile=false")
    engine.warm_up()
    for epoch in (0, 3):
        engine.loader.set_epoch(epoch)
        batches = engine.loader.batches()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(2):
                engine.train_step(next(batches), selecting=selector.selects_batches, lr_scale=1.0)
        finally:
            torch.cuda.set_sync_debug_mode("default")
