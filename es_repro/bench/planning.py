"""Planning an epoch of many samples: how long it takes, and what it needs beside the table."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from es_repro.bench.ratios import Estimate, estimate
from es_repro.bench.stepping import paired_seconds
from es_repro.bench.steps import fill_tables
from es_repro.machine import PeakMemory
from es_repro.selection import Selector, count, create, stream

__all__ = ["Planning", "measure_planning"]

PRUNE_RATIO = 0.2  # Sec. 4.1
EPOCHS, FIRST = 20, 2  # epochs 2 to 17 select
MULTINOMIAL_LIMIT = 2**24  # categories that torch.multinomial takes
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Planning:
    """One size of data set.

    Attributes:
        num_samples: n.
        seconds: of the plan of an ESWP epoch, weights to kept ids.
        multinomial_seconds: of torch.multinomial on the same weights; None where it cannot.
        ratio: the one over the other, in pairs.
        peak_bytes: resident at the most while planning, less what was before; None where the
            system does not say.
    """

    num_samples: int
    seconds: float
    multinomial_seconds: float | None
    ratio: Estimate | None
    peak_bytes: int | None

    @property
    def bytes_per_sample(self) -> float | None:
        """Peak bytes beside the table, per sample."""
        return None if self.peak_bytes is None else self.peak_bytes / self.num_samples


def measure_planning(
    sizes: list[int], pairs: int, show: Callable[[float, str], None] = lambda *_: None
) -> list[Planning]:
    """Plan an epoch of each size, beside torch.multinomial where that works."""
    found = []
    for number, n in enumerate(sizes):
        show(number / len(sizes), f"planning {n:,} samples")
        found.append(_measure(n, pairs))
    return found


def _measure(n: int, pairs: int) -> Planning:
    plan, weights = _ready(n)
    kept, generator = count(1 - PRUNE_RATIO, n), stream(0, "plan", 0)
    pieces: list[Callable[[], object]] = [plan]
    if n <= MULTINOMIAL_LIMIT:
        pieces.append(lambda: torch.multinomial(weights, kept, generator=generator))
    seconds = paired_seconds(pieces, pairs, 1, CPU)
    middle = np.median(seconds, axis=0)
    other = len(pieces) > 1
    return Planning(
        num_samples=n,
        seconds=float(middle[0]),
        multinomial_seconds=float(middle[1]) if other else None,
        ratio=estimate(seconds[:, 0] / seconds[:, 1]) if other else None,
        peak_bytes=_peak_in_a_fresh_process(n),
    )


def _ready(n: int) -> tuple[Callable[[], object], torch.Tensor]:
    """What plans one selecting epoch after another, and the weights that it draws by."""
    selector: Selector = create("eswp", n, EPOCHS, prune_ratio=PRUNE_RATIO)
    fill_tables(selector)
    assert selector.weights is not None
    turn = iter(range(10**9))

    def plan() -> object:
        return selector.plan_epoch(FIRST + next(turn) % (EPOCHS - 2 * FIRST))

    return plan, selector.weights


def _peak_in_a_fresh_process(n: int) -> int | None:
    """Resident memory's high-water mark, reset before one plan, less what was resident then.

    A fresh process whose allocator hands back what is freed: room left from earlier work would
    hide a peak.
    """
    command = [sys.executable, "-c", f"from {__name__} import _print_peak; _print_peak({n})"]
    tidy = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=tidy)
    peak: int | None = json.loads(done.stdout)
    return peak


def _print_peak(n: int) -> None:
    torch.set_num_threads(1)
    _ready(1000)[0]()  # what is loaded on first use
    plan, _ = _ready(n)
    before = PeakMemory(CPU).read()
    memory = PeakMemory(CPU)
    plan()
    after = memory.read()
    peak = None if before is None or after is None else max(0, after - before)
    sys.stdout.write(json.dumps(peak))
