"""What asks a run to end, and how it does: save at the next step, close the record, pass it on."""

import os
import signal
import socket
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import psutil

from es_repro.engine import Engine, Stopped
from es_repro.lease import NAME, is_held

__all__ = ["StopSignals", "SweepStop"]

# A person's, torchrun's or a scheduler's; and what Slurm sends before a time limit or preemption
# when submitit has asked for it (its handler requeues the job).
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)

# How long a sweep that is asked to stop waits for its jobs to save; then they are killed.
PATIENCE_SECONDS = 60.0


class StopSignals:
    """Around a run, its record included: a signal becomes a checkpoint and `Stopped`.

    Whoever had a handler before (submitit, to requeue the job) is called when the run's lease has
    been given back, so that the job that goes on is not refused.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._received: int | None = None

    def watch(self, engine: Engine) -> None:
        """Stop this engine at its next step once a signal has come, also one that came before."""
        self._engine = engine
        engine.stop = self._received is not None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, Stopped) and self._received is not None:
            before = self._before[signal.Signals(self._received)]
            if callable(before):  # SIG_DFL and its like are not
                before(self._received, None)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        if self._engine is not None:
            self._engine.stop = True


class SweepStop:
    """In the process that launched a sweep: its jobs save and end before it does.

    Without it the jobs' processes would outlive the sweep and go on with what it had queued.

    Args:
        root: where the sweep's runs are recorded.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._before = signal.signal(signal.SIGTERM, self._ask)

    def close(self) -> None:
        """Leave the signal to whoever had it before."""
        signal.signal(signal.SIGTERM, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        asked = self._jobs()
        for job in asked:
            os.kill(job, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while asked & self._jobs() and time.monotonic() < deadline:
            time.sleep(0.05)
        raise Stopped("the sweep was asked to stop; the same command goes on with it")

    def _jobs(self) -> set[int]:
        """The child processes that hold one of the sweep's runs now."""
        children = {child.pid for child in psutil.Process().children(recursive=True)}
        held = [is_held(path.parent) for path in self._root.glob(f"*/{NAME}")]
        here = socket.gethostname()
        return children & {int(x["pid"]) for x in held if x and x["host"] == here}
