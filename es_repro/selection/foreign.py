"""Selectors of other packages, which have the contract and need not derive from `Selector`.

The contract is `num_samples`, `num_epochs`, `signals`, `selects_batches`, `plan_epoch`, `select`,
`observe`, `reduce`, `check`, and for resuming `state_dict` and `load_state_dict`. Whatever else
loops ask of a selector has the default that `Foreign` gives it.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from es_repro.selection.base import EpochPlan, Selector
from es_repro.selection.checks import require

__all__ = ["CONTRACT", "Foreign", "as_selector"]

CONTRACT = ("plan_epoch", "selects_batches", "signals", "select", "observe", "reduce", "check")
SIZES = ("num_samples", "num_epochs")
OF_OUR_OWN = ("batch_ratio", "prune_ratio", "weights", "order_seed", "level", "nonfinite", "seed")


def as_selector(selector: object) -> Selector:
    """The selector itself, or around one of another make what samplers and loops ask for.

    Raises:
        ValueError: it has not the whole contract; names what is missing.
    """
    return selector if isinstance(selector, Selector) else Foreign(selector)


class Foreign(Selector):
    """A selector around one that has the contract alone.

    What the inner one lacks: `device` is the CPU, `order_seed` the sampler's, any cut into batches
    is accepted, rows of other ranks are observed like one's own, `rank` is set on ranks from 1 on
    and need not be read. Its own attributes, such as scores, can be read through this one.

    Args:
        inner: the selector.

    Raises:
        ValueError: it has not the whole contract; names what is missing.
    """

    is_method = False

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - whatever has the contract
        name = type(inner).__name__
        missing = [part for part in (*SIZES, *CONTRACT) if not hasattr(inner, part)]
        require(not missing, "selector", name, f"of a class that has {', '.join(missing)} too")
        self.inner = inner
        device = getattr(inner, "device", "cpu")
        super().__init__(inner.num_samples, inner.num_epochs, device=device)
        self.signals = frozenset(inner.signals)
        self.method_name = partial(str, name)  # type: ignore[method-assign]  # of this one
        for attribute in OF_OUR_OWN:
            if hasattr(inner, attribute):
                setattr(self, attribute, getattr(inner, attribute))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the inner one has
        if name == "inner" or name.startswith("__"):  # not there yet, while it is copied
            raise AttributeError(name)
        return getattr(self.inner, name)

    def plan_epoch(self, epoch: int) -> EpochPlan:
        if self.rank:
            self.inner.rank = self.rank
        plan: EpochPlan = self.inner.plan_epoch(epoch)
        self.epoch = int(epoch)
        if plan.refresh is not None and len(plan.refresh) == 0:  # nothing is hidden
            return replace(plan, refresh=None)
        return plan

    @property
    def selects_batches(self) -> bool:
        return bool(self.inner.selects_batches)

    @property
    def needs_losses(self) -> bool:
        return bool(getattr(self.inner, "needs_losses", True))

    def select(self, index: Tensor, losses: Tensor | None, **signals: Tensor) -> Tensor:
        picked: Tensor = self.inner.select(index, losses, **signals)
        return picked

    def observe(self, index: Tensor, losses: Tensor, **signals: Tensor) -> None:
        self.inner.observe(index, losses, **signals)

    def observe_elsewhere(self, index: Tensor, losses: Tensor, **signals: Tensor) -> None:
        hear = getattr(self.inner, "observe_elsewhere", self.inner.observe)
        hear(index, losses, **signals)

    def reduce(self, index: Tensor, losses: Tensor) -> Tensor:
        objective: Tensor = self.inner.reduce(index, losses)
        return objective

    def weigh(self, index: Tensor) -> Tensor:
        ones = torch.ones(len(index), device=index.device, requires_grad=True)
        (shares,) = torch.autograd.grad(self.reduce(index, ones), ones)
        return shares * len(index)

    def check_cut(self, meta_batch_size: int, world_size: int) -> None:
        if hasattr(self.inner, "check_cut"):
            self.inner.check_cut(meta_batch_size, world_size)

    def check(self) -> None:
        self.inner.check()

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return dict(getattr(self.inner, "hyperparameters", {}))

    def state_dict(self) -> dict[str, Any]:
        self._require_resumable()
        return {"epoch": self.epoch, "inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._require_resumable()
        require(set(state) == {"epoch", "inner"}, "state", sorted(state), "of keys epoch and inner")
        self.inner.load_state_dict(state["inner"])
        self.epoch = state["epoch"]

    def _require_resumable(self) -> None:
        whole = hasattr(self.inner, "state_dict") and hasattr(self.inner, "load_state_dict")
        allowed = "of a class that has state_dict and load_state_dict too, to go on from a state"
        require(whole, "selector", type(self.inner).__name__, allowed)
