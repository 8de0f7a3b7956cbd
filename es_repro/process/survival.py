"""A sweep outlives its workers: one that is killed costs what it had not saved."""

import sys
import warnings
from collections.abc import Callable

from hydra.core.global_hydra import GlobalHydra
from joblib.externals.loky.process_executor import TerminatedWorkerError

from es_repro.process.progress import SweepProgress, read_jobs

__all__ = ["outlive"]

# Without a run that ended in between: whatever kills the workers will kill the next ones too.
MOST_LOSSES = 3


def outlive(job: Callable[[], object]) -> None:
    """Call `job`, Hydra's entry point, until the workers of its sweep have lived to its end.

    joblib gives up all runs of a sweep when one worker is killed, by the system for memory or by a
    person; the next call goes on in the same folder, with the runs that had not ended.

    Raises:
        RuntimeError: they are killed again and again.
    """
    # joblib renews a worker that has grown by 300 MB, as any that trained has, and suspects a leak.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    arguments, losses, ended = list(sys.argv), 0, 0
    try:
        while True:
            try:
                job()
                return
            except TerminatedWorkerError as error:
                sweep = SweepProgress.open
                if sweep is None:
                    raise
                before, ended = ended, len(read_jobs(sweep.folder))
                losses = 1 if ended > before else losses + 1
                if losses >= MOST_LOSSES:
                    raise RuntimeError(
                        f"workers were killed {losses} times before any run ended (out of memory? "
                        "hydra.launcher.n_jobs=1 needs less); the same command goes on"
                    ) from error
                sweep.say(
                    f"a worker was killed; going on with the {sweep.total - ended} runs that had "
                    "not ended, from their last checkpoints"
                )
                GlobalHydra.instance().clear()
                sys.argv = [*arguments, f"hydra.sweep.dir={sweep.folder}"]
    finally:
        sys.argv = arguments
