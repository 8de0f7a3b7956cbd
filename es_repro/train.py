"""The only entry point of a run: compose -> build -> fit -> record.

python -m es_repro.train --help
"""

import contextlib
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from es_repro.artifacts import leave_artifacts
from es_repro.build import build_engine, build_selector, load_data, run_epochs
from es_repro.compiling import resolve_compile
from es_repro.config import config_folder, plain, readable, register_resolvers, run_hash
from es_repro.data import DataNotFound
from es_repro.engine import Engine, Stopped
from es_repro.files import append_line
from es_repro.machine import Strangers, environment, resolve_device, resolve_precision
from es_repro.progress import JOBS, RunBar, SweepProgress, job_line, read_jobs
from es_repro.record import Record, join, read_summary

__all__ = ["main", "train"]

# Cores kept busy by others, on average, from which a run's clock is not its own.
CONTENDED_CORES = 0.25

log = logging.getLogger(__name__)

# What the jobs of this process raised.
errors: list[Exception] = []


def train(config: DictConfig, *, in_sweep: bool = False) -> dict[str, Any]:
    """Run what `config` says, or go on with it, or answer what it answered before.

    Args:
        config: the composed config.
        in_sweep: a sweep's display shows the progress.

    Returns:
        The summary, with `run` (its hash) and `kept` (whether it was there already).
    """
    device = resolve_device(config.run.device)
    precision = resolve_precision(config.precision, device)
    compiled = resolve_compile(config.compile, device)
    if config.run.threads is not None:
        torch.set_num_threads(config.run.threads)
    data = load_data(config)
    # Resolved once: what other runs left may change between the hash and the build.
    config = OmegaConf.create(plain(config))
    epochs = run_epochs(config)
    selector = build_selector(config, data.num_samples, epochs, device)
    resolved = plain(config) | {"epochs": epochs, "compile": compiled}
    run = run_hash(
        resolved,
        precision=precision,
        data=data.fingerprint,
        semantics=type(selector).semantics_version,
    )
    resolved["dataset"] |= {"fingerprint": data.fingerprint}
    root = Path(config.run.root)
    folder = root / run
    labels = {"experiment": config.experiment, "row": config.row}
    join(root, seed=config.seed, run=run, **labels)
    if config.resume == "never" and folder.exists():
        put_aside(folder)
    if summary := read_summary(folder):
        return summary | {"run": run, "kept": True}

    tracker = instantiate(config.tracker)
    about = environment(device, precision, compiled)
    keep = config.run.keep_checkpoints
    label = f"{config.row} seed {config.seed}"
    bar = RunBar(label, enabled=not in_sweep)
    with Record(folder, resolved, about, labels, tracker, keep) as record, bar:
        record.lease.report(share=0.0, state="starting", label=label)
        strangers = Strangers()
        engine = build_engine(
            config,
            data=data,
            selector=selector,
            record=record,
            device=device,
            precision=precision,
            compiled=compiled,
            show=bar.show,
        )
        if state := record.checkpoints.load(device):
            engine.load_state_dict(state)
        with stop_on_sigterm(engine):
            found = engine.fit()
        leave_artifacts(map(instantiate, config.artifacts.values()), engine, record)
        summary = found | {
            "headline": f"{data.split}/{engine.task.headline}",
            "time/foreign_cores": strangers.cores(),
            "time/contended": record.lease.jobs_side_by_side > 1
            or (device.type == "cpu" and strangers.cores() > CONTENDED_CORES),
            "resumed": record.attempt,
        }
        record.finish(summary)
    return summary | {"run": run, "kept": False}


def put_aside(folder: Path) -> None:
    """Keep what a run that starts afresh had written, out of the report's sight."""
    aside = folder.parent / "replaced" / f"{folder.name}-{time.time_ns()}"
    aside.parent.mkdir(exist_ok=True)
    shutil.move(folder, aside)
    log.warning("resume=never: the former run lies in %s", aside)


@contextlib.contextmanager
def stop_on_sigterm(engine: Engine) -> Iterator[None]:
    """Ask `engine` to save and stop at its next step when this process is told to end."""

    def ask(*_: object) -> None:
        engine.stop = True

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@hydra.main(version_base="1.3", config_path=config_folder(), config_name="config")
def job(config: DictConfig) -> None:
    """One Hydra job: a run, and its line in the sweep's list.

    An error is kept for `main`, which says it in one line: Hydra would add lines of its own.
    """
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    sweep = Path(HydraConfig.get().sweep.dir) if in_sweep else None
    outcome = {"experiment": config.experiment, "row": config.row, "seed": config.seed}
    started = time.monotonic()
    try:
        if sweep and config.fail_fast and any(x["status"] == "failed" for x in read_jobs(sweep)):
            outcome |= {"status": "skipped", "error": "an earlier run failed (fail_fast)"}
            return
        summary = train(config, in_sweep=in_sweep)
        status, headline = "kept" if summary["kept"] else "finished", summary["headline"]
        outcome |= {"status": status, "run": summary["run"]}
        outcome |= {"headline": headline, "value": summary[headline]}
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
        if sweep:
            append_line(sweep / JOBS, outcome)
        elif "value" in outcome:
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
        job()
        if errors and SweepProgress.open is None:
            raise errors[0]
    except Stopped as stopped:
        print(f"stopped: {stopped}", file=sys.stderr)
        code = 128 + signal.SIGTERM
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        code = 128 + signal.SIGINT
    except Exception as error:
        if os.environ.get("ES_REPRO_DEBUG"):
            raise
        print(f"error: {readable(error)}", file=sys.stderr)
        code = 1
    failed = close_sweep()
    sys.exit(code or min(failed, 1))


if __name__ == "__main__":
    # By its name, so that a launcher's workers import the job instead of unpickling a copy of it.
    from es_repro.train import main as by_name

    by_name()
