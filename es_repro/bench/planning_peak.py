"""Peak memory of planning one epoch, in a process of its own: printed by `python -m`, in bytes."""

import json
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from es_repro.bench.filling import fill_tables
from es_repro.process.machine import PeakMemory
from es_repro.selection import create

__all__ = ["PRUNE_RATIO", "planner"]

PRUNE_RATIO = 0.2  # Sec. 4.1
EPOCHS, FIRST = 20, 2  # epochs 2 to 17 select


def planner(n: int) -> tuple[Callable[[], object], Tensor]:
    """What plans one selecting epoch of ESWP after another, and the weights [n] it draws by."""
    selector = create("eswp", n, EPOCHS, prune_ratio=PRUNE_RATIO)
    fill_tables(selector)
    assert selector.weights is not None
    turn = iter(range(10**9))

    def plan() -> object:
        return selector.plan_epoch(FIRST + next(turn) % (EPOCHS - 2 * FIRST))

    return plan, selector.weights


def main() -> None:
    """Print resident memory's high-water mark of one plan, less what was resident before."""
    device = torch.device("cpu")
    torch.set_num_threads(1)
    planner(1000)[0]()  # what is loaded on first use
    plan, _ = planner(int(sys.argv[1]))
    before = PeakMemory(device).read()
    memory = PeakMemory(device)
    plan()
    after = memory.read()
    peak = None if before is None or after is None else max(0, after - before)
    sys.stdout.write(json.dumps(peak))


if __name__ == "__main__":
    main()
