"""Schedules of steps, as transformers names them, by the run's progress."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["ProgressLambdaLR"]


class ProgressLambdaLR(LambdaLR):
    """A schedule of steps by the run's progress instead: right for epochs of any length.

    Args:
        optimizer: whose learning rates are set.
        lr_lambda: step -> factor, made for `num_steps` steps.
        num_steps: T of `lr_lambda`.
        progress: answers the share of the run that is done, in [0, 1], and the plan's lr_scale.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        lr_lambda: Any,  # noqa: ANN401 - one, or one a group, as LambdaLR takes them
        num_steps: int,
        progress: Callable[[], tuple[float, float]],
    ) -> None:
        self.num_steps, self._progress = num_steps, progress
        super().__init__(optimizer, lr_lambda)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rates at the progress made."""
        progress, scale = self._progress()
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        step: Any = progress * self.num_steps  # a share of one is as good to a formula
        return [peak * factor(step) * scale for peak, factor in pairs]

    def apply(self) -> None:
        """Set the learning rates without counting a step: a plan came with another lr_scale."""
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = super().state_dict()
        return {name: value for name, value in state.items() if name != "_progress"}
