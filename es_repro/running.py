"""One run: what it is, then building, fitting and recording it."""

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
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
from es_repro.checking import check_steps
from es_repro.compiling import resolve_compile
from es_repro.config import identify, plain, weights_note
from es_repro.data import Data
from es_repro.engine import Engine
from es_repro.parallel.bystander import Bystander
from es_repro.parallel.lost_ranks import noticing
from es_repro.parallel.ranks import Ranks, connect
from es_repro.process.machine import (
    Precision,
    Strangers,
    environment,
    resolve_device,
    resolve_precision,
)
from es_repro.process.progress import RunBar
from es_repro.process.signals import StopSignals
from es_repro.record import Record
from es_repro.selection import Replay, Selector, require
from es_repro.storage.artifacts import leave_artifacts
from es_repro.storage.checkpoint import CheckpointDamaged, Checkpoints
from es_repro.storage.lease import Lease
from es_repro.storage.state import read_for_all
from es_repro.storage.trace_files import missing_epochs

__all__ = ["Run", "carry_out", "put_aside", "require_traces", "settle"]

# Cores kept busy by others, on average, from which a run's clock is not its own.
CONTENDED_CORES = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """A run before it is built.

    Attributes:
        config: all that depends on the machine or on other runs is settled in it.
        resolved: what its record holds and its name is made of.
        name: the hash, and its folder.
        data: read.
        selector: of epoch 0.
        ranks: that it runs on, this one among them.
        device: this rank's.
        precision: never auto.
        compiled: likewise.
    """

    config: DictConfig
    resolved: dict[str, Any]
    name: str
    data: Data
    selector: Selector
    ranks: Ranks
    device: torch.device
    precision: Precision
    compiled: bool

    @property
    def folder(self) -> Path:
        """Of its record."""
        return Path(self.config.run.root) / self.name

    @property
    def labels(self) -> dict[str, str]:
        """What a table calls it."""
        return {"experiment": self.config.experiment, "row": self.config.row}


def settle(config: DictConfig, *, in_sweep: bool) -> Run:
    """Read the data, make the selector, and name the run.

    Args:
        config: composed and checked.
        in_sweep: the data of the job before may be at hand.

    Raises:
        DataNotFound: the data are not here.
        ValueError: a value that only data or machine show to be wrong.
    """
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
    resolved, name = identify(
        settled | replayed(config, selector, data),
        epochs=epochs,
        compiled=compiled,
        precision=precision,
        data=data.fingerprint,
        semantics=type(selector).semantics_version,
        world_size=ranks.world_size,
    )
    resolved["dataset"] |= {"fingerprint": data.fingerprint} | weights_note(resolved)
    return Run(config, resolved, name, data, selector, ranks, device, precision, compiled)


def carry_out(run: Run, *, show_bar: bool) -> dict[str, Any]:
    """Build, go on from the newest checkpoint, fit, record; answers the summary.

    Args:
        run: one without a summary; called by all ranks.
        show_bar: a sweep has a display of its own.
    """
    config, ranks, folder = run.config, run.ranks, run.folder
    label = f"{config.row} seed {config.seed}"
    bar = RunBar(label, enabled=show_bar and ranks.main)
    about = environment(run.device, run.precision, run.compiled, ranks.world_size)
    about |= {"data_notes": getattr(run.data, "notes", {})}
    keep, tracker = config.run.keep_checkpoints, instantiate(config.tracker)
    written = (
        Record(folder, run.resolved, about, run.labels, tracker, keep)
        if ranks.main
        else Bystander()
    )
    with StopSignals() as signals, written as record, bar, noticing():
        record.lease.report(share=0.0, state="starting", label=label)
        strangers = Strangers()
        if run.data.corrupted is not None:
            record.keep("corrupted.json", wrong_labels(config, run.data.corrupted))
        if run.compiled:  # nets of one class share torch's cache of graphs: a later run would be
            torch.compiler.reset()  # refused its own once the cache is full, and train uncompiled
        engine = build_engine(
            config,
            data=run.data,
            selector=run.selector,
            record=record,
            device=run.device,
            precision=run.precision,
            compiled=run.compiled,
            ranks=ranks,
            show=bar.show,
        )
        if state := read_state(config, folder, ranks):
            go_on(engine, state, folder)
        del state  # a model's size
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
    return summary


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
