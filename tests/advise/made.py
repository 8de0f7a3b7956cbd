"""Loops and loaders of known costs, on a clock of their own."""

import torch

from es_repro.advise import advise


class Clock:
    """Seconds that pass only where something is said to take them."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def spend(self, seconds):
        self.now += seconds


class Net:
    """A step of known cost: `row` seconds a row and forward pass, `fixed` beside it."""

    def __init__(self, clock, row, fixed=0.0):
        self.clock, self.row, self.fixed = clock, row, fixed
        self.weight = torch.ones(1, requires_grad=True)

    def step(self, batch):
        self.rows = len(batch)
        self.clock.spend(self.row * self.rows + self.fixed)
        return batch * self.weight

    def update(self, loss):
        loss.backward()
        self.clock.spend(2 * (self.row * self.rows + self.fixed))


class Loader:
    """Batches that take `seconds` each: while the loop waits, or by a worker that runs ahead."""

    def __init__(self, clock, seconds, *, rows=32, batches=40, ahead=0, jitter=0.0):
        self.clock, self.seconds, self.rows, self.batches = clock, seconds, rows, batches
        self.num_workers, self.prefetch_factor = int(ahead > 0), ahead or None
        self.jitter = jitter

    def __len__(self):
        return self.batches

    def __iter__(self):
        taken, ready = [], self.clock.now
        for number in range(self.batches):
            cost = self.seconds * (1 + self.jitter * (-1) ** number)
            if self.num_workers:  # begins once the one before is done and there is room for it
                room = taken[number - self.prefetch_factor] if number >= self.prefetch_factor else 0
                ready = max(ready, room) + cost
                self.clock.now = max(self.clock.now, ready)
                taken.append(self.clock.now)
            else:
                self.clock.spend(cost)
            yield torch.rand(self.rows) + 0.5


def advised(*, step, load, fixed=0.0, ahead=0, methods=("es", "infobatch"), **more):
    """Advice on a loop whose whole batches take `step` seconds to train, and `load` to fetch."""
    clock = Clock()
    net = Net(clock, step / 3 / 32, fixed / 3)
    loader = Loader(clock, load, ahead=ahead, jitter=more.pop("jitter", 0.0))
    settings = {"num_epochs": 20, "update": net.update, "methods": methods, "clock": clock} | more
    return advise(net.step, loader, **settings)
