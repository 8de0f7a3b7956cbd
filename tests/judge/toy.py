"""A workload of a few milliseconds a run, and methods whose verdicts are known."""

import time
from dataclasses import replace

import torch

from es_repro.judge.arms import Arm
from es_repro.judge.problem import Problem
from es_repro.judge.workloads import Workload
from es_repro.selection import EpochPlan, Selector, count, stream

N, HELD, WIDTH, CLASSES, NOISE = 192, 200, 8, 3, 0.4


def _problem(split):
    generator = stream(0, f"toy {split}", 0)
    centres = 1.5 * torch.randn(CLASSES, WIDTH, generator=stream(0, "toy", 0))
    truth = torch.randint(CLASSES, (N + HELD,), generator=generator)
    inputs = centres[truth] + torch.randn(N + HELD, WIDTH, generator=generator)
    targets = truth.clone()
    targets[wrong_ids()] = (truth[wrong_ids()] + 1) % CLASSES
    return Problem(inputs[:N], targets[:N], inputs[N:], truth[N:], CLASSES)


def wrong_ids():
    """Samples whose labels are wrong: all of them with the next class's."""
    return torch.arange(N)[: round(NOISE * N)]


TOY = Workload("toy", "a toy", _problem, hidden=(16,), epochs=6, meta_batch_size=32)


class Knowing(Selector):
    """Knows the wrong labels and never plans them."""

    def _make_plan(self, generator):
        return EpochPlan(torch.arange(len(wrong_ids()), self.num_samples))


class Stubborn(Selector):
    """Always the same few rows."""

    def _make_plan(self, generator):
        return EpochPlan(torch.arange(len(wrong_ids()) - 12, len(wrong_ids()) + 4))


class Whole(Selector):
    """Scores every batch, and picks all of it."""

    selects_batches = True

    def _pick(self, index, losses):
        return torch.arange(len(losses))


class RandomHalf(Selector):
    """Plans half of the samples without looking: `random` at set level by another name."""

    def _make_plan(self, generator):
        order = torch.randperm(self.num_samples, generator=generator)
        return EpochPlan(order[: self.num_samples // 2].sort().values)


class RandomRows(Selector):
    """Scores every batch, and picks half of it without looking."""

    selects_batches = True
    batch_ratio = 0.5

    def _pick(self, index, losses):
        order = torch.rand(len(losses), generator=self.select_stream).argsort()
        return order[: count(0.5, len(losses))].sort().values


class Twice(RandomRows):
    """Picks its first position twice."""

    def _pick(self, index, losses):
        picked = super()._pick(index, losses)
        return torch.cat((picked[:1], picked))


class Slow(RandomRows):
    """Takes its time."""

    def _pick(self, index, losses):
        time.sleep(0.4)
        return super()._pick(index, losses)


class Failing(RandomRows):
    """Raises after a while."""

    def _pick(self, index, losses):
        if self.epoch == 2:
            raise RuntimeError("out of ideas")
        return super()._pick(index, losses)


def arm(method):
    return Arm(method.__name__, "method", method, {"toy": method.__name__})


def with_epochs(epochs):
    return replace(TOY, epochs=epochs)
