"""Learning rates as functions of progress: right for epochs that shrink and that grow again.

A schedule maps progress p in [0, 1], p = (e + j / J_e) / E with J_e the epoch's true number of
steps, to a factor of each group's own learning rate; its peak is 1 (methods.md 4).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from es_repro.selection.checks import as_real

__all__ = ["ProgressScheduler", "constant", "one_cycle", "warmup_cosine", "warmup_polynomial"]

Schedule = Callable[[float], float]


class ProgressScheduler:
    """Sets the learning rates of an optimizer; without state, so there is nothing to resume.

    Args:
        optimizer: each group's ``lr`` when it is first met is its peak, kept as ``initial_lr``.
        schedule: progress -> factor of the peak.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
        self.optimizer = optimizer
        self.schedule = schedule
        for group in optimizer.param_groups:
            _peak(group)

    def step(self, progress: float, lr_scale: float = 1.0) -> None:
        """Set every group's learning rate for the step at hand.

        Args:
            progress: in [0, 1].
            lr_scale: the epoch's factor of the plan, on top of the schedule.

        Raises:
            ValueError: progress outside [0, 1].
        """
        factor = self.schedule(as_real("progress", progress, "[0, 1]")) * lr_scale
        for group in self.optimizer.param_groups:
            lr = _peak(group) * factor
            if isinstance(group["lr"], Tensor):  # capturable optimizers read it on the device
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr


def constant() -> Schedule:
    """The peak throughout."""
    return _constant


def one_cycle(
    pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Schedule:
    """Cosine from 1/div up to 1 at pct_start, then down to 1/(div * final_div).

    Raises:
        ValueError: pct_start outside [0, 1) or a divisor below 1.

    Source: methods.md 4; Smith and Topin 2018.
    """
    return partial(
        _one_cycle,
        as_real("pct_start", pct_start, "[0, 1)"),
        as_real("div_factor", div_factor, "[1, inf)"),
        as_real("final_div_factor", final_div_factor, "[1, inf)"),
    )


def warmup_cosine(warmup: float, final_factor: float = 0.0) -> Schedule:
    """Linear from 0 over a share ``warmup`` of progress, then a half cosine to final_factor.

    Raises:
        ValueError: warmup outside [0, 1) or final_factor outside [0, 1].
    """
    return partial(_warm, *_checked(warmup, final_factor), _cosine)


def warmup_polynomial(warmup: float, power: float = 1.0, final_factor: float = 0.0) -> Schedule:
    """Linear from 0 over a share ``warmup``, then (1 - q)^power down to final_factor.

    Raises:
        ValueError: warmup outside [0, 1), power not above 0 or final_factor outside [0, 1].
    """
    decay = partial(_polynomial, as_real("power", power, "(0, inf)"))
    return partial(_warm, *_checked(warmup, final_factor), decay)


def _peak(group: dict[str, Any]) -> float:
    return float(group.setdefault("initial_lr", float(group["lr"])))


def _checked(warmup: float, final_factor: float) -> tuple[float, float]:
    return (
        as_real("warmup", warmup, "[0, 1)"),
        as_real("final_factor", final_factor, "[0, 1]"),
    )


def _constant(_progress: float) -> float:
    return 1.0


def _one_cycle(peak_at: float, div: float, final_div: float, progress: float) -> float:
    low = 1 / div
    if progress < peak_at:
        return low + (1 - low) * (1 - math.cos(math.pi * progress / peak_at)) / 2
    end = low / final_div
    return end + (1 - end) * _cosine((progress - peak_at) / (1 - peak_at))


def _warm(warmup: float, final_factor: float, decay: Schedule, progress: float) -> float:
    if progress < warmup:
        return progress / warmup
    return final_factor + (1 - final_factor) * decay((progress - warmup) / (1 - warmup))


def _cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


def _polynomial(power: float, progress: float) -> float:
    return float((1 - progress) ** power)
