"""What `three_lines.py` does, written out: every call of the contract."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset

from es_repro.selection import PlannedBatchSampler, ProgressScheduler, create, one_cycle


class Indexed(Dataset[tuple[int, Tensor, Tensor]]):
    """The id of a sample travels with it, so that no read-ahead can put the two out of step."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> tuple[int, Tensor, Tensor]:
        inputs, target = self.data[i]
        return i, inputs, target


def train(method: str, data: TensorDataset, num_epochs: int = 20, seed: int = 0) -> nn.Module:
    """Train under a method; answers the model."""
    torch.manual_seed(seed)
    model = nn.Linear(data.tensors[0].shape[1], int(data.tensors[1].max()) + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scheduler = ProgressScheduler(optimizer, one_cycle())

    # [selection]
    selector = create(method, len(data), num_epochs, seed=seed)
    batches = PlannedBatchSampler(selector, meta_batch_size=64, seed=seed)
    loader = DataLoader(Indexed(data), batch_sampler=batches)
    for epoch in range(num_epochs):
        batches.set_epoch(epoch)  # which samples this epoch visits, in which order
        for number, (index, inputs, targets) in enumerate(loader):
            if selector.selects_batches:
                with torch.no_grad():
                    seen = cross_entropy(model(inputs), targets, reduction="none")
                picked = selector.select(index, seen)
                index, inputs, targets = index[picked], inputs[picked], targets[picked]
            losses = cross_entropy(model(inputs), targets, reduction="none")
            if not selector.selects_batches:
                selector.observe(index, losses.detach())
            scheduler.step((epoch + number / len(loader)) / num_epochs, batches.plan.lr_scale)
            optimizer.zero_grad()
            selector.reduce(index, losses).backward()
            optimizer.step()
        selector.check()  # were all losses finite?
    # [end]
    return model
