"""Planning an epoch of many samples: how long it takes, and what it needs beside the table."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from es_repro.bench import planning_peak
from es_repro.bench.planning_peak import PRUNE_RATIO, planner
from es_repro.bench.ratios import Estimate, estimate
from es_repro.bench.stepping import paired_seconds
from es_repro.selection import count, stream

__all__ = ["Planning", "measure_planning"]

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
    plan, weights = planner(n)
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


def _peak_in_a_fresh_process(n: int) -> int | None:
    """Resident memory's high-water mark, reset before one plan, less what was resident then.

    A fresh process whose allocator hands back what is freed: room left from earlier work would
    hide a peak.
    """
    command = [sys.executable, "-m", planning_peak.__name__, str(n)]
    tidy = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=tidy)
    peak: int | None = json.loads(done.stdout)
    return peak
