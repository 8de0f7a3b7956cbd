"""The plan of a command that is not carried out: its runs, how each stands, what it will cost."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from es_repro.build import follow, recorded_trace, run_epochs, run_steps
from es_repro.compiling import resolve_compile
from es_repro.config import NOT_HASHED, config_folder, identify, plain, readable
from es_repro.forecast.expense import (
    Expense,
    Ledger,
    dataset_key,
    estimate,
    method_class,
    read_records,
)
from es_repro.forecast.utilisation import ASSUMED
from es_repro.parallel.world import world_size
from es_repro.process.machine import environment, resolve_device, resolve_precision
from es_repro.selection import Replay, Trace, require
from es_repro.storage.lease import is_held
from es_repro.storage.trace_files import TraceDamaged

__all__ = ["DRY_RUN", "Planned", "forecast", "plan"]

DRY_RUN = "--dry-run"
MULTIRUN = ("-m", "--multirun")
CONFIG_DIR = "--config-dir"
DONE = "done"
STATES = (DONE, "running", "interrupted", "failed", "waits", "missing")  # first words


@dataclass(frozen=True)
class Planned:
    """A run that the command would make.

    Attributes:
        name: experiment, row and seed, for people.
        state: done; running, interrupted, failed or missing, with what is known of it.
        expense: of all of it, from its beginning.
        option: the model's.
        key: equal for runs that would be one and the same, whatever they are asked for.
    """

    name: str
    state: str
    expense: Expense
    option: str
    key: str


def forecast(
    arguments: Sequence[str], check: Callable[[DictConfig], None], *, totals: bool = False
) -> Iterator[str]:
    """Lines for people: each run of the command, then the totals.

    Nothing is written and no data are read: a run is found by its config and by the fingerprint
    that other runs have recorded of the same data.

    Args:
        arguments: of the command, without `--dry-run`.
        check: refuses what no run could begin with.
        totals: without the runs' own lines.

    Raises:
        ValueError: options of Hydra's that would do something else.
    """
    runs, side_by_side = plan(arguments, check)
    if not totals:
        yield from _table(runs)
    yield from _totals(runs, side_by_side)


def plan(
    arguments: Sequence[str], check: Callable[[DictConfig], None]
) -> tuple[list[Planned], int]:
    """The runs of a command, and how many of them at once; see `forecast`."""
    search, arguments = _searched(arguments)
    others = [x for x in arguments if x.startswith("-") and x not in MULTIRUN]
    require(not others, DRY_RUN, " ".join(others), f"with -m and {CONFIG_DIR} alone")
    many = any(x in MULTIRUN for x in arguments)
    overrides = search + [x for x in arguments if not x.startswith("-")]
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_folder(), version_base="1.3"):
        jobs, side_by_side = _jobs(overrides) if many else ([overrides], 1)
        runs = []
        ledger: Ledger | None = None
        for config in _configs([search + job for job in jobs] if many else jobs):
            check(config)
            ledger = ledger or read_records(Path(config.run.root))
            runs.append(_planned(config, ledger))
    return runs, side_by_side


def _searched(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folder of `--config-dir DIR` as an override, as Hydra takes it, and all other words."""
    words = [part for x in arguments for part in _split(x)]
    if CONFIG_DIR not in words:
        return [], words
    at = words.index(CONFIG_DIR)
    require(at + 1 < len(words), CONFIG_DIR, None, "followed by a folder")
    folder = Path(words[at + 1]).resolve()
    require(folder.is_dir(), CONFIG_DIR, words[at + 1], "a folder")
    return [f"hydra.searchpath=[file://{folder}]"], words[:at] + words[at + 2 :]


def _split(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith(f"{CONFIG_DIR}=") else [word]


def _compose(overrides: list[str], mode: RunMode = RunMode.RUN) -> DictConfig:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    config = hydra.compose_config("config", overrides, mode, from_shell=True)
    HydraConfig.instance().set_config(config)
    return config


def _jobs(overrides: list[str]) -> tuple[list[list[str]], int]:
    """The overrides of every run of a multirun, as Hydra's sweeper makes them; how many at once."""
    config = _compose(overrides, RunMode.MULTIRUN)
    params = OmegaConf.to_container(config.hydra.sweeper.params or OmegaConf.create({}))
    assert isinstance(params, dict)
    texts = [f"{key!s}={value}" for key, value in params.items()]
    task = list(config.hydra.overrides.task)
    parsed = OverridesParser.create().parse_overrides(texts + task)
    (jobs,) = BasicSweeper.split_arguments(parsed, None)
    return jobs, int(config.hydra.launcher.get("n_jobs", 1))


def _configs(jobs: list[list[str]]) -> Iterator[DictConfig]:
    """Compose each job; those that differ in their seed alone are composed once, for time."""

    @cache
    def compose(overrides: tuple[str, ...]) -> DictConfig:
        return _compose(list(overrides))

    for job in jobs:
        seeds = [x for x in job if x.startswith("seed=")]
        config = compose(tuple(x for x in job if x not in seeds))
        HydraConfig.instance().set_config(config)
        for seed in seeds:
            OmegaConf.update(config, "seed", json.loads(seed.removeprefix("seed=")))
        yield config


def _planned(config: DictConfig, ledger: Ledger) -> Planned:
    device = resolve_device(config.run.device)
    precision = resolve_precision(config.precision, device)
    epochs = run_epochs(config)
    merged = OmegaConf.merge(config, run_steps(config))
    assert isinstance(merged, DictConfig)
    settled, trace, waits = _settled(merged, epochs)
    method = Replay if trace else method_class(settled["method"])
    hashes = {
        identify(
            settled,
            epochs=epochs,
            compiled=resolve_compile(config.compile, device),
            precision=precision,
            data=data,
            semantics=method.semantics_version,
            world_size=world_size(),
        )[1]
        for data in ledger.fingerprints.get(dataset_key(settled), ())
    }
    root = Path(config.run.root)
    found = next((root / run for run in sorted(hashes) if (root / run).is_dir()), None)
    threads = config.run.threads or torch.get_num_threads()
    option = str(HydraConfig.get().runtime.choices.get("model"))
    if config.replay is not None and trace is None:
        expense = Expense(unknown="what the run to be replayed has picked")
    else:
        machine = _device_name(device), threads
        expense = estimate(settled, epochs, option, ledger, machine, trace)
    return Planned(
        f"{config.experiment} {config.row} seed {config.seed}",
        waits or ("missing" if found is None else _state(found)),
        expense,
        option,
        _key(settled, epochs, waits and f"{config.row} {config.replay}"),
    )


def _settled(config: DictConfig, epochs: int) -> tuple[dict[str, Any], Trace | None, str]:
    """The plain config, the trace that the run follows, and what it waits for."""
    waits = ""
    try:
        settled = plain(config)
    except InterpolationResolutionError as error:
        waits = f"waits: {readable(error)}"
        config.model.weights = None
        settled = plain(config)
    if config.replay is None:
        return settled, None, waits
    try:
        trace = recorded_trace(config)
    except TraceDamaged as error:
        return settled, None, f"waits: {readable(error)}"
    # Of as many samples as it says: how many there are here, only the data could tell.
    follow(trace, config, trace.num_samples, epochs, torch.device("cpu"))
    return settled | {"method": trace.as_method}, trace, waits


def _key(settled: dict[str, Any], epochs: int, row: str) -> str:
    """What a run computes, as far as its config says; `row` stands for what is not yet there."""
    covered = {key: value for key, value in settled.items() if key not in NOT_HASHED}
    return json.dumps([covered, epochs, row], sort_keys=True, default=str)


@cache
def _device_name(device: torch.device) -> str:
    return str(environment(device, "")["device_name"])


def _state(folder: Path) -> str:
    if (folder / "done").exists():
        return DONE
    epoch = _last_epoch(folder)
    if holder := is_held(folder):
        share = (holder.get("progress") or {}).get("share", 0.0)
        return f"running elsewhere, {share:.0%} (process {holder['pid']} on {holder['host']})"
    if (folder / "failed.json").exists():
        return f"failed in epoch {epoch + 1}; would be tried again"
    return f"interrupted after epoch {epoch}; would go on"


def _last_epoch(folder: Path) -> int:
    """How many epochs of a run have ended."""
    ended = 0
    try:
        lines = (folder / "history.jsonl").read_text(errors="replace").splitlines()
    except OSError:
        return ended
    for line in lines:
        try:
            said = json.loads(line)
            ended = said["epoch"] if said["kind"] == "epoch" else ended
        except (ValueError, KeyError, TypeError):  # torn by a kill
            continue
    return int(ended)


def _table(runs: list[Planned]) -> Iterator[str]:
    width = max((len(run.name) for run in runs), default=0)
    for run in runs:
        yield f"{run.name:<{width}}  {_amount([run]):<24}  {run.state}"


def _totals(runs: list[Planned], side_by_side: int) -> Iterator[str]:
    left = [run for run in runs if run.state != DONE]
    counts = Counter(run.state.split()[0].rstrip(":,") for run in runs)
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    yield f"{len(runs)} runs: {told}"
    yield f"all of them: {_amount(runs)}"
    beside = f", {side_by_side} side by side" if side_by_side > 1 else ""
    yield f"still to run: {_amount(left, side_by_side)}{beside}"
    if any(run.expense.seconds for run in runs):
        yield "time here: training alone, by the rate of finished runs of the same net here"
    if assumed := {run.option for run in runs if run.expense.h100_hours is not None}:
        shares = ", ".join(f"{name} at {ASSUMED[name]:.1%}" for name in sorted(assumed))
        yield f"H100 hours: estimated, not measured: {shares} of 989 TFLOP/s"
    for reason, count in Counter(x.expense.unknown for x in runs if x.expense.unknown).items():
        yield f"not counted: {count} runs: not known: {reason}"


def _flops(count: float) -> str:
    for size, name in ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP")):
        if count >= size:
            return f"{count / size:.4g} {name}"
    return f"{count / 1e6:.4g} MFLOP"


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _amount(runs: list[Planned], side_by_side: int = 1) -> str:
    """FLOPs and hours of some runs; without those of which nothing is known."""
    known = [run.expense for run in runs if run.expense.flops is not None]
    if runs and not known:
        return "unknown"
    parts = [_flops(sum(x.flops or 0.0 for x in known))]
    seconds, h100 = [x.seconds for x in known], [x.h100_hours for x in known]
    if known and None not in seconds:
        parts.append(f"{_time(sum(x or 0.0 for x in seconds) / side_by_side)} here")
    if known and None not in h100:
        parts.append(f"{sum(x or 0.0 for x in h100):.3g} H100 h")
    return ", ".join(parts)
