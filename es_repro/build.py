"""From a composed config to the objects of a run; below this, nobody sees a config."""

import inspect
import json
import logging
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from es_repro.data import Data
from es_repro.engine import Engine
from es_repro.parallel.bystander import Bystander
from es_repro.parallel.ranks import Ranks, connect
from es_repro.parallel.sharding import fit_to_shards, outline, shard
from es_repro.parallel.world import world_size
from es_repro.process.allocator import keep_freed_memory
from es_repro.process.generators import seed_globals
from es_repro.process.machine import Precision
from es_repro.record import Record
from es_repro.selection import PlannedBatchSampler, Replay, Selector, Trace, selector_class
from es_repro.selection.foreign import as_selector
from es_repro.settings import Settings
from es_repro.storage.export import Exports
from es_repro.storage.trace_files import read_selection
from es_repro.traces import LossTrace, SelectionTrace, Traces

__all__ = [
    "build_engine", "build_selector", "follow", "load_again", "load_data", "recorded_trace",
    "run_epochs", "run_steps",
]  # fmt: skip

ENGINE_KEYS = (
    "meta_batch_size", "micro_batch_size", "score_micro_batch", "score_mode", "bn_update",
    "clip_norm", "eval_every", "max_steps", "schedule_steps", "group_by_length", "compile_mode",
)  # fmt: skip
RUN_KEYS = ("log_every", "checkpoint_every_seconds", "checkpoint_every_steps", "table_sync")


# Fabric announces the precision, which the record holds.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


# By config, the data set that this process read last.
_loaded: dict[str, Data] = {}


def load_data(config: DictConfig) -> Data:
    """The data set of the run.

    Raises:
        DataNotFound: it is not here and cannot be fetched.
        DataDamaged: a file of it is broken.
    """
    data: Data = instantiate(config.dataset)()
    return data


def load_again(config: DictConfig) -> Data:
    """The same; that of the process's last run where it was the same, as in most of a sweep."""
    key = json.dumps(OmegaConf.to_container(config.dataset, resolve=True), sort_keys=True)
    if key not in _loaded:
        _loaded.clear()  # one at a time: they are large
        _loaded[key] = load_data(config)
    return _loaded[key]


def run_epochs(config: DictConfig) -> int:
    """E, or under `budget_of` the epochs in which the baseline costs that method's FLOPs.

    floor(G*E + 0.5), G the method's cost from the cost model, at least 1.
    """
    if config.budget_of is None or config.max_steps is not None:
        return int(config.epochs)  # a run by steps is shortened in steps
    return _shortened(int(config.epochs), _cost_factor(config))


def run_steps(config: DictConfig) -> dict[str, Any]:
    """`max_steps`, `schedule_steps` and `keep_steps`; under `budget_of`, at that method's FLOPs.

    Pruning makes epochs shorter, not steps cheaper: a step costs G without it.
    """
    kept = None if config.keep_steps is None else list(config.keep_steps)
    steps = {"max_steps": config.max_steps, "schedule_steps": config.schedule_steps}
    if config.budget_of is None or config.max_steps is None:
        return steps | {"keep_steps": kept}
    factor = _cost_factor(
        config, **{"prune_ratio": 0.0} if "prune_ratio" in config.budget_of else {}
    )
    short = {key: None if x is None else _shortened(x, factor) for key, x in steps.items()}
    return short | {"keep_steps": kept and [_shortened(step, factor) for step in kept]}


def _cost_factor(config: DictConfig, **instead: float) -> float:
    """G of the method that `budget_of` names, from the cost model."""
    costly = {k: v for k, v in config.budget_of.items() if not k.startswith("_")} | instead
    name = costly.pop("name")
    return selector_class(name).expected_cost(int(config.epochs), **costly).factor


def _shortened(count: int, factor: float) -> int:
    return max(1, math.floor(factor * count + 0.5))


def build_selector(
    config: DictConfig, num_samples: int, epochs: int, device: torch.device
) -> Selector:
    """The method, for this many samples and epochs; under `replay`, what that run picked.

    Raises:
        TraceDamaged: the run to replay has no whole trace.
        ValueError: it had other samples, epochs or batches, or fewer steps.
    """
    if config.replay is not None:
        return follow(recorded_trace(config), config, num_samples, epochs, device)
    make = instantiate(config.method)
    return as_selector(
        make(num_samples=num_samples, num_epochs=epochs, device=str(device), seed=config.seed)
    )


def follow(
    trace: Trace, config: DictConfig, num_samples: int, epochs: int, device: torch.device
) -> Replay:
    """What picks as the trace says, if the run may take it.

    Raises:
        ValueError: the trace is of other samples, epochs or batches, or of fewer steps.
    """
    selector = Replay(num_samples, epochs, device=str(device), seed=config.seed, trace=trace)
    # Made for its refusals alone, while nothing has been written.
    PlannedBatchSampler(selector, config.meta_batch_size, world_size=world_size())
    trace.num_rows(config.meta_batch_size, world_size(), config.max_steps)
    return selector


def recorded_trace(config: DictConfig) -> Trace:
    """What the run that `replay` names has picked.

    Raises:
        TraceDamaged: it has no whole trace.
    """
    return read_selection(recorded_run(config))


def recorded_run(config: DictConfig) -> Path:
    """The folder of the run that `replay` names: by its hash under the run root, or by a path."""
    named = Path(str(config.replay)).expanduser()
    return named if len(named.parts) > 1 else Path(config.run.root) / named


def keep_traces(
    config: DictConfig,
    record: Record | Bystander,
    sampler: PlannedBatchSampler,
    ranks: Ranks,
    data: Data,
) -> Traces:
    """What `trace` asks to be kept of the run."""
    selector = sampler.selector
    return Traces(
        SelectionTrace(record, sampler, data.fingerprint) if config.trace.selection else None,
        LossTrace(record, selector.num_samples, ranks) if config.trace.losses else None,
    )


def told(make: partial[Any], facts: Mapping[str, int], group: str) -> dict[str, int]:
    """Those of the data's facts that a builder asks for by name and its config leaves open.

    Raises:
        ValueError: it needs one that this data set does not have.
    """
    asked = {
        name: parameter
        for name, parameter in inspect.signature(make.func).parameters.items()
        if name not in make.keywords and parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, parameter in asked.items():
        if name not in facts and parameter.default is inspect.Parameter.empty:
            builder = f"{make.func.__module__}.{make.func.__name__}"
            raise ValueError(f"{group}={builder}: needs {name}, which this data set does not have")
    return {name: facts[name] for name in asked if name in facts}


def _build_model(
    config: DictConfig, data: Data, ranks: Ranks, device: torch.device
) -> tuple[nn.Module, nn.Module | None]:
    """The model on its device and, where it is sharded, its outline."""
    make = instantiate(config.model)
    model = make(**told(make, data.facts, "model"))
    if ranks.mesh is None:
        return model.to(device, memory_format=torch.channels_last), None
    model = model.to(device)  # sharding asks for contiguous parameters
    twin = outline(model)
    shard(model, ranks.mesh["data_parallel"])
    return model, twin


def build_engine(
    config: DictConfig,
    *,
    data: Data,
    selector: Selector,
    record: Record | Bystander,
    device: torch.device,
    precision: Precision,
    compiled: bool = False,
    ranks: Ranks | None = None,
    show: Callable[[float, str], None] | None = None,
) -> Engine:
    """The engine, ready to `fit`; `ranks` are those that `connect` answers unless given."""
    ranks = ranks or connect(device, precision)
    if device.type == "cpu":
        keep_freed_memory()
    seed_globals(config.seed)
    model, twin = _build_model(config, data, ranks, device)
    make_task, make_optimizer = instantiate(config.task), instantiate(config.optimizer)
    rates = {"lr": config.optimizer.lr, "weight_decay": config.optimizer.weight_decay}
    optimizer = make_optimizer(instantiate(config.parameter_groups)(model, **rates))
    exports = Exports(
        config.keep_steps or (),
        record=record,
        model=model,
        companions=getattr(data, "companions", ()),
        max_steps=config.max_steps,
    )
    sampler = PlannedBatchSampler(
        selector,
        config.meta_batch_size,
        seed=config.seed,
        rank=ranks.rank,
        world_size=ranks.world_size,
    )
    if ranks.rank:  # equal initial weights, then draws of its own
        seed_globals(config.seed, ranks.rank)
    return Engine(
        fabric=ranks.fabric,
        twin=twin,
        model=model,
        task=make_task(**told(make_task, data.facts, "task")),
        selector=selector,
        loader=data.loader(sampler, seed=config.seed, device=device),
        optimizer=optimizer if twin is None else fit_to_shards(optimizer),
        schedule=instantiate(config.schedule),
        record=record,
        settings=Settings(
            epochs=selector.num_epochs,
            compile=compiled,
            **{key: config[key] for key in ENGINE_KEYS},
            **{key: config.run[key] for key in RUN_KEYS},
        ),
        exports=exports,
        traces=keep_traces(config, record, sampler, ranks, data),
        show=show,
    )
