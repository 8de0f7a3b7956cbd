"""Advice on a run of ours: the engine's own passes and data, and the recipe's own methods."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from es_repro.advise.advice import Advice
from es_repro.advise.advising import RATIOS, advise_loop
from es_repro.advise.loop import Loop
from es_repro.bench.rigs import bare_engine, known_methods
from es_repro.build import load_data, run_epochs
from es_repro.compiling import resolve_compile
from es_repro.config import config_folder, register_resolvers
from es_repro.data import Data
from es_repro.engine import Engine
from es_repro.process.machine import resolve_device, resolve_precision
from es_repro.rows import Batch, take_rows
from es_repro.selection import count

__all__ = [
    "FullBatches", "advise_config", "advise_methods", "loop_of_engine", "settled", "tried_methods",
]  # fmt: skip

BASELINE = "baseline"

Methods = Sequence[tuple[str, dict[str, Any]]]


def settled(overrides: Sequence[str]) -> tuple[DictConfig, torch.device]:
    """The config that overrides of `es_repro.train` compose, with what depends on the machine."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("config", ["row=advice", *overrides])  # no job of Hydra names one
    device = resolve_device(config.run.device)
    config.precision = resolve_precision(config.precision, device)
    config.compile = resolve_compile(config.compile, device)
    if config.run.threads is not None:
        torch.set_num_threads(config.run.threads)
    return config, device


def tried_methods(overrides: Sequence[str], ratios: Sequence[float]) -> Methods:
    """Names and hyper-parameters of the recipe's methods, at its own b/B and at others.

    Args:
        overrides: as of `es_repro.train`; a `method=` among them is then the only one.
        ratios: b/B.
    """
    if any(word.startswith("method=") for word in overrides):
        commands = [list(overrides)]
    else:
        names = [name for name in known_methods() if name != BASELINE]
        commands = [[*overrides, f"method={name}"] for name in names]
    found: list[tuple[str, dict[str, Any]]] = []
    for command in commands:
        config, _ = settled(command)
        settings = OmegaConf.to_container(config.method, resolve=True)
        assert isinstance(settings, dict)
        own = {str(key): value for key, value in settings.items() if not str(key).startswith("_")}
        name = own.pop("name")
        if "batch_ratio" in own:
            every = sorted({*ratios, own["batch_ratio"]}, reverse=True)
            found += [(name, own | {"batch_ratio": ratio}) for ratio in every]
        elif name != BASELINE:
            found.append((name, own))
    return [row for number, row in enumerate(found) if row not in found[:number]]


def advise_config(
    overrides: Sequence[str],
    *,
    ratios: Sequence[float] = RATIOS,
    rounds: int = 30,
    show: Callable[[float, str], None] = lambda *_: None,
) -> Advice:
    """Advise on the run that a command of `es_repro.train` would start; nothing is recorded.

    Args:
        overrides: that command's; a `method=` among them is then the only one that is tried.
        ratios: b/B tried beside the recipe's own.
        rounds: that are timed.
        show: called with the share done and what is being timed.
    """
    plain = [word for word in overrides if not word.startswith(("method=", "method."))]
    config, device = settled([*plain, f"method={BASELINE}"])
    methods = tried_methods(overrides, ratios)
    return advise_methods(
        config, device, load_data(config), methods, ratios=ratios, rounds=rounds, show=show
    )


def advise_methods(
    config: DictConfig,
    device: torch.device,
    data: Data,
    methods: Methods,
    *,
    ratios: Sequence[float] = RATIOS,
    rounds: int = 30,
    show: Callable[[float, str], None] = lambda *_: None,
) -> Advice:
    """The same for a config at hand.

    Args:
        config: of the run without selection, as `settled` answers it.
        device: where it runs.
        data: what it trains on.
        methods: names and hyper-parameters, each tried as it is.
        ratios: b/B tried beside theirs.
        rounds: that are timed.
        show: called with the share done and what is being timed.
    """
    engine = bare_engine(config, data, device)
    engine.warm_up()  # plans the epoch
    rows = engine.loader.sampler.rank_batch_size
    wanted = {*ratios, *(own["batch_ratio"] for _, own in methods if "batch_ratio" in own)}
    pieces = engine.settings.score_micro_batch, engine.settings.micro_batch_size
    engine.compiler.fix_sizes([rows, *pieces, *(count(ratio, rows) for ratio in wanted)])
    return advise_loop(
        loop_of_engine(engine),
        FullBatches(engine, rounds, getattr(data, "num_workers", 0)),
        num_epochs=run_epochs(config),
        methods=methods,
        ratios=ratios,
        num_samples=data.num_samples,
        rounds=rounds,
        show=show,
    )


def loop_of_engine(engine: Engine) -> Loop:
    """The engine's training and scoring passes, with its accumulation, precision and statistics."""

    def train(batch: Batch) -> None:
        engine.train_batch(*batch, selected=False)
        engine.update()

    def score(batch: Batch) -> Tensor:
        _, inputs, targets = batch
        return engine.score(inputs, targets).scores

    def take(batch: Batch, rows: Tensor) -> Batch:
        index, inputs, targets = batch
        return index[rows], take_rows(inputs, rows), targets[rows]

    return Loop(train, score, take)


class FullBatches:
    """Whole meta-batches of a planned epoch, over and over until there are enough for the rounds.

    Args:
        engine: whose loader delivers them.
        least: batches of one iteration.
        num_workers: processes that decode them.
    """

    def __init__(self, engine: Engine, least: int, num_workers: int) -> None:
        self._engine, self._least, self.num_workers = engine, least, num_workers

    def __iter__(self) -> Iterator[Batch]:
        loader, found = self._engine.loader, 0
        rows = min(loader.sampler.batch_size, loader.num_samples)
        while found <= self._least:  # one more, for the last is left out
            for batch in loader.batches():
                if len(batch[0]) == rows:
                    found += 1
                    yield batch
