"""The arms of a trial: methods, and the controls that each of them has to beat."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from es_repro.judge.bed import SelectorMaker
from es_repro.judge.workloads import Workload
from es_repro.selection import Selector, create, selector_class

__all__ = ["FRONTIER", "Arm", "baseline_at", "frontier", "random_at", "short_of"]

# The baseline's own frontier, as shares of the budget, each with its schedule compressed.
FRONTIER = (0.5, 0.625, 0.75, 1.0)
_NOT_ANNEALED: dict[str, Any] = {"annealing_start": 0.0, "annealing_end": 0.0}
COST_STEP = 0.01  # costs of controls are rounded to it, so that methods of one cost share them

Role = Literal["baseline", "random", "method"]


@dataclass(frozen=True, eq=False)
class Arm:
    """One way to train, to be tuned and run like every other.

    Attributes:
        name: unique in a trial.
        role: what it is for.
        make: builds a selector.
        identity: what determines its results, to be hashed: no two arms share one.
        share: of the workload's epochs that it runs, its schedule compressed.
        note: said beside it on the card.
    """

    name: str
    role: Role
    make: SelectorMaker
    identity: Mapping[str, object] = field(default_factory=dict)
    share: float = 1.0
    note: str = ""

    def epochs(self, workload: Workload) -> int:
        """E of its runs: rounded half up, at least 1."""
        return max(1, math.floor(self.share * workload.epochs + 0.5))


def baseline_at(share: float) -> Arm:
    """The baseline over a share of the epochs."""
    name = "baseline" if share == 1 else f"baseline@{share:.3g}"
    version = selector_class("baseline").semantics_version
    identity = {"method": "baseline", "semantics": version}
    return Arm(name, "baseline", partial(create, "baseline"), identity, share)


def frontier(workload: Workload) -> list[Arm]:
    """The baseline at its budgets, ascending; of two with the same number of epochs the first."""
    arms = {baseline_at(share).epochs(workload): baseline_at(share) for share in FRONTIER[::-1]}
    return [arms[epochs] for epochs in sorted(arms)]


def short_of(cost: float, workload: Workload) -> Arm:
    """The baseline over as many whole epochs as come closest to a cost in budgets."""
    epochs = max(1, min(workload.epochs, math.floor(cost * workload.epochs + 0.5)))
    for arm in frontier(workload):
        if arm.epochs(workload) == epochs:
            return arm
    return baseline_at(round(epochs / workload.epochs, 6))


def random_at(cost: float, level: Literal["set", "batch"], workload: Workload) -> Arm | None:
    """Random rows for the same FLOPs; None where that is all rows.

    Args:
        cost: in budgets of the baseline.
        level: `set` trains that share of each epoch's samples, the last batch of an epoch being at
            least half of one: a few rows at the whole learning rate would make a weak control;
            `batch` trains that share of each batch.
        workload: whose batches.
    """
    share = round(cost / COST_STEP) * COST_STEP
    if not 0 < share < 1:
        return None
    if level == "set":
        size = workload.meta_batch_size
        make: SelectorMaker = partial(_random_set, share, size)
        own: dict[str, object] = {"share": share, "least_rows": size / 2}
    else:
        make = partial(create, "random", batch_ratio=share, **_NOT_ANNEALED)
        own = {"batch_ratio": share, **_NOT_ANNEALED}
    version = selector_class("random").semantics_version
    identity = {"method": "random", "semantics": version, **own}
    return Arm(f"random_{level}@{share:.2f}", "random", make, identity)


def _random_set(
    share: float,
    size: int,
    num_samples: int,
    num_epochs: int,
    **options: Any,  # noqa: ANN401 - the run's
) -> Selector:
    """Uniform samples each epoch, so large a share of them but for a quarter of a batch."""
    kept = round(share * num_samples)
    if 0 < (rest := kept % size) < size / 2:
        kept += -rest if rest <= size / 4 and kept > size else size // 2 - rest
    ratio = max(0.0, 1 - kept / num_samples)
    return create("random", num_samples, num_epochs, prune_ratio=ratio, **_NOT_ANNEALED, **options)
