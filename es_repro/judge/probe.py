"""What a step of a method costs on this machine, and a first look at its conduct."""

import time

import numpy as np
import torch

from es_repro.judge.arms import Arm, baseline_at
from es_repro.judge.bed import Bed, Member
from es_repro.judge.workloads import Workload

__all__ = ["SLOWEST", "TooSlow", "step_ratio"]

SLOWEST = 10.0  # times the baseline's step: slower ones are not judged, for they save nothing
EPOCHS = 5  # looked at; the first, where much is annealed and loaded, is not timed
PATIENCE_SECONDS = 2.0  # of a first epoch, from which it alone may tell that a method is too slow


class TooSlow(Exception):
    """A step of the method takes more than `SLOWEST` times the baseline's."""


def step_ratio(arm: Arm, workload: Workload, device: torch.device) -> float:
    """Seconds of the arm's step over those of the baseline's, one model each, epochs in turn.

    A small model's: the share of a large one is smaller.

    Raises:
        TooSlow: it is above `SLOWEST`.
        ContractBroken: the selector answered what its contract does not allow.
    """
    members = [Member(0, workload.rate)]
    beds = [
        Bed(workload, each.make, members, epochs=each.epochs(workload), device=device)
        for each in (baseline_at(1), arm)
    ]
    seconds = []  # of a step: the baseline's, the arm's
    for epoch in range(min(EPOCHS, arm.epochs(workload))):
        seconds.append([_epoch_step(bed, epoch) for bed in beds])
        theirs, ours = seconds[-1]
        if ours * beds[1].steps[0] > PATIENCE_SECONDS and ours > SLOWEST * theirs:
            break
    # The quickest epoch of each: neighbours on the machine only ever add to a time.
    theirs, ours = np.array(seconds[1:] or seconds).min(0)
    ratio = float(ours / theirs)
    if ratio > SLOWEST:
        raise TooSlow(
            f"a step takes {ratio:.0f} times the baseline's (at most {SLOWEST:.0f} is judged)"
        )
    return ratio


def _epoch_step(bed: Bed, epoch: int) -> float:
    before, started = bed.steps[0], time.perf_counter()
    bed.train_epoch(epoch)
    return (time.perf_counter() - started) / max(1, bed.steps[0] - before)
