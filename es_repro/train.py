"""The only entry point of a run: compose -> build -> fit -> record.

python -m es_repro.train --help
"""

if __name__ == "__main__":  # before what only the suite brings is imported
    from es_repro.extras import needs

    needs("suite")


import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from es_repro.build import (
    build_engine,
    build_selector,
    load_again,
    load_data,
    run_epochs,
    run_steps,
)
from es_repro.checking import check, check_steps
from es_repro.compiling import resolve_compile
from es_repro.config import (
    config_folder,
    departures,
    identify,
    plain,
    readable,
    register_resolvers,
    weights_note,
)
from es_repro.data import Data, DataNotFound
from es_repro.engine import Engine, Stopped
from es_repro.forecast.plan import DRY_RUN, forecast
from es_repro.parallel.bystander import Bystander
from es_repro.parallel.lost_ranks import noticing, speaks
from es_repro.parallel.ranks import Ranks, connect
from es_repro.parallel.world import is_alone, is_main
from es_repro.process.machine import Strangers, environment, resolve_device, resolve_precision
from es_repro.process.progress import JOBS, RunBar, SweepProgress, job_line, read_jobs
from es_repro.process.signals import StopSignals
from es_repro.process.survival import outlive
from es_repro.record import Record, join, read_summary
from es_repro.selection import Replay, Selector, require
from es_repro.storage.artifacts import leave_artifacts
from es_repro.storage.checkpoint import CheckpointDamaged, Checkpoints
from es_repro.storage.files import append_line
from es_repro.storage.lease import Lease
from es_repro.storage.state import read_for_all
from es_repro.storage.trace_files import missing_epochs

__all__ = ["main", "train"]

# Cores kept busy by others, on average, from which a run's clock is not its own.
CONTENDED_CORES = 0.25

log = logging.getLogger(__name__)

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
    config = cast(DictConfig, OmegaConf.merge(config, run_steps(config)))
    device = resolve_device(config.run.device)
    precision = resolve_precision(config.precision, device)
    compiled = resolve_compile(config.compile, device)
    if config.run.threads is not None:
        torch.set_num_threads(config.run.threads)
    ranks = connect(device, precision, config.run.strategy)
    device = device if ranks.alone else ranks.device
    with ranks.one_first():
        data = load_again(config) if in_sweep else load_data(config)
    # Resolved once: what other runs left may change between the hash and the build.
    settled = plain(config)
    config = OmegaConf.create(settled)
    epochs = run_epochs(config)
    check_steps(config, epochs, data.num_samples)
    selector = build_selector(config, data.num_samples, epochs, device)
    resolved, run = identify(
        settled | replayed(config, selector, data),
        epochs=epochs,
        compiled=compiled,
        precision=precision,
        data=data.fingerprint,
        semantics=type(selector).semantics_version,
        world_size=ranks.world_size,
    )
    resolved["dataset"] |= {"fingerprint": data.fingerprint} | weights_note(resolved)
    root = Path(config.run.root)
    folder = root / run
    labels = {"experiment": config.experiment, "row": config.row}
    if ranks.main:
        join(root, seed=config.seed, run=run, **labels)
        if config.resume == "never" and folder.exists():
            put_aside(folder)
    if summary := ranks.from_main(lambda: read_summary(folder)):
        require_traces(config, folder)
        return summary | {"run": run, "kept": True}

    label = f"{config.row} seed {config.seed}"
    bar = RunBar(label, enabled=not in_sweep and ranks.main)
    about = environment(device, precision, compiled, ranks.world_size)
    about |= {"data_notes": getattr(data, "notes", {})}
    keep, tracker = config.run.keep_checkpoints, instantiate(config.tracker)
    written = Record(folder, resolved, about, labels, tracker, keep) if ranks.main else Bystander()
    with StopSignals() as signals, written as record, bar, noticing():
        record.lease.report(share=0.0, state="starting", label=label)
        strangers = Strangers()
        if data.corrupted is not None:
            record.keep("corrupted.json", wrong_labels(config, data.corrupted))
        engine = build_engine(
            config,
            data=data,
            selector=selector,
            record=record,
            device=device,
            precision=precision,
            compiled=compiled,
            ranks=ranks,
            show=bar.show,
        )
        if state := read_state(config, folder, ranks):
            go_on(engine, state, folder)
        signals.watch(engine)
        found = engine.fit()
        if late := engine.exports.after(engine.step):
            log.warning(
                "keep_steps=%s: not kept: the run's epochs ended after %d steps", late, engine.step
            )
            found["exports/missing"] = late
        if isinstance(record, Record):
            leave_artifacts(map(instantiate, config.artifacts.values()), engine, record)
        summary = found | circumstances(engine, record, found, strangers.cores(ranks.local_size))
        record.finish(summary)
    return summary | {"run": run, "kept": False}


def circumstances(
    engine: Engine, record: Record | Bystander, found: dict[str, Any], foreign_cores: float
) -> dict[str, Any]:
    """What a summary says beside the engine's numbers: peaks over all ranks, and the clock's worth.

    Args:
        engine: at its end; called by all ranks.
        record: of the run.
        found: what the engine answered.
        foreign_cores: kept busy by others meanwhile, on average.
    """
    peaks = {name: value for name, value in found.items() if name.startswith("memory/")}
    on_cpu = engine.fabric.device.type == "cpu"
    return {
        **engine.ranks.largest(peaks),
        "headline": f"{engine.loader.split}/{engine.task.headline}",
        "time/foreign_cores": foreign_cores,
        "time/contended": record.lease.jobs_side_by_side > 1
        or (on_cpu and foreign_cores > CONTENDED_CORES),
        "resumed": record.attempt,
    }


def require_traces(config: DictConfig, folder: Path) -> None:
    """See that a finished run has kept what is asked for.

    Raises:
        ValueError: it has not, and only training it again would make it.
    """
    for kind in (kind for kind in ("selection", "losses") if config.trace[kind]):
        allowed = f"false: {folder} has finished without it (resume=never trains it again)"
        require(not missing_epochs(folder, kind), f"trace.{kind}", True, allowed)


def replayed(config: DictConfig, selector: Selector, data: Data) -> dict[str, dict[str, str]]:
    """What stands as the `method` of a run that follows another's trace; nothing for any other."""
    if config.replay is None:
        return {}
    trace = cast(Replay, selector).trace
    if trace.data != data.fingerprint:
        log.warning(
            "replay: the trace was recorded on data of another fingerprint (another subset, cut, "
            "layout or tokenizer); its ids must mean the same samples here"
        )
    return {"method": trace.as_method}


def wrong_labels(config: DictConfig, corrupted: Tensor) -> bytes:
    """Which labels noise has flipped, as JSON of one line; corrupted [n] bool."""
    ids = corrupted.nonzero().squeeze(1).tolist()
    known = {key: config.dataset[key] for key in ("label_noise", "noise_seed")}
    counts = {"num_samples": len(corrupted), "num_corrupted": len(ids)}
    return (json.dumps(known | counts | {"ids": ids}) + "\n").encode()


def go_on(engine: Engine, state: dict[str, Any], folder: Path) -> None:
    """Load a checkpoint's state.

    Raises:
        CheckpointDamaged: it lacks a part, as one that another version wrote may.
    """
    try:
        engine.load_state_dict(state)
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointDamaged(
            f"{folder / 'checkpoints'}: not a state that this version can go on from ({error!r}); "
            "start it again with resume=never"
        ) from error


def read_state(config: DictConfig, folder: Path, ranks: Ranks) -> dict[str, Any] | None:
    """The newest state of the run, or of the one that it continues, the same on every rank.

    Raises:
        ValueError: there is nothing to continue.
    """
    keep, former = config.run.keep_checkpoints, config.run.continue_from
    state = read_for_all(Checkpoints(folder / "checkpoints", keep), ranks)
    if state is None and former:
        state = read_for_all(Checkpoints(folder.parent / former / "checkpoints", keep), ranks)
        allowed = f"a run with a checkpoint under run.root={folder.parent}"
        require(state is not None, "run.continue_from", former, allowed)
    return state


def put_aside(folder: Path) -> None:
    """Keep what a run that starts afresh had written, out of the report's sight.

    Raises:
        RunBusy: another job works on it.
    """
    aside = folder.parent / "replaced" / f"{folder.name}-{time.time_ns()}"
    aside.parent.mkdir(exist_ok=True)
    with Lease(folder) as lease:  # never from under another job's feet
        lease.move_folder(aside)
    log.warning("resume=never: the former run lies in %s", aside)


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
