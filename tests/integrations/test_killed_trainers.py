"""Trainers' runs killed by SIGKILL, in a step and in the writing of a checkpoint, and gone on with.

Each attempt is a process of its own, which dies by its own hand at a given step: what it leaves is
what any kill -9 at that moment would leave. Rows and losses of every step are appended to a file.
"""

import json
import multiprocessing
import os
import signal
from functools import partial

import pytest
import test_lightning
import test_transformers
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from transformers import TrainerCallback

children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["test_transformers", "test_lightning"])

EVERY = 3  # steps from one checkpoint to the next; epochs have six, or fewer where pruned
METHODS = {
    "es": ("es", {}),
    "eswp": ("eswp", {"annealing_start": 0.2, "annealing_end": 0.2}),
    "ka": ("ka", {}),
}


class Attempt:
    """One process of a run: what it writes down, and where it dies.

    Args:
        folder: of the run.
        dies: ("step" or "save", after so many steps of the run), or None.
    """

    def __init__(self, folder, dies):
        self.folder, self.dies = folder, dies
        self.goes_on = (folder / "log").exists()
        self.log = os.open(folder / "log", os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def write(self, **line):
        os.write(self.log, (json.dumps(line) + "\n").encode())  # outlives the process

    def at(self, place, step):
        if self.dies is not None and place == self.dies[0] and step >= self.dies[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    def follow(self, selector, step):
        """Write down what `selector` reduces; `step` answers the steps that are done."""
        reduce = selector.reduce

        def written(index, losses):
            self.write(step=step(), ids=index.tolist(), losses=losses.detach().tolist())
            self.at("step", step())
            return reduce(index, losses)

        selector.reduce = written

    def end(self, model, selector):
        weights = [parameter.detach() for parameter in model.parameters()]
        torch.save({"weights": weights, "tables": selector._tables}, self.folder / "end")


def transformers_run(method, folder, dies):
    name, hyper = METHODS[method]
    attempt = Attempt(folder, dies)

    class Dying(test_transformers.SelectingTrainer):
        def _save_optimizer_and_scheduler(self, output_dir):
            super()._save_optimizer_and_scheduler(output_dir)
            attempt.at("save", self.state.global_step)

    class Begins(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            attempt.write(goes_on_from=state.global_step)

    trainer = test_transformers.make(
        folder, name, cls=Dying, save_strategy="steps", save_steps=EVERY, **hyper
    )
    trainer.add_callback(Begins())
    attempt.follow(trainer.selector, lambda: trainer.state.global_step)
    trainer.train(resume_from_checkpoint=attempt.goes_on)
    attempt.end(trainer.model, trainer.selector)


def lightning_run(method, folder, dies):
    name, hyper = METHODS[method]
    attempt = Attempt(folder, dies)
    data = test_lightning.make(name, **hyper)

    class Checked(ModelCheckpoint):
        def on_train_start(self, trainer, pl_module):
            super().on_train_start(trainer, pl_module)
            attempt.write(goes_on_from=trainer.global_step)
            attempt.follow(data.selector, lambda: trainer.global_step)

    save = torch.save

    def dying(state, file):
        save(state, file)  # into memory, from where the file is written
        attempt.at("save", state["global_step"])

    torch.save = dying  # this process runs nothing else
    saver = Checked(folder, every_n_train_steps=EVERY, save_last=True)
    net, _, _ = test_lightning.fit(
        data, ckpt_path="last" if attempt.goes_on else None, callbacks=[saver]
    )
    torch.save = save
    attempt.end(net, data.selector)


RUNS = {"transformers": transformers_run, "lightning": lightning_run}


def steps_of(folder):
    """Rows and losses of each step, of the attempt that got past it; where the attempts began."""
    steps, began = {}, []
    for line in map(json.loads, (folder / "log").read_text().splitlines()):
        if "goes_on_from" in line:
            began.append(line["goes_on_from"])
            steps = {step: rows for step, rows in steps.items() if step < began[-1]}
        else:
            steps[line["step"]] = (
                line["ids"],
                line["losses"],
            )  # the last: a first one may be looking
    return steps, began


def run(work, folder, deaths):
    """Attempt a run until it ends; each but the last attempt dies."""
    folder.mkdir()
    for dies in [*deaths, None]:
        child = children.Process(target=partial(work, folder=folder, dies=dies))
        child.start()
        child.join()
        assert child.exitcode == (0 if dies is None else -signal.SIGKILL)
    return *steps_of(folder), torch.load(folder / "end", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("trainer", RUNS)
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, trainer, method):
    work = partial(RUNS[trainer], method)
    whole, _, last = run(work, tmp_path / "whole", [])
    deaths = [("step", 4), ("save", 9), ("step", 11), ("save", 15)]
    killed, began, found = run(work, tmp_path / "killed", deaths)

    assert began == [0, 3, 6, 9, 12]  # from the last checkpoint that was whole
    assert killed == whole  # ids and losses, step by step
    assert found["tables"].keys() == last["tables"].keys()
    for name, table in last["tables"].items():  # id by id
        torch.testing.assert_close(found["tables"][name], table, rtol=0, atol=0, equal_nan=True)
    assert all(map(torch.equal, found["weights"], last["weights"]))
