"""Our loader beside the one a user would write: DataLoader, PIL and torchvision's transforms."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from es_repro.bench.ratios import Estimate, estimate
from es_repro.bench.rigs import Case, DataChoice, bare_engine, compose_case, described, small_images
from es_repro.bench.stepping import paired_seconds
from es_repro.data import ImageData
from es_repro.engine import Engine

__all__ = ["Loading", "PilImages", "measure_loading"]

EPOCH = 2


@dataclass(frozen=True)
class Loading:
    """Samples a second of one pair of loaders, alone or with a net that trains on them.

    Attributes:
        model: what trains on the batches; None: nothing, the loaders alone.
        workers: of the DataLoader.
        ours, theirs: samples a second, medians over whole short epochs.
        speedup: their time over ours, in pairs.
        data: what the images were.
    """

    model: str | None
    workers: int
    ours: float
    theirs: float
    speedup: Estimate
    data: str


class PilImages(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's data sets hand them out: a PIL image through transforms.

    Args:
        data: decoded images and their labels; statistics, border and flip of the augmentation.
    """

    def __init__(self, data: ImageData) -> None:
        from torchvision import transforms  # here, for it takes a second

        self.pixels = data.train.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.targets = data.train.targets.tolist()
        size = tuple(data.train.images.shape[2:])
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(size, padding=data.pad, padding_mode="reflect"),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.mean, data.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.pixels[index])
        return self.transform(image), self.targets[index]


def measure_loading(
    models: Sequence[str],
    workers: Sequence[int],
    *,
    pairs: int,
    num_samples: int,
    data: DataChoice,
    data_root: str,
    device: torch.device,
    overrides: Sequence[str] = (),
    show: Callable[[float, str], None] = lambda *_: None,
) -> list[Loading]:
    """Both loaders alone, then end to end with each of the models, by whole short epochs.

    Args:
        models: options of the group `model`, as of `rigs.Case`.
        workers: numbers of worker processes that the DataLoader is tried with.
        pairs: epochs of each.
        num_samples: of an epoch.
        data: which images; `config` is not among them, for PIL wants colour images.
        data_root: where data sets live.
        device: where batches are wanted.
        overrides: of the runs, as of `es_repro.train`.
        show: called with the share done and what is being measured.
    """
    pictures = small_images(data, data_root, num_samples)
    found = []
    jobs = [(model, count) for model in (None, *models) for count in workers]
    for number, (model, count) in enumerate(jobs):
        show(number / len(jobs), f"loading for {model or 'nobody'}, {count} workers")
        case = Case(model or "mlp", "baseline", 1.0, overrides)
        found.append(_measure(model, count, case, pictures, pairs, device))
    return found


def _measure(
    model: str | None, workers: int, case: Case, data: ImageData, pairs: int, device: torch.device
) -> Loading:
    seconds = _paired_epochs(model, workers, case, data, pairs, device)
    ours, theirs = data.num_samples / np.median(seconds, axis=0)
    speedup = estimate(seconds[:, 1] / seconds[:, 0])
    return Loading(model, workers, float(ours), float(theirs), speedup, described(data))


def _paired_epochs(
    model: str | None, workers: int, case: Case, data: ImageData, pairs: int, device: torch.device
) -> np.ndarray:
    """Seconds [pairs, 2] of our epoch and of theirs; their workers have ended on return.

    So their time counts as ours when neighbours are looked for.
    """
    ours, theirs = (bare_engine(compose_case(case), data, device) for _ in range(2))
    loader = DataLoader(
        PilImages(data), batch_size=ours.settings.meta_batch_size, shuffle=True,
        num_workers=workers, persistent_workers=workers > 0, pin_memory=device.type == "cuda",
    )  # fmt: skip
    if model is None:
        pieces = [lambda: _consume(_resident(ours)), lambda: _consume(_moved(loader, device))]
    else:
        ours.epoch = EPOCH
        ours.warm_up()
        pieces = [lambda: _train_ours(ours), lambda: _train_plainly(theirs, loader, device)]
    return paired_seconds(pieces, pairs, 1, device)


def _resident(engine: Engine) -> Iterator[Tensor]:
    engine.loader.set_epoch(EPOCH)
    for _, inputs, _ in engine.loader.batches():
        assert isinstance(inputs, Tensor)
        yield inputs


def _moved(loader: "DataLoader[tuple[Tensor, int]]", device: torch.device) -> Iterator[Tensor]:
    for inputs, _ in loader:
        yield inputs.to(device, non_blocking=True)


def _consume(batches: Iterator[Tensor]) -> None:
    for _ in batches:
        pass


def _train_ours(engine: Engine) -> None:
    """An epoch of the engine's own loop, planning included."""
    engine.position = 0
    engine.loader.set_epoch(EPOCH)
    for batch in engine.loader.batches():
        engine.train_step(batch, selecting=False, lr_scale=1.0)
        engine.interval.clear()  # nobody reads it


def _train_plainly(
    engine: Engine, loader: "DataLoader[tuple[Tensor, int]]", device: torch.device
) -> None:
    """An epoch of the loop that a user would write around the same net and optimizer."""
    for images, labels in loader:
        inputs = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        targets = labels.to(device, non_blocking=True)
        with engine.fabric.autocast():
            loss = F.cross_entropy(engine.net(inputs).float(), targets)
        loss.backward()
        engine.inner_optimizer.step()
        engine.inner_optimizer.zero_grad(set_to_none=True)
