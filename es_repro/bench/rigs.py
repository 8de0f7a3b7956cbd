"""The runs that a bench steps through: composed as any run is, on images that are at hand."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from es_repro.build import build_engine, build_selector, load_data
from es_repro.config import config_folder, register_resolvers
from es_repro.data import Data, DataNotFound, ImageData, Images, cifar
from es_repro.engine import Engine
from es_repro.record import Record
from es_repro.selection import require, stream

__all__ = [
    "EPOCHS", "Case", "DataChoice", "bare_engine", "compose_case", "described", "images",
    "known_methods", "small_images",
]  # fmt: skip

DataChoice = Literal["auto", "random", "config"]

# Epochs of a run that is stepped through. All methods select in epochs 2 to 5: annealing of 5%
# leaves out the first, KAKURENBO's share is whole until 30%, UCB selects anew in each.
EPOCHS = 20
CLASSES = 10
SIZE = 32
MADE = "random images"  # the fingerprint of what is made here
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # CIFAR-10's, for made images too

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """One row of a bench.

    Args:
        model: an option of the group `model` and its own keys: "resnet8,depth=20" or
            "mlp,hidden=[512,512]".
        method: an option of the group `method`.
        batch_ratio: the recipe's b/B; methods without a mini-batch make of it what they do.
        overrides: any others, as of `es_repro.train`.
    """

    model: str
    method: str
    batch_ratio: float
    overrides: Sequence[str] = ()


def known_methods() -> list[str]:
    """The options of the group `method`, the baseline first.

    Those that are built on another (ablations, controls of another length) have its steps.
    """
    paths = (Path(config_folder()) / "method").glob("*.yaml")
    names = sorted(path.stem for path in paths if "\ndefaults:" not in path.read_text())
    return sorted(names, key=lambda name: name != "baseline")


def compose_case(case: Case) -> DictConfig:
    """The config of a run of this case.

    Raises:
        ValueError: a ratio outside (0, 1].
        HydraException: no such method, model or key.
    """
    require(0 < case.batch_ratio <= 1, "batch_ratio", case.batch_ratio, "in (0, 1]")
    name, *keys = re.split(r",(?![^\[]*\])", case.model)  # not at the commas of a list
    overrides = [
        f"method={case.method}", f"row={case.method}", f"++recipe.batch_ratio={case.batch_ratio}",
        f"model={name}", *(f"model.{key}" for key in keys),
        f"epochs={EPOCHS}", "tracker=none", "++compile=false", *case.overrides,
    ]  # fmt: skip
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return compose("config", overrides)


def images(choice: DataChoice, data_root: str, num_samples: int, config: DictConfig) -> Data:
    """The data of a bench; how long a step takes does not depend on what they show.

    Args:
        choice: `config` takes the data set that the config names, `random` makes images of CIFAR's
            size, `auto` takes CIFAR-10 where it lies under `data_root`, else makes them.
        data_root: where data sets live.
        num_samples: how many to train on.
        config: of a run.
    """
    if choice == "config":
        return load_data(config)
    return small_images(choice, data_root, num_samples)


def small_images(choice: DataChoice, data_root: str, num_samples: int) -> ImageData:
    """Images of 32x32 to train on, as of `images`; `fingerprint` says whether they are made."""
    if choice == "auto":
        try:
            return cifar(data_root=data_root, download="never", subset=num_samples)
        except DataNotFound:
            log.info("CIFAR-10 is not under DATA_ROOT=%s: random images instead", data_root)
    generator = stream(0, "made images", 0)
    train, test = (
        Images(
            torch.randint(256, (n, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8),
            torch.randint(CLASSES, (n,), generator=generator),
        )
        for n in (num_samples, CLASSES)
    )
    return ImageData(
        train, test, split="test", num_classes=CLASSES, mean=MEAN, std=STD, augment=True, pad=4,
        flip=True, fingerprint=MADE,
    )  # fmt: skip


def described(data: Data) -> str:
    """What the images are, for a heading."""
    made = data.fingerprint == MADE
    kind = "random images" if made else f"images, fingerprint {data.fingerprint[:12]}"
    return f"{data.num_samples:,} {kind}"


def bare_engine(config: DictConfig, data: Data, device: torch.device) -> Engine:
    """An engine without a record: steps alone are taken of it."""
    unrecorded = cast(Record, None)
    return build_engine(
        config,
        data=data,
        selector=build_selector(config, data.num_samples, config.epochs, device),
        record=unrecorded,
        device=device,
        precision=config.precision,
        compiled=config.compile,
    )
