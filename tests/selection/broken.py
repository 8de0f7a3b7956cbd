"""Selectors that keep every promise but one; the key is that one."""

import copy
import random

import torch
from torch import Tensor

from es_repro.selection import EpochPlan, EvolvedSampling, Selector, count, draw, stream
from es_repro.selection.baseline import Baseline


class RepeatsIds(Baseline):
    def _make_plan(self, generator):
        return EpochPlan(torch.arange(self.num_samples).repeat(2))


class PicksTwice(EvolvedSampling):
    def _pick(self, index, losses):
        picked = super()._pick(index, losses)
        return torch.cat([picked[:1], picked[:-1]])


class PicksDescending(EvolvedSampling):
    def _pick(self, index, losses):
        return super()._pick(index, losses).flip(0)


class RoundsDown(EvolvedSampling):
    def _pick(self, index, losses):
        return draw(losses, max(1, int(self.batch_ratio * len(losses))), self.select_stream)


class ClipsInPlace(Baseline):
    def observe(self, index, losses, **signals):
        super().observe(index, losses.clamp_(max=1), **signals)


class ForgetsTheSeed(EvolvedSampling):
    def _fresh_select_stream(self):
        return stream(0, "select", self.epoch, self.device)


class SeedsTheProcess(Baseline):
    def _make_plan(self, generator):
        torch.manual_seed(self.epoch)
        return super()._make_plan(generator)


class SeedsPython(Baseline):
    def _make_plan(self, generator):
        random.seed(self.epoch)
        return super()._make_plan(generator)


class DrawsFromNumpy(Baseline):
    def _make_plan(self, generator):
        import numpy as np

        np.random.rand()  # noqa: NPY002 - the very thing
        return super()._make_plan(generator)


class PlansAnew(Selector):
    """Asked a second time, it leaves out another sample."""

    def __init__(self, num_samples, num_epochs, *, device="cpu", seed=0):
        super().__init__(num_samples, num_epochs, device=device, seed=seed)
        self.asked = self._new_table("asked", 0, torch.int64, scalar=True)

    def plan_epoch(self, epoch):
        super().plan_epoch(epoch)
        self.asked += 1
        ids = torch.arange(self.num_samples)
        self._plan = EpochPlan(ids[ids != int(self.asked) % self.num_samples])
        return self._plan


class KeepsATableToItself(Selector):
    """Plans by losses that its state does not hold."""

    def __init__(self, num_samples, num_epochs, *, device="cpu", seed=0):
        super().__init__(num_samples, num_epochs, device=device, seed=seed)
        self.last = torch.zeros(num_samples, device=device)

    def _update(self, index, losses, signals):
        self.last.index_copy_(0, index, losses)

    def _make_plan(self, generator):
        return EpochPlan(self.last.cpu().argsort(stable=True)[: self.num_samples - 3])


class SharesItsState(EvolvedSampling):
    def state_dict(self):
        return {**super().state_dict(), "tensors": self._tensors()}


class HoldsALambda(Baseline):
    def __init__(self, num_samples, num_epochs, *, device="cpu", seed=0):
        super().__init__(num_samples, num_epochs, device=device, seed=seed)
        self.scale = lambda x: x


class ReusesItsBuffer(Selector):
    """One tensor for the plans of all epochs."""

    def __init__(self, num_samples, num_epochs, *, device="cpu", seed=0):
        super().__init__(num_samples, num_epochs, device=device, seed=seed)
        self.buffer = torch.arange(num_samples - 1)

    def _make_plan(self, generator):
        ids = torch.arange(self.num_samples)
        torch.index_select(ids, 0, ids[ids != self.epoch], out=self.buffer)
        return EpochPlan(self.buffer)

    def state_dict(self):
        return copy.deepcopy(super().state_dict())


class DividesByTheWeights(Selector):
    def reduce(self, index, losses):
        super().reduce(index, losses)
        weights = 1 + (index % 2).float()
        return (weights * losses).sum() / weights.sum()


class LooksAtTheBatch(Selector):
    """Leaves out what lies below a running mean of the batches' means."""

    def __init__(self, num_samples, num_epochs, *, device="cpu", seed=0):
        super().__init__(num_samples, num_epochs, device=device, seed=seed)
        self.last = self._new_table("last", torch.inf)
        self.mean = self._new_table("mean", 0.0, scalar=True)

    def _update(self, index, losses, signals):
        self.last.index_copy_(0, index, losses.nan_to_num(nan=9.0))
        self.mean.mul_(0.5).add_(losses.nanmean() / 2)

    def _make_plan(self, generator):
        return EpochPlan((self.last >= self.mean).cpu().nonzero().squeeze(1))


class ReadsALoss(EvolvedSampling):
    def _pick(self, index, losses):
        if losses.max().item() < 0:
            return torch.arange(count(self.batch_ratio, len(losses)))
        return super()._pick(index, losses)


class PicksOnTheCpu(EvolvedSampling):
    def _pick(self, index, losses):
        return super()._pick(index, losses).to("cpu")


class Masks(Baseline):
    def _weighted(self, index: Tensor, losses: Tensor) -> Tensor:
        return losses[losses >= 0]


class TakesAScalar(Baseline):
    def reduce(self, index, losses):
        return losses.mean()


class SaysNothing(EvolvedSampling):
    def check(self):
        """Whatever was seen."""


class PrefersNaN(EvolvedSampling):
    def _pick(self, index, losses):
        b = count(self.batch_ratio, len(losses))
        return losses.topk(b).indices.sort().values


BROKEN = [
    ("plans", RepeatsIds),
    ("picks", PicksTwice),
    ("picks", PicksDescending),
    ("budget", RoundsDown),
    ("inputs", ClipsInPlace),
    ("seeds", ForgetsTheSeed),
    ("global generators", SeedsTheProcess),
    ("global generators", SeedsPython),
    ("global generators", DrawsFromNumpy),
    ("planning again", PlansAnew),
    ("state", KeepsATableToItself),
    ("state", SharesItsState),
    ("copies", HoldsALambda),
    ("iterators", ReusesItsBuffer),
    ("accumulation", DividesByTheWeights),
    ("two ranks", LooksAtTheBatch),
    ("no waiting", ReadsALoss),
    ("no waiting", PicksOnTheCpu),
    ("no waiting", Masks),
    ("scalar losses", TakesAScalar),
    ("non-finite losses", SaysNothing),
    ("non-finite losses", PrefersNaN),
]
