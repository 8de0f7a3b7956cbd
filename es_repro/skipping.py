"""Optimizers that leave out a step on the device: `nonfinite: skip`."""

import torch
from torch.optim import SGD, Optimizer

from es_repro.selection import require

__all__ = ["make_skipping"]


def make_skipping(optimizer: Optimizer, *, sharded: bool) -> None:
    """See that an optimizer obeys `found_inf`, from its first step on.

    Args:
        optimizer: before its first step.
        sharded: whether its parameters are shards, for which there are no fused kernels.

    Raises:
        ValueError: it cannot leave out a step, or not the first one.
    """
    fused = all(group.get("fused") for group in optimizer.param_groups)
    way = ": shards (fsdp) cannot skip a step" if sharded else ", or optimizer.fused=true"
    require(fused, "nonfinite", "skip", f"raise{way}")
    if not isinstance(optimizer, SGD):
        return
    # Fused SGD allocates its momentum in the first step and fills it there: left out, that step
    # would leave whatever lay in the memory. From zeros the first step is the same to the bit.
    for group in (group for group in optimizer.param_groups if group["momentum"]):
        require(group["dampening"] == 0, "nonfinite", "skip", "raise, or optimizer.dampening=0")
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
