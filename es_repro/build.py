"""From a composed config to the objects of a run; below this, nobody sees a config."""

import logging
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from lightning_fabric import Fabric
from omegaconf import DictConfig

from es_repro.data import ImageData, ResidentLoader
from es_repro.engine import Engine, Settings
from es_repro.machine import Precision
from es_repro.passes import flops_per_sample, isolated_generators
from es_repro.record import Record
from es_repro.selection import PlannedBatchSampler, Selector, selector_class

__all__ = ["build_engine", "build_selector", "load_data", "run_epochs", "seed_globals"]

PRECISIONS: Mapping[Precision, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}
ENGINE_KEYS = (
    "meta_batch_size", "micro_batch_size", "score_micro_batch", "score_mode", "bn_update",
    "clip_norm", "eval_every",
)  # fmt: skip
RUN_KEYS = ("log_every", "checkpoint_every_seconds", "checkpoint_every_steps")


# Fabric announces the precision, which the record holds.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def load_data(config: DictConfig) -> ImageData:
    """The data set of the run.

    Raises:
        DataNotFound: it is not here and cannot be fetched.
        DataDamaged: a file of it is broken.
    """
    data: ImageData = instantiate(config.dataset)()
    return data


def run_epochs(config: DictConfig) -> int:
    """E, or under `budget_of` the epochs in which the baseline costs that method's FLOPs.

    floor(G*E + 0.5), G the method's cost from the cost model, at least 1.
    """
    if config.budget_of is None:
        return int(config.epochs)
    costly = {k: v for k, v in config.budget_of.items() if not k.startswith("_")}
    name = costly.pop("name")
    factor = selector_class(name).expected_cost(int(config.epochs), **costly).factor
    return max(1, math.floor(factor * int(config.epochs) + 0.5))


def build_selector(
    config: DictConfig, num_samples: int, epochs: int, device: torch.device
) -> Selector:
    """The method, for this many samples and epochs."""
    make = instantiate(config.method)
    selector: Selector = make(
        num_samples=num_samples, num_epochs=epochs, device=str(device), seed=config.seed
    )
    return selector


def seed_globals(seed: int) -> None:
    """Seed the generators that initial weights and dropout draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global one is meant
    torch.manual_seed(seed)


def build_engine(
    config: DictConfig,
    *,
    data: ImageData,
    selector: Selector,
    record: Record,
    device: torch.device,
    precision: Precision,
    show: Callable[[float, str], None] | None = None,
) -> tuple[Engine, float]:
    """The engine, ready to `fit`, and the model's forward FLOPs per sample."""
    seed_globals(config.seed)
    channels, height, _ = data.train.images.shape[1:]
    model = instantiate(config.model)(
        num_classes=data.num_classes, in_channels=channels, image_size=height
    ).to(device, memory_format=torch.channels_last)
    sampler = PlannedBatchSampler(selector, config.meta_batch_size, seed=config.seed)
    loader = ResidentLoader(data, sampler, seed=config.seed, device=device)
    sample = torch.zeros(1, *data.train.images.shape[1:], device=device)
    with isolated_generators(device):
        flops = flops_per_sample(model, sample)
    engine = Engine(
        fabric=Fabric(accelerator=device.type, devices=1, precision=PRECISIONS[precision]),
        model=model,
        task=instantiate(config.task)(num_classes=data.num_classes),
        selector=selector,
        loader=loader,
        optimizer=instantiate(config.optimizer)(model.parameters()),
        schedule=instantiate(config.schedule),
        record=record,
        settings=Settings(
            epochs=selector.num_epochs,
            **{key: config[key] for key in ENGINE_KEYS},
            **{key: config.run[key] for key in RUN_KEYS},
        ),
        show=show,
    )
    return engine, flops
