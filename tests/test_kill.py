"""A run killed at any moment and started again by the same command ends bit for bit the same."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from es_repro.config import plain
from es_repro.engine import Engine, Stopped
from es_repro.train import train

# Small steps and a checkpoint after each second one: kills fall before, in and after writes.
OVERRIDES = ("epochs=25", "meta_batch_size=20", "run.checkpoint_every_steps=2", "run.log_every=3")


# Children fork from a server that has imported all and run nothing: a fork of this process would
# break on the autograd threads that other tests have left in it.
children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["es_repro.train"])


def final_state(runs: Path) -> dict:
    (done,) = runs.glob("*/done")
    (last,) = done.parent.glob("checkpoints/*.pt")
    return torch.load(last, weights_only=True)


def same(one, two) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))
    return one == two


def start(config: DictConfig, kill_at: int | None = None) -> ForkServerProcess:
    """Train in a child, which imports nothing again; `kill_at`: the step after which it dies."""
    child = children.Process(target=run_child, args=(OmegaConf.create(plain(config)), kill_at))
    child.start()
    return child


def run_child(config: DictConfig, kill_at: int | None) -> None:
    after_step = Engine.after_step

    def killed(self):
        after_step(self)
        if self.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    Engine.after_step = killed  # this process runs nothing else
    train(config)


def newest_step(root: Path) -> int:
    names = [x.stem for x in root.glob("*/checkpoints/step-*.pt")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def kill_and_restart(make, root: Path, kills: int, chance: random.Random) -> int:
    """Kill runs of one command until `kills` have hit, then let it end; answers the hits.

    Each kill comes a random while after a random step: in a step, a write, or between.
    """
    hits = 0
    while True:
        target = newest_step(root) + chance.randint(0, 8)
        child = start(make(f"run.root={root}"))
        if hits < kills:
            while newest_step(root) < target and child.is_alive():
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.02))
            child.kill()
        child.join()
        if child.exitcode != -signal.SIGKILL:
            assert child.exitcode == 0
            return hits
        hits += 1


def compare(quick, tmp_path, method, kills, seed):
    def make(*more):
        return quick(f"method={method}", *OVERRIDES, *more)

    train(make(f"run.root={tmp_path / 'whole'}"))
    root = tmp_path / "killed"
    hits = kill_and_restart(make, root, kills, random.Random(seed))

    whole, killed = final_state(tmp_path / "whole"), final_state(root)
    measured = {"clock", "memory"}  # seconds and bytes are all that may differ
    for key in whole.keys() - measured:
        assert same(whole[key], killed[key]), key
    return hits


@pytest.mark.slow
def test_a_few_kills(quick, tmp_path):
    assert compare(quick, tmp_path, "eswp", kills=4, seed=0) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "method"),
    list(enumerate(["baseline", "infobatch", "ka", "ucb", "es", "eswp", "random_set"])),
)
def test_many_kills(quick, tmp_path, method, seed):
    hits = compare(quick, tmp_path, method, kills=6, seed=seed)
    assert hits >= 3  # 7 methods: at least 21 kill points in all


@pytest.mark.slow
def test_history_after_a_kill_reads_as_one(quick, tmp_path):
    root = tmp_path / "runs"

    def make(*more):
        return quick("method=es", *OVERRIDES, *more)

    kill_and_restart(make, root, kills=2, chance=random.Random(1))

    (history,) = root.glob("*/history.jsonl")
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    epochs = {line["epoch"]: line for line in lines if line["kind"] == "epoch"}
    assert sorted(epochs) == list(range(1, 26))
    summary = json.loads((history.parent / "summary.json").read_text())
    assert epochs[25]["test/accuracy"] == summary["test/accuracy"]


def test_sigterm_saves_and_stops_and_the_same_command_goes_on(quick, tmp_path, monkeypatch):
    whole = train(quick("method=es", *OVERRIDES, f"run.root={tmp_path / 'whole'}"))
    after_step = Engine.after_step

    def terminated(self):
        if self.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        after_step(self)

    config = quick("method=es", *OVERRIDES, "run.checkpoint_every_steps=null")
    monkeypatch.setattr(Engine, "after_step", terminated)
    with pytest.raises(Stopped, match="stopped at step 7"):
        train(config)
    monkeypatch.setattr(Engine, "after_step", after_step)

    (checkpoint,) = (tmp_path / "runs").glob("*/checkpoints/*.pt")
    assert checkpoint.name == "step-000000007.pt"
    assert not list((tmp_path / "runs").glob("*/lease.json"))
    summary = train(config)
    assert summary["test/loss"] == whole["test/loss"]
    assert summary["resumed"] == 1


def test_a_damaged_newest_checkpoint_costs_a_step_back_not_the_run(quick, tmp_path):
    whole = train(quick("method=es", *OVERRIDES, f"run.root={tmp_path / 'whole'}"))
    config = quick("method=es", *OVERRIDES)
    child = start(config, kill_at=21)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    older, newest = sorted((tmp_path / "runs").glob("*/checkpoints/step-*.pt"))
    assert (older.name, newest.name) == ("step-000000018.pt", "step-000000020.pt")
    newest.write_bytes(newest.read_bytes()[:100])

    assert train(config)["test/loss"] == whole["test/loss"]
