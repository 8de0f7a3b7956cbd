"""What asks a run to end, and how it does: save at the next step, close the record, pass it on."""

import contextlib
import signal
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import psutil

from es_repro.engine import Engine, Stopped
from es_repro.storage.lease import is_held

__all__ = ["StopSignals", "SweepSignals"]

# A person's, torchrun's or a scheduler's; and what Slurm sends before a time limit or preemption
# when submitit has asked for it (its handler requeues the job).
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
# What the workers of a sweep are given for a step and a checkpoint.
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


class SweepSignals:
    """In the process that started a sweep: SIGTERM goes on to its workers, then ends the sweep.

    joblib kills its workers when their parent ends, and orphans them when it is killed: so the
    parent waits until each has saved and given back its lease.

    Args:
        root: the run root.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._before = signal.signal(signal.SIGTERM, self._end)

    def restore(self) -> None:
        """Put back the handler that was there before."""
        signal.signal(signal.SIGTERM, self._before)

    def _end(self, number: int, frame: FrameType | None) -> None:
        told = self._held()
        for process in set(told.values()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        deadline = time.monotonic() + PATIENCE_SECONDS
        # By run, not by worker: one that has saved takes the next run of the queue.
        while told.keys() & self._held().keys() and time.monotonic() < deadline:
            time.sleep(0.1)
        raise Stopped("the sweep's runs have saved; the same command goes on with them")

    def _held(self) -> dict[Path, psutil.Process]:
        """The runs that this process's descendants hold."""
        workers = {x.pid: x for x in psutil.Process().children(recursive=True)}
        held = {path.parent: is_held(path.parent) for path in self._root.glob("*/lease.json")}
        return {run: workers[x["pid"]] for run, x in held.items() if x and x["pid"] in workers}
