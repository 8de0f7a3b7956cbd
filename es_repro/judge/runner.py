"""Runs of an arm: those that are kept already, and the rest from the bed, in pieces."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from es_repro.judge.arms import Arm
from es_repro.judge.bed import Bed, Member, Outcome
from es_repro.judge.problem import SplitName
from es_repro.judge.store import Store, content_key
from es_repro.judge.workloads import Workload

__all__ = ["PIECE", "Runner"]

PIECE = 50  # members of one bed: their weights stay in the cache, and a kill loses no more
VERSION = 1  # raised when the bed comes to compute something else


@dataclass
class Runner:
    """Makes outcomes, or finds them.

    Attributes:
        store: where they are kept.
        device: of the bed.
        show: told of every piece that is done: the share of what was expected, and what it is of.
        runs: made by this object, not found.
        seconds: that making them took.
    """

    store: Store
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    show: Callable[[float, str], None] | None = None
    runs: int = 0
    seconds: float = 0.0
    _expected: int = 0
    _done: int = 0

    def expect(self, runs: int) -> None:
        """So many runs are to come, as far as is known: what `show` tells shares of."""
        self._expected, self._done = runs, 0

    def outcome(
        self, arm: Arm, workload: Workload, members: Sequence[Member], split: SplitName
    ) -> Outcome:
        """What these runs come to, in the members' order.

        Raises:
            ContractBroken: the arm's selector answered what its contract does not allow.
            Exception: whatever it raised itself.
        """
        pieces = [members[start : start + PIECE] for start in range(0, len(members), PIECE)]
        return Outcome.join([self._piece(arm, workload, piece, split) for piece in pieces])

    def _piece(
        self, arm: Arm, workload: Workload, members: Sequence[Member], split: SplitName
    ) -> Outcome:
        epochs = arm.epochs(workload)
        key = content_key(
            {
                "version": VERSION,
                "arm": dict(arm.identity),
                "run_epochs": epochs,
                "split": split,
                "members": [(member.seed, member.rate) for member in members],
                "device": self.device.type,
                **workload.identity(split),
            }
        )
        found = self.store.read(key)
        if found is None:
            started = time.perf_counter()
            bed = Bed(workload, arm.make, members, epochs=epochs, split=split, device=self.device)
            found = bed.run()
            self.store.keep(key, found)
            self.runs += len(members)
            self.seconds += time.perf_counter() - started
        if self.show is not None:
            self._done += len(members)
            share = min(1.0, self._done / max(1, self._expected))
            self.show(share, f"{workload.name}: {arm.name}")
        return found
