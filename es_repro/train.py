"""The only entry point of a run: compose -> build -> fit -> record.

python -m es_repro.train --help
"""

from es_repro.extras import needs

if __name__ == "__main__":  # before what only the suite brings is imported
    needs("suite")


import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from es_repro.checking import check
from es_repro.config import (
    config_folder,
    departures,
    readable,
    register_resolvers,
)
from es_repro.data import DataNotFound
from es_repro.engine import Stopped
from es_repro.forecast.plan import DRY_RUN, forecast
from es_repro.parallel.lost_ranks import noticing, speaks
from es_repro.parallel.world import is_alone, is_main
from es_repro.process.progress import JOBS, SweepProgress, job_line, read_jobs
from es_repro.process.survival import outlive
from es_repro.record import join, read_summary
from es_repro.running import carry_out, put_aside, require_traces, settle
from es_repro.selection import require
from es_repro.storage.files import append_line

__all__ = ["main", "train"]

SLURM = ("hydra/launcher=slurm", "hydra/launcher=submitit")

# What the jobs of this process raised.
errors: list[Exception] = []


@noticing()
def train(config: DictConfig, *, in_sweep: bool = False) -> dict[str, Any]:
    """Run what `config` says, or go on with it, or answer what it answered before.

    Under torchrun every rank calls it; rank 0 alone keeps the record.

    Args:
        config: the composed config.
        in_sweep: a sweep's display shows the progress.

    Returns:
        The summary, with `run` (its hash) and `kept` (whether it was there already).
    """
    check(config)
    run = settle(config, in_sweep=in_sweep)
    if run.ranks.main:
        join(run.folder.parent, seed=run.config.seed, run=run.name, **run.labels)
        if run.config.resume == "never" and run.folder.exists():
            put_aside(run.folder)
    if summary := run.ranks.from_main(lambda: read_summary(run.folder)):
        require_traces(run.config, run.folder)
        return summary | {"run": run.name, "kept": True}
    return carry_out(run, show_bar=not in_sweep) | {"run": run.name, "kept": False}


@hydra.main(version_base="1.3", config_path=config_folder(), config_name="config")
def job(config: DictConfig) -> None:
    """One Hydra job: a run, and its line in the sweep's list.

    An error is kept for `main`, which says it in one line: Hydra would add lines of its own.
    """
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    sweep = Path(HydraConfig.get().sweep.dir) if in_sweep and is_main() else None
    number = HydraConfig.get().job.num if in_sweep else 0
    outcome = {"experiment": config.experiment, "row": config.row, "seed": config.seed}
    outcome |= {"number": number}
    started = time.monotonic()
    if sweep and any(x["number"] == number for x in read_jobs(sweep)):
        return  # it had ended when a worker beside it was killed
    if errors and not is_alone():  # the ranks are out of step: they can run nothing more
        return
    try:
        if sweep and config.fail_fast and any(x["status"] == "failed" for x in read_jobs(sweep)):
            outcome |= {"status": "skipped", "error": "an earlier run failed (fail_fast)"}
            return
        sweeps = HydraConfig.get().runtime.choices.get("sweep")
        require(in_sweep or not sweeps, "sweep", sweeps, "run with -m: its runs are many")
        if departures(
            HydraConfig.get().overrides.task, dict(HydraConfig.get().sweeper.params or {})
        ):
            config.recipe.paper = False
        summary = train(config, in_sweep=in_sweep)
        status, headline = "kept" if summary["kept"] else "finished", summary["headline"]
        outcome |= {"status": status, "run": summary["run"]}
        outcome |= {"headline": headline, "value": summary[headline]}
    except (Stopped, KeyboardInterrupt):
        outcome |= {"status": "stopped", "error": "the same command goes on"}
        raise
    except DataNotFound as error:
        outcome |= {"status": "no data", "error": readable(error)}
        if in_sweep and config.missing_data == "skip":
            labels = {"experiment": config.experiment, "row": config.row}
            join(Path(config.run.root), seed=config.seed, run=None, **labels)
        else:
            outcome |= {"status": "failed"}
            errors.append(error)
    except Exception as error:  # noqa: BLE001 - one failed job must not end its sweep
        outcome |= {"status": "failed", "error": readable(error)}
        errors.append(error)
    finally:
        outcome |= {"seconds": time.monotonic() - started}
        if sweep and "status" in outcome:  # else it was stopped, and has not ended
            append_line(sweep / JOBS, outcome)
        elif "value" in outcome and is_main():
            print(f"{job_line(outcome)}\n{config.run.root}/{outcome['run']}")


def close_sweep() -> int:
    """End the sweep's display; answers how many of its runs failed, or 1 where none had data."""
    if SweepProgress.open is None:
        return 0
    jobs = SweepProgress.open.close()
    failed = [x for x in jobs if x["status"] == "failed"]
    missing = sorted({f"{x['experiment']}: {x['error']}" for x in jobs if x["status"] == "no data"})
    for line in [*map(job_line, failed), *(f"no data: {x}" for x in missing)]:
        print(line, file=sys.stderr)
    return len(failed) or int(bool(jobs) and len(missing) > 0 and not any("run" in x for x in jobs))


def main() -> None:
    """Run the command line; every error is one line and a non-zero exit code."""
    register_resolvers()
    # Hydra would print several lines, or a traceback, and exit itself.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    errors.clear()
    code = 0
    try:
        if asked := [x for x in sys.argv[1:] if x in (DRY_RUN, f"{DRY_RUN}=totals")]:
            others = [x for x in sys.argv[1:] if x not in asked]
            lines = forecast(others, check, totals=DRY_RUN not in asked)
            for line in lines if is_main() else ():
                print(line)
            sys.exit(0)
        if any(x.startswith(SLURM) for x in sys.argv[1:]):
            needs("slurm")
        outlive(job)
        if errors and (SweepProgress.open is None or not is_alone()):
            raise errors[0]
    except Stopped as stopped:
        if is_main():
            print(f"stopped: {stopped}", file=sys.stderr)
        code = 128 + signal.SIGTERM
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        code = 128 + signal.SIGINT
    except Exception as error:
        if os.environ.get("ES_REPRO_DEBUG"):
            raise
        if speaks(line := readable(error)):
            print(f"error: {line}", file=sys.stderr)
        code = 1
    failed = close_sweep()  # however it ended: the display goes, what the jobs said stays
    code = code or min(failed, 1)
    if code and not is_alone():
        # Leaving in order would wait for peers that may be gone.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    # By its name, so that a launcher's workers import the job instead of unpickling a copy of it.
    from es_repro.train import main as by_name

    by_name()
