"""Selection in a loop of one's own, by three lines: a linear classifier on made-up points."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from es_repro.selection import ProgressScheduler, Selection, create, one_cycle


def losses_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """One loss a sample, of whatever `collate_fn` makes."""
    inputs, targets = batch
    return cross_entropy(model(inputs), targets, reduction="none")


def train(method: str, data: TensorDataset, num_epochs: int = 20, seed: int = 0) -> nn.Module:
    """Train under a method; answers the model."""
    torch.manual_seed(seed)
    model = nn.Linear(data.tensors[0].shape[1], int(data.tensors[1].max()) + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scheduler = ProgressScheduler(optimizer, one_cycle())

    # [loop]
    selector = create(method, len(data), num_epochs, seed=seed)
    selection = Selection(selector, model, losses_of, data, meta_batch_size=64)  # 1: the loader
    for epoch in selection.epochs:
        for batch in selection.epoch(epoch):  # 2: the planned samples, each with its id
            loss = selection.loss(batch)  # 3: score the batch, pick its rows, reduce their losses
            scheduler.step(selection.progress, selection.lr_scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    # [end]
    return model


def made_up(num_samples: int = 1000, seed: int = 0) -> TensorDataset:
    """Points around four centres."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(4, (num_samples,), generator=generator)
    centres = 2 * torch.randn(4, 8, generator=generator)
    inputs = centres[targets] + torch.randn(num_samples, 8, generator=generator)
    return TensorDataset(inputs, targets)
