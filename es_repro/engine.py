"""The path of a batch, and the loop, evaluation and resume around it.

No method, task or data set has a branch here: they differ in what their objects answer.
"""

import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from es_repro.alignment import Alignment
from es_repro.compiling import Compiler
from es_repro.costs.account import epoch_line, run_summary
from es_repro.costs.clock import Clock
from es_repro.costs.counters import Cost, Interval, Picks
from es_repro.costs.memory import Memory
from es_repro.data import Loader
from es_repro.parallel.bystander import Bystander
from es_repro.parallel.exchange import Exchange
from es_repro.parallel.ranks import Ranks
from es_repro.passes import ForwardFlops, Statistics
from es_repro.process.generators import isolated_generators
from es_repro.record import Record
from es_repro.rehearsal import rehearse
from es_repro.rows import Batch, Inputs, length_order, micro_batches, take_rows
from es_repro.selection import EpochPlan, ProgressScheduler, Selector, require
from es_repro.settings import Settings
from es_repro.skipping import make_skipping
from es_repro.storage.export import NO_EXPORTS, Exports
from es_repro.storage.state import engine_state, load_engine_state
from es_repro.tasks import Output, Task
from es_repro.traces import NO_TRACES, Traces

__all__ = ["Engine", "Stopped"]


class Stopped(BaseException):
    """The run was asked to stop; its checkpoint is written. Not an `Exception`: nobody retries."""


class Engine:
    """Trains one model under one selector and writes its record.

    Args:
        fabric: device, precision and data parallelism.
        model: as built, sharded or not; the engine sets it up.
        task: turns batches into per-sample losses.
        selector: the method.
        loader: batches of the planned samples.
        optimizer: over the model's parameters.
        schedule: progress in [0, 1] -> factor of the learning rate.
        record: where it is written.
        settings: the rest.
        exports: keeps the model of some steps for others to use.
        traces: keeps what each epoch picked, and the losses it saw.
        twin: the outline of a sharded model, to count FLOPs on.
        show: called with (share done, one-line state) now and then, for a progress bar.

    Raises:
        ValueError: the selector wants signals that the task cannot offer, or `nonfinite: skip`
            with an optimizer that cannot skip a step on the device.
    """

    def __init__(
        self,
        *,
        fabric: Fabric,
        model: nn.Module,
        task: Task,
        selector: Selector,
        loader: Loader,
        optimizer: Optimizer,
        schedule: Callable[[float], float],
        record: Record | Bystander,
        settings: Settings,
        exports: Exports = NO_EXPORTS,
        traces: Traces = NO_TRACES,
        twin: nn.Module | None = None,
        show: Callable[[float, str], None] | None = None,
    ) -> None:
        missing = selector.signals - task.signals
        allowed = f"one that needs no {' and no '.join(sorted(missing))}: this task has none"
        require(not missing, "method", selector.method_name(), allowed)
        self.skips = selector.nonfinite == "skip"
        if self.skips:
            make_skipping(optimizer, sharded=twin is not None)
        self.fabric, self.task, self.selector, self.loader = fabric, task, selector, loader
        self.ranks = Ranks(fabric)
        self.exchange = Exchange(self.ranks, selector, settings.table_sync)
        self.record, self.settings, self.show = record, settings, show
        self.exports, self.traces = exports, traces
        self.net, self.inner_optimizer = model, optimizer
        self.compiler = Compiler(settings.compile, settings.compile_mode)
        self.scorer = self.compiler.wrap(model)
        self.model = fabric.setup_module(self.compiler.wrap(model))
        self.optimizer = cast(_FabricOptimizer, fabric.setup_optimizers(optimizer))
        self.model.train()
        self.scheduler = ProgressScheduler(optimizer, schedule)
        self.statistics = Statistics(model, settings.score_mode, settings.bn_update)
        self.statistics.warn_of_pieces(settings.score_micro_batch)
        self.clock, self.cost, self.warm_up_seconds = Clock(device := fabric.device), Cost(), 0.0
        self.memory = Memory(device, activations=not settings.compile and twin is None)
        self.flops = ForwardFlops(task, twin or model)
        self.picks = Picks(loader, self.ranks)
        self.interval = Interval(settings.log_every, device)
        self.nonfinite = torch.zeros((), device=device)
        self.epoch = self.position = 0
        self.better = max if task.larger_is_better else min
        self.best = float("-inf" if task.larger_is_better else "inf")
        self.alignment, self.stop = Alignment(loader), False
        self.saved_at, self.latest = time.monotonic(), dict[str, float]()

    # ---------------------------------------------------------------- the path of a batch

    def train_epoch(self) -> None:
        """One epoch of any method, from its plan to its last step."""
        self.loader.set_epoch(self.epoch)
        if self.finished:  # saved after its last step: only its end is left
            return
        selecting, plan = self.selector.selects_batches, self.loader.plan
        self.ranks.require_same(plan, self.epoch)
        batches = self.loader.batches(start=self.position)
        for batch in self.clock.timed("data", batches):
            if self.alignment.left:
                with self.clock.paused():
                    self.alignment.check(batch, self.step)
            self.train_step(batch, selecting=selecting, lr_scale=plan.lr_scale)
            self.after_step()
            if self.finished:
                return
        self.refresh(plan)

    def train_step(self, batch: Batch, *, selecting: bool, lr_scale: float) -> None:
        """One meta-batch [B], from its scoring pass to the step; nothing here waits for the device.

        Where the selector selects, it sees the losses of the scoring pass and picks b rows; else,
        or where it picks without losses, it observes those of the training pass over its rows.
        """
        index, inputs, targets = batch
        scored, seen = 0, None
        if selecting and self.selector.needs_losses:
            with self.clock.phase("scoring"):
                scored, seen = len(index), self.score(inputs, targets)
        if selecting:
            with self.clock.phase("selection"):
                picked = self.pick(index, seen)
                index, targets = index[picked], targets[picked]
                inputs = take_rows(inputs, picked)
        with self.clock.phase("training"):
            self.scheduler.step(self.progress, lr_scale)
            objective, trained = self.train_batch(index, inputs, targets, scored > 0)
            if seen is None:
                seen = trained
                self.selector.observe(index, seen.scores, **seen.signals)
                self.tell(index, seen)
            self.update()
            self.exchange.receive()
        self.count(index, scored, objective, seen)

    def pick(self, index: Tensor, seen: Output | None) -> Tensor:
        """The selector's positions [b] in the meta-batch [B]; `seen`: of a scoring pass, if any."""
        if seen is None:
            return self.selector.select(index, None)
        picked = self.selector.select(index, seen.scores, **seen.signals)
        self.tell(index, seen)
        return picked

    def tell(self, index: Tensor, seen: Output) -> None:
        """Let the other ranks and the trace know what was seen of a batch [m]."""
        self.exchange.send(index, seen)
        self.traces.see(index, seen.scores)

    def score(self, inputs: Inputs, targets: Tensor) -> Output:
        """The scoring pass: losses and signals of a meta-batch [B], nothing else changed."""
        # The bare module: a data-parallel wrapper's forward would arm the gradient reducer; sharded
        # parameters are gathered by the module itself. An autocast context of its own: cached
        # low-precision weights would have no gradient later.
        pieces = []
        if self.settings.score_mode == "eval":
            self.ranks.share_buffers(self.net)
        with (
            torch.no_grad(),
            self.fabric.autocast(),
            self.statistics.scoring(),
            isolated_generators(self.fabric.device),
        ):
            size = self.settings.score_micro_batch
            order = length_order(inputs, size, enabled=self.settings.group_by_length)
            for _, rows, labels in micro_batches(targets, inputs, targets, size, order):
                with self.compiler.at(len(labels)):
                    pieces.append(self.task(self.scorer, rows, labels, self.selector.signals))
                self.cost.flops += self.flops(rows, labels)
                self.cost.scoring_passes += 1
        return Output.join(pieces, order)

    def train_batch(
        self, index: Tensor, inputs: Inputs, targets: Tensor, selected: bool
    ) -> tuple[Tensor, Output]:
        """Forward and backward over [b] rows, in micro-batches whose gradients add up to one's."""
        wanted = frozenset[str]() if selected else self.selector.signals
        pieces, objective = [], torch.zeros((), device=index.device)
        with self.statistics.training(selected=selected):
            size, left = self.settings.micro_batch_size, len(index)
            order = length_order(inputs, size, enabled=self.settings.group_by_length)
            for ids, rows, labels in micro_batches(index, inputs, targets, size, order):
                left -= len(ids)
                with self.compiler.at(len(ids)), self.ranks.no_sync(self.model, skip=left > 0):
                    output = self.task(self.model, rows, labels, wanted)
                    loss = self.selector.reduce(ids, output.losses) * (len(ids) / len(index))
                    self.fabric.backward(loss)
                objective = objective + loss.detach()
                pieces.append(Output(output.losses.detach(), output.scores, output.signals))
                self.cost.flops += 3 * self.flops(rows, labels)
                self.cost.backward_passes += 1
        if self.skips:
            self.nonfinite = self.ranks.most(1 - torch.isfinite(objective).float())
        return objective, Output.join(pieces, order)

    def update(self) -> None:
        """Step the optimizer; a fused one leaves everything as it was where `found_inf` is set."""
        if self.settings.clip_norm is not None:
            self.fabric.clip_gradients(
                self.model, self.optimizer,
                max_norm=self.settings.clip_norm, error_if_nonfinite=False,
            )  # fmt: skip
        if self.skips:
            self.inner_optimizer.found_inf = self.nonfinite  # type: ignore[attr-defined]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def refresh(self, plan: EpochPlan) -> None:
        """Re-score the samples that the plan hid, without gradient (KAKURENBO)."""
        if plan.refresh is None:
            return
        mine = self.ranks.share_ids(plan.refresh)
        batches = self.loader.visit(mine, self.loader.sampler.rank_batch_size)
        seen = []
        for _, inputs, targets in self.clock.timed("data", batches):
            with self.clock.phase("scoring"):
                seen.append(self.score(inputs, targets))
        with self.clock.phase("scoring"):
            scores, signals = self.exchange.everyones(plan.refresh, Output.join(seen))
            hidden = plan.refresh.to(scores.device, non_blocking=True)
            self.selector.observe(hidden, scores, **signals)
            self.traces.see(hidden, scores)
        self.cost.forward_samples += len(mine)

    # ---------------------------------------------------------------- around it

    @property
    def progress(self) -> float:
        """Share of the run that is done, in [0, 1): true for epochs of any length."""
        if self.settings.schedule_steps is not None:
            return self.step / self.settings.schedule_steps
        return (self.epoch + self.position / max(1, len(self.loader))) / self.settings.epochs

    @property
    def step(self) -> int:
        """Optimizer steps so far."""
        return self.cost.optimizer_steps

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end, in epochs or in steps."""
        most = self.settings.max_steps
        return self.epoch >= self.settings.epochs or (most is not None and self.step >= most)

    @property
    def due(self) -> bool:
        """Whether it is time for another checkpoint."""
        return time.monotonic() - self.saved_at > self.settings.checkpoint_every_seconds

    def fit(self) -> dict[str, Any]:
        """Train from wherever the run stands to its end; answers the summary."""
        if not self.finished:
            self.warm_up()
        while not self.finished or self.position:
            self.memory.start_epoch()
            with self.clock.running():
                self.train_epoch()
            self.memory.end_epoch(selecting=self.selector.selects_batches)
            self.end_epoch()
        return run_summary(self)

    def warm_up(self) -> None:
        """Take each kind of pass once, before any clock runs; only compiled code is kept of it."""
        self.warm_up_seconds = rehearse(self)

    def count(self, index: Tensor, scored: int, objective: Tensor, seen: Output) -> None:
        """Add one step to the counters; device tensors stay on the device."""
        self.interval.add(objective, seen.scores.mean())
        self.picks.add(index)
        self.cost.optimizer_steps += 1
        self.cost.selecting_steps += int(scored > 0)
        self.cost.bp_samples += len(index)
        self.cost.forward_samples += scored + len(index)
        self.position += 1

    def after_step(self) -> None:
        """Look at the device at the log interval; save when it is time, or asked to stop."""
        every = self.settings.checkpoint_every_steps
        if self.step % self.settings.log_every == 0:
            self.report_steps()
        stop, due = self.ranks.agree(self.stop, self.due)
        due |= self.step in self.exports.steps
        if stop or due or (every is not None and self.step % every == 0):
            with self.clock.paused():
                self.save()
        if stop:
            raise Stopped(f"stopped at step {self.step}; the same command goes on from there")

    def report_steps(self) -> None:
        """Read the interval's numbers, once, and stop where a loss was not finite."""
        self.exchange.settle()
        if self.interval.length == 0:
            self.selector.check()  # losses of a refresh follow the last step's
            return
        objectives, losses = self.interval.read(self.ranks)
        bad = ~np.isfinite(objectives + losses)
        step = self.step - len(bad) + int(bad.argmax())  # the first bad one, else the first
        try:
            self.selector.check()
        except FloatingPointError as error:
            raise FloatingPointError(f"step {step}: {error}") from error
        if bad.any() and not self.skips:  # the selector saw the scoring pass alone
            raise FloatingPointError(f"step {step}: the training loss is not finite")
        kept = ~bad | bad.all()  # of the steps that were taken, where there are any
        mean, cost = float(objectives[kept].mean()), self.cost.over(self.ranks)
        rate = self.inner_optimizer.param_groups[0]["lr"]
        self.record.log(
            "step",
            step=self.step,
            epoch=self.epoch,
            **{"train/objective": mean, "train/meta_loss": float(losses[kept].mean())},
            **{"train/learning_rate": rate, "cost/bp_samples": cost.bp_samples},
        )
        state = f"epoch {self.epoch + 1}/{self.settings.epochs}, loss {mean:.3f}"
        self.record.lease.report(share=self.progress, state=state)
        if self.show is not None:
            self.show(self.progress, state)

    def end_epoch(self) -> None:
        """Evaluate when it is time, write the epoch's line, save when it is time."""
        self.report_steps()
        self.traces.end_epoch(self.epoch, self.loader.plan, self.picks)
        self.epoch, self.position = self.epoch + 1, 0
        last = self.finished
        if last or self.epoch % self.settings.eval_every == 0:
            self.latest = self.evaluate()
            self.best = self.better(self.best, self.latest[self.task.headline])
        self.record.log("epoch", step=self.step, epoch=self.epoch, **epoch_line(self))
        if any(self.ranks.agree_now(last, self.due)):
            self.save()

    def evaluate(self) -> dict[str, float]:
        """The task's metrics over the evaluation split, in eval mode; the ranks share it."""
        metrics = self.task.metrics().to(self.fabric.device)
        self.ranks.share_buffers(self.net)
        self.model.eval()
        size = self.loader.sampler.rank_batch_size
        mine = dict(self.ranks.share(range(-(-self.loader.num_evaluated // size))))
        batches = self.loader.evaluation(size, mine)
        with self.clock.phase("evaluation"), self.fabric.autocast():
            for (inputs, targets), (number, own) in zip(batches, mine.items(), strict=True):
                fed = metrics if own else metrics.clone()
                self.task.evaluate(self.net, inputs, targets, fed, number * size)
            found = {name: float(value) for name, value in metrics.compute().items()}
        self.clock.settle()
        self.model.train()
        return found

    def metrics(self) -> dict[str, float]:
        """The latest evaluation, by the record's names: `test/accuracy`."""
        return {f"{self.loader.split}/{name}": value for name, value in self.latest.items()}

    # ---------------------------------------------------------------- checkpoint and resume

    def save(self) -> None:
        """Write a checkpoint from which the run goes on bit for bit; never of a broken state."""
        self.report_steps()
        self.exports.write(self.step)
        self.record.checkpoints.save(self.state_dict(), self.step)
        self.saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on; called by all ranks."""
        return engine_state(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, of this number of ranks or another."""
        load_engine_state(self, state)
