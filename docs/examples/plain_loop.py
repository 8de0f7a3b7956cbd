"""A loop of one's own with selection in it: a linear classifier on made-up points."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from es_repro.selection import PlannedBatchSampler, ProgressScheduler, create, one_cycle


class Indexed(Dataset[tuple[int, Tensor, Tensor]]):
    """The id of a sample travels with it, so that no read-ahead can put the two out of step."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, i: int) -> tuple[int, Tensor, Tensor]:
        return i, self.inputs[i], self.targets[i]


def train(method: str, data: Indexed, num_epochs: int = 20, seed: int = 0) -> nn.Module:
    """Train under a method; answers the model."""
    torch.manual_seed(seed)
    model = nn.Linear(data.inputs.shape[1], int(data.targets.max()) + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scheduler = ProgressScheduler(optimizer, one_cycle())

    # [selection]
    selector = create(method, len(data), num_epochs, seed=seed)
    batches = PlannedBatchSampler(selector, meta_batch_size=64, seed=seed)
    loader = DataLoader(data, batch_sampler=batches)
    # [epochs]
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


def made_up(num_samples: int = 1000, seed: int = 0) -> Indexed:
    """Points around four centres."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(4, (num_samples,), generator=generator)
    centres = 2 * torch.randn(4, 8, generator=generator)
    return Indexed(centres[targets] + torch.randn(num_samples, 8, generator=generator), targets)


if __name__ == "__main__":
    points = made_up()
    for name in ("baseline", "es", "eswp", "infobatch"):
        trained = train(name, points)
        right = trained(points.inputs).argmax(1) == points.targets
        print(f"{name}: {100 * right.float().mean():.1f}% of the training points right")
