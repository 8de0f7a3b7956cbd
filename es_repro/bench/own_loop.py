"""A loop that a user would write, DataLoader and all: advised on, and run from end to end."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from es_repro.advise import Advice, advise
from es_repro.bench.loading import PilImages
from es_repro.data import ImageData
from es_repro.engine import Engine
from es_repro.selection import PlannedBatchSampler, Selector, create

__all__ = ["OwnLoop"]

Batch = tuple[Tensor, Tensor, Tensor]


class _Numbered(Dataset[tuple[int, Tensor, int]]):
    """A data set whose samples carry their ids."""

    def __init__(self, data: PilImages) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> tuple[int, Tensor, int]:
        return index, *self._data[index]


@dataclass(frozen=True, eq=False)
class _Net:
    module: nn.Module
    optimizer: Optimizer
    device: torch.device

    def losses(self, batch: Batch) -> Tensor:
        _, images, labels = batch
        images = images.to(self.device, memory_format=torch.channels_last)
        return F.cross_entropy(self.module(images), labels.to(self.device), reduction="none")

    def update(self, loss: Tensor) -> None:
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


class OwnLoop:
    """Plain training on images that PIL decodes and augments, by as many workers as are given.

    Args:
        make: builds a net and its optimizer; of the engine nothing else is used.
        data: the images.
        batch_size: B.
        num_epochs: E.
        workers: of the DataLoader.
        device: where the net is trained.
    """

    def __init__(
        self,
        make: Callable[[], Engine],
        data: ImageData,
        *,
        batch_size: int,
        num_epochs: int,
        workers: int,
        device: torch.device,
    ) -> None:
        self._make, self._data = make, _Numbered(PilImages(data))
        self._batch_size, self._epochs = batch_size, num_epochs
        self._workers, self._device = workers, device

    def advise(self, methods: Sequence[tuple[str, Mapping[str, Any]]], rounds: int) -> Advice:
        """Advice on it, as a user asks for it."""
        net = self._fresh()
        loader = self._loader(batch_size=self._batch_size, shuffle=True)
        return advise(
            net.losses, loader, num_epochs=self._epochs, update=net.update, methods=methods,
            ratios=[0.5, 0.25], rounds=rounds, restore=[net.module, net.optimizer],
        )  # fmt: skip

    def run(self, name: str, settings: Mapping[str, Any]) -> Iterator[tuple[float, int]]:
        """Train from end to end: seconds of each epoch, and the samples that it trained.

        Starting the workers and their first batches, which take seconds, are left out once a run.
        """
        net = self._fresh()
        n = len(self._data)
        selector = create(name, n, self._epochs, device=self._device, **settings)
        sampler = PlannedBatchSampler(selector, self._batch_size)
        sampler.set_epoch(0)
        loader = self._loader(batch_sampler=sampler)
        if self._workers:
            iter(loader)  # they live on
        for epoch in range(self._epochs):
            start, trained = time.perf_counter(), 0
            sampler.set_epoch(epoch)
            for batch in loader:
                trained += self._step(net, selector, batch)
            self._wait()
            yield time.perf_counter() - start, trained

    def _step(self, net: "_Net", selector: Selector, batch: Batch) -> int:
        index = batch[0].to(self._device)
        if selector.selects_batches:
            with torch.no_grad():
                seen = net.losses(batch)
            picked = selector.select(index, seen)
            index = index[picked]
            rows = picked.cpu()
            batch = (batch[0][rows], batch[1][rows], batch[2][rows])
        losses = net.losses(batch)
        if not selector.selects_batches:
            selector.observe(index, losses.detach())
        net.update(selector.reduce(index, losses))
        return len(index)

    def _fresh(self) -> "_Net":
        engine = self._make()
        return _Net(engine.net, engine.inner_optimizer, self._device)

    def _loader(self, **batches: Any) -> "DataLoader[tuple[int, Tensor, int]]":  # noqa: ANN401  # its own arguments
        return DataLoader(
            self._data, num_workers=self._workers, persistent_workers=self._workers > 0, **batches
        )

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
