"""Several ranks of a run on this machine, as children that import nothing again."""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from es_repro.config import plain
from es_repro.engine import Engine
from es_repro.train import train

children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["es_repro.train"])


def launch(work: Callable, folder: Path, *arguments, world_size: int = 2) -> list[dict | str]:
    """Call `work(*arguments)` on every rank; what each answered, or how it failed, by rank."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(world_size):
        (folder / f"{rank}.pt").unlink(missing_ok=True)
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size}
        place |= {"LOCAL_WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        given = place, folder / f"{rank}.pt", work, arguments
        child = children.Process(target=_child, args=given)
        child.start()
        started.append(child)
    for child in started:
        child.join(timeout=60)
        assert child.exitcode is not None, "a rank hangs"
    paths = [folder / f"{rank}.pt" for rank in range(world_size)]
    return [torch.load(path, weights_only=True) if path.exists() else "killed" for path in paths]


def _child(place: dict[str, object], answer: Path, work: Callable, arguments: tuple) -> None:
    torch.set_num_threads(1)
    os.environ |= {name: str(value) for name, value in place.items()}
    try:
        found = work(*arguments)
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        traceback.print_exc()
        found = f"{type(error).__name__}: {error}"
    torch.save(found, answer)
    os._exit(0)


def handed_over(config: DictConfig) -> DictConfig:
    """A config that pickles: resolved, and without Hydra's part."""
    return OmegaConf.create(plain(config))


def traced(config: DictConfig, kill: tuple[int, int] | None = None) -> dict:
    """Train, and answer what was planned and trained, and what came of it.

    Args:
        config: of the run.
        kill: (rank, step) after which that rank kills itself.
    """
    plans, steps, engines = [], [], []
    train_epoch, count, after_step = Engine.train_epoch, Engine.count, Engine.after_step

    def spied_epoch(self):
        engines[:] = [self]
        self.loader.set_epoch(self.epoch)
        plan = self.loader.plan
        refresh = [] if plan.refresh is None else plan.refresh.tolist()
        plans.append({"indices": plan.indices.tolist(), "refresh": refresh, "lr": plan.lr_scale})
        train_epoch(self)

    def spied_count(self, index, *rest):
        steps.append(index.tolist())
        count(self, index, *rest)

    def killed(self):
        after_step(self)
        if kill == (self.ranks.rank, self.step):
            os.kill(os.getpid(), 9)

    Engine.train_epoch, Engine.count, Engine.after_step = spied_epoch, spied_count, killed
    try:
        summary = train(config)
    finally:
        Engine.train_epoch, Engine.count, Engine.after_step = train_epoch, count, after_step
    found = {"plans": plans, "steps": steps, "summary": summary}
    if engines:
        (engine,) = engines
        state = engine.state_dict()
        found |= {"tables": engine.selector._tables, "state": state, "model": state["model"]}
    return found
