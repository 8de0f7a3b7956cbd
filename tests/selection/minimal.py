"""A selector of another package: the contract's names alone, and no base class of ours."""

import math

import torch

from es_repro.selection import EpochPlan

RATIO = 0.25


class LargestLosses:
    """Back-propagates the quarter of a batch with the largest losses; keeps each sample's last."""

    signals = frozenset()
    selects_batches = True

    def __init__(self, num_samples, num_epochs, *, device="cpu", seed=0):
        self.num_samples, self.num_epochs, self.device = num_samples, num_epochs, device
        self.last = torch.zeros(num_samples, device=device)

    def plan_epoch(self, epoch):
        return EpochPlan(torch.arange(self.num_samples))

    def select(self, index, losses):
        self.observe(index, losses)
        few = max(1, math.floor(RATIO * len(losses) + 0.5))
        return losses.nan_to_num(nan=-1).topk(few).indices.sort().values

    def observe(self, index, losses):
        self._refuse_scalars(losses)
        self.last[index] = losses.float()

    def reduce(self, index, losses):
        self._refuse_scalars(losses)
        return losses.mean()

    def check(self):
        bad = self.last.isfinite().logical_not().nonzero().flatten()
        self.last[bad] = 0
        if len(bad):
            raise FloatingPointError(f"losses of {bad.tolist()} are not finite")

    def state_dict(self):
        return {"last": self.last.clone()}

    def load_state_dict(self, state):
        if state["last"].shape != self.last.shape:
            raise ValueError(f"num_samples={self.num_samples}: must be {len(state['last'])}")
        self.last.copy_(state["last"])

    def _refuse_scalars(self, losses):
        if losses.ndim != 1:
            raise ValueError(f"losses.shape={tuple(losses.shape)}: must be [m], one a sample")
