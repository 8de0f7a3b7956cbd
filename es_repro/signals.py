"""What asks a run to end, and how it does: save at the next step, close the record, pass it on."""

import signal
from types import FrameType, TracebackType
from typing import Self

from es_repro.engine import Engine, Stopped

__all__ = ["StopSignals"]

# A person's, torchrun's or a scheduler's; and what Slurm sends before a time limit or preemption
# when submitit has asked for it (its handler requeues the job).
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


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
