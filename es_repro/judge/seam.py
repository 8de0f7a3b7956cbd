"""What a selector answered, held against its contract while it runs."""

import torch
from torch import Tensor

from es_repro.selection import EpochPlan

__all__ = ["ContractBroken", "check_objective", "check_picks", "check_plan", "check_signals"]

SIGNALS = frozenset({"correct", "confidence"})  # that the bed can tell beside losses


class ContractBroken(Exception):
    """A selector answered what the contract does not allow; says what, in one line."""


def check_signals(wanted: frozenset[str]) -> None:
    """Refuse a selector that wants to be told what the bed cannot tell.

    Raises:
        ContractBroken: names it.
    """
    if unknown := sorted(wanted - SIGNALS):
        offered = " and ".join(sorted(SIGNALS))
        raise ContractBroken(f"signals: {', '.join(unknown)} cannot be told here, only {offered}")


def check_plan(plan: EpochPlan, num_samples: int, epoch: int, seed: int) -> None:
    """Refuse a plan without samples, or with ids that repeat or do not exist.

    Raises:
        ContractBroken: names the epoch and the seed.
    """
    where = f"plan_epoch({epoch}) of seed {seed}"
    ids = plan.indices
    if ids.dtype != torch.int64 or ids.dim() != 1 or len(ids) == 0:
        raise ContractBroken(f"{where}: indices must be [k] int64, k > 0, not {_what(ids)}")
    if int(ids.min()) < 0 or int(ids.max()) >= num_samples:
        raise ContractBroken(f"{where}: indices must be ids in 0..{num_samples - 1}")
    visits = ids.bincount(minlength=num_samples)
    if int(visits.max()) > 1:
        twice = int(visits.argmax())
        raise ContractBroken(f"{where}: indices must be distinct; id {twice} is planned twice")


def check_picks(picked: Tensor, count: int, seed: int) -> None:
    """Refuse positions [b] of a meta-batch that are not distinct, ascending and inside it.

    Args:
        picked: what `select` answered.
        count: B, the rows that it was shown.
        seed: of the run.

    Raises:
        ContractBroken: names the seed and what is wrong.
    """
    where = f"select of seed {seed}"
    if not isinstance(picked, Tensor) or picked.dtype != torch.int64 or picked.dim() != 1:
        raise ContractBroken(f"{where}: must answer positions [b] int64, not {_what(picked)}")
    positions = picked.tolist()
    if not positions:
        raise ContractBroken(f"{where}: must answer at least one position")
    if len(set(positions)) < len(positions):
        raise ContractBroken(f"{where}: positions must be distinct, not {_few(positions)}")
    if positions != sorted(positions):
        raise ContractBroken(f"{where}: positions must be ascending, not {_few(positions)}")
    if positions[0] < 0 or positions[-1] >= count:
        raise ContractBroken(f"{where}: positions must lie in 0..{count - 1}: {_few(positions)}")


def check_objective(objective: Tensor, seed: int) -> None:
    """Refuse what `reduce` answered where it is no scalar, or cannot be differentiated.

    Raises:
        ContractBroken: names the seed and what is wrong.
    """
    where = f"reduce of seed {seed}"
    if not isinstance(objective, Tensor) or objective.dim() != 0:
        raise ContractBroken(f"{where}: must answer a scalar tensor, not {_what(objective)}")
    if not objective.requires_grad:
        raise ContractBroken(f"{where}: must answer what its losses can be differentiated through")


def _what(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__


def _few(positions: list[int]) -> str:
    return f"{positions[:8]}{' ...' if len(positions) > 8 else ''}"
