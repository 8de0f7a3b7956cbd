"""The bed: whole runs of many members at once, the engine's path of a batch over a stack of models.

A member is a seed with a learning rate of its own. Each has a selector of its own, held to the
unchanged contract, and a plan, an order and a model as the engine would give it; only the passes
over the models are batched. Members whose batches differ in size share a padded batch in which the
padding weighs nothing; those that are through with their epoch wait, untouched.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from es_repro.judge.perceptrons import Perceptrons, Stepper
from es_repro.judge.problem import SplitName
from es_repro.judge.seam import check_objective, check_picks, check_plan, check_signals
from es_repro.judge.workloads import Workload
from es_repro.models import mlp
from es_repro.selection import PlannedBatchSampler, Selector
from es_repro.tasks.classification import class_signals

__all__ = ["ARRAYS", "Bed", "Member", "Outcome", "SelectorMaker"]

ARRAYS = ("scores", "scored", "trained", "steps")  # of an outcome, each [S, ...]

SelectorMaker = Callable[..., Selector]  # (num_samples, num_epochs, *, device, seed)


@dataclass(frozen=True)
class Member:
    """One run of the bed: its seed and its peak learning rate."""

    seed: int
    rate: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What S whole runs came to.

    Attributes:
        scores: [S, examples] float32: the workload's measure on each held-out example.
        scored: [S] rows forwarded without gradient, as multiples of n.
        trained: [S] rows back-propagated, as multiples of n.
        steps: [S] optimizer steps.
        selection_seconds, seconds: in the selectors' calls, and altogether, over all members.
    """

    scores: np.ndarray
    scored: np.ndarray
    trained: np.ndarray
    steps: np.ndarray
    selection_seconds: float
    seconds: float

    @property
    def epochs_of_flops(self) -> np.ndarray:
        """[S] FLOPs of each run in epochs of the baseline: a backward is two forwards."""
        return self.scored / 3 + self.trained

    def part(self, start: int, stop: int) -> "Outcome":
        """The outcome of some members; seconds stay those of all."""
        arrays = {name: getattr(self, name)[start:stop] for name in ARRAYS}
        return Outcome(**arrays, selection_seconds=self.selection_seconds, seconds=self.seconds)

    @staticmethod
    def join(parts: Sequence["Outcome"]) -> "Outcome":
        """The outcome of all members of some beds, in their order."""
        joined = {name: np.concatenate([getattr(x, name) for x in parts]) for name in ARRAYS}
        return Outcome(
            **joined,
            selection_seconds=sum(part.selection_seconds for part in parts),
            seconds=sum(part.seconds for part in parts),
        )


class Bed:
    """S runs of one selection method on one workload, side by side.

    Args:
        workload: what is trained, on what, for how long by the baseline's count.
        make: builds one member's selector.
        members: their seeds and rates.
        epochs: E of these runs; None: the workload's.
        split: hold out the test split, or a validation cut of the training one.
        device: where models and data lie.

    Raises:
        ContractBroken: a selector answered what its contract does not allow.
    """

    def __init__(
        self,
        workload: Workload,
        make: SelectorMaker,
        members: Sequence[Member],
        *,
        epochs: int | None = None,
        split: SplitName = "test",
        device: torch.device | str = "cpu",
    ) -> None:
        started = time.perf_counter()
        self.workload, self.members, self.device = workload, members, torch.device(device)
        self.epochs = epochs or workload.epochs
        self.problem = workload.problem(split).to(self.device)
        self.n = len(self.problem.targets)
        self.selectors = [
            make(num_samples=self.n, num_epochs=self.epochs, device=str(device), seed=x.seed)
            for x in members
        ]
        self.samplers = [
            PlannedBatchSampler(selector, workload.meta_batch_size, seed=member.seed)
            for selector, member in zip(self.selectors, members, strict=True)
        ]
        self.signals = frozenset[str]().union(*(selector.signals for selector in self.selectors))
        check_signals(self.signals)
        self.models = Perceptrons([self._model(x.seed) for x in members], self.device)
        self.stepper = Stepper(self.models.parameters, workload.momentum, workload.weight_decay)
        self.alive = np.ones(len(members), bool)  # False once a member's loss is not finite
        self.scored = np.zeros(len(members), np.int64)
        self.trained, self.steps = np.zeros_like(self.scored), np.zeros_like(self.scored)
        self.selection_seconds, self.seconds = 0.0, time.perf_counter() - started

    def run(self) -> Outcome:
        """Train all members to their ends and evaluate them."""
        started = time.perf_counter()
        for epoch in range(self.epochs):
            self.train_epoch(epoch)
        scores = self.problem.measure(self.models)
        scores[~self.alive] = self.problem.worst
        self.seconds += time.perf_counter() - started
        return Outcome(
            scores, self.scored / self.n, self.trained / self.n, self.steps,
            self.selection_seconds, self.seconds,
        )  # fmt: skip

    def train_epoch(self, epoch: int) -> None:
        """One epoch of every member, from its plan to its last step."""
        with _Stopwatch(self):
            for sampler in self.samplers:
                sampler.set_epoch(epoch)
        plans = [sampler.plan for sampler in self.samplers if sampler.plan is not None]
        for place, plan in enumerate(plans):
            check_plan(plan, self.n, epoch, self.members[place].seed)
        selecting = [selector.selects_batches for selector in self.selectors]
        order = _padded([sampler.indices for sampler in self.samplers]).to(self.device)
        planned = np.array([len(sampler.indices) for sampler in self.samplers])
        sizes = np.array([sampler.batch_size for sampler in self.samplers])
        lengths = np.array([len(sampler) for sampler in self.samplers])
        for step in range(lengths.max()):
            counts = np.where(self.alive, (planned - step * sizes).clip(0, sizes), 0)
            if not counts.any():
                break
            starts = torch.from_numpy(np.minimum(step * sizes, planned - 1)).to(self.device)
            places = starts[:, None] + torch.arange(counts.max(), device=self.device)
            index = order.gather(1, places.clamp_(max=order.shape[1] - 1))
            rates = [
                self._rate(place, epoch + step / lengths[place], plans[place].lr_scale)
                for place in range(len(counts))
            ]
            self.train_step(index, counts, selecting, torch.tensor(rates, device=self.device))
        self.refresh([plan.refresh for plan in plans])
        for place, selector in enumerate(self.selectors):
            if self.alive[place]:
                selector.check()

    def train_step(
        self, index: Tensor, counts: np.ndarray, selecting: Sequence[bool], rates: Tensor
    ) -> None:
        """One meta-batch of every member.

        Args:
            index: [S, m] int64, where row s holds `counts[s]` sample ids and then anything.
            counts: [S], 0 for members that wait.
            selecting: [S], which of them score and pick.
            rates: [S] learning rates.
        """
        picking = [place for place, count in enumerate(counts) if count and selecting[place]]
        if picking:
            index, counts = self.pick(index, counts, picking)
            if not counts.any():  # whoever was left has diverged
                return
        losses, logits, targets = self.losses(index)
        self._retire(losses, counts)
        going = counts.nonzero()[0].tolist()
        if not going:
            return
        with _Stopwatch(self):
            weights = self.reduce(index, losses.detach(), counts, going)
        gradients = torch.autograd.grad(losses, self.models.parameters, weights)
        watching = [place for place in going if not selecting[place]]
        if watching:
            self.observe(index, losses.detach(), logits.detach(), targets, counts, watching)
        steps = None if len(going) == len(counts) else torch.zeros(len(counts), dtype=torch.bool)
        if steps is not None:
            steps[going] = True
            steps = steps.to(self.device)[:, None, None]
        self.stepper.step(gradients, rates.float()[:, None, None], steps)
        self.trained[going] += counts[going]
        self.steps[going] += 1

    def pick(
        self, index: Tensor, counts: np.ndarray, picking: Sequence[int]
    ) -> tuple[Tensor, np.ndarray]:
        """Score the meta-batches and let the selectors of `picking` cut theirs down."""
        with torch.no_grad():
            losses, logits, targets = self.losses(index)
        self._retire(losses, counts)
        signals = self._signals(logits, targets)
        positions, counts = {}, counts.copy()
        with _Stopwatch(self):
            rows = _rows(counts, index, losses, *signals.values())
            for place in (place for place in picking if self.alive[place]):
                ids, seen, *more = rows[place]
                told = dict(zip(signals, more, strict=True))
                positions[place] = self.selectors[place].select(ids, seen, **told)
        for place, picked in positions.items():
            self.scored[place] += counts[place]
            check_picks(picked, int(counts[place]), self.members[place].seed)
            counts[place] = len(picked)
        counts[~self.alive] = 0
        everyone = torch.arange(index.shape[1], device=self.device)
        chosen = _padded([positions.get(place, everyone[:count]) for place, count in
                          enumerate(counts)])  # fmt: skip
        return index.gather(1, chosen), counts

    def reduce(
        self, index: Tensor, losses: Tensor, counts: np.ndarray, going: Sequence[int]
    ) -> Tensor:
        """[S, m]: what each row's loss weighs in its member's objective, by that member's `reduce`.

        The objective of each is differentiated by its losses alone: padding gets no weight.
        """
        leaf = losses.clone().requires_grad_()
        rows = _rows(counts, index, leaf)
        objectives = [self.selectors[place].reduce(*rows[place]) for place in going]
        for place, objective in zip(going, objectives, strict=True):
            check_objective(objective, self.members[place].seed)
        (weights,) = torch.autograd.grad(torch.stack(objectives).sum(), leaf)
        return weights

    def observe(
        self, index: Tensor, losses: Tensor, logits: Tensor, targets: Tensor,
        counts: np.ndarray, watching: Sequence[int],
    ) -> None:  # fmt: skip
        """Feed the tables of members that picked nothing, from the training pass."""
        signals = self._signals(logits, targets)
        with _Stopwatch(self):
            rows = _rows(counts, index, losses, *signals.values())
            for place in watching:
                ids, seen, *more = rows[place]
                told = dict(zip(signals, more, strict=True))
                self.selectors[place].observe(ids, seen, **told)

    def refresh(self, hidden: Sequence[Tensor | None]) -> None:
        """Re-score what the plans hid, without gradient (KAKURENBO)."""
        counts = np.array([0 if ids is None else len(ids) for ids in hidden])
        counts[~self.alive] = 0
        if not counts.any():
            return
        empty = torch.zeros(0, dtype=torch.int64)
        index = _padded([empty if ids is None else ids for ids in hidden]).to(self.device)
        with torch.no_grad():
            losses, logits, targets = self.losses(index)
        self.observe(index, losses, logits, targets, counts, counts.nonzero()[0].tolist())
        self.scored += counts

    def losses(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A forward pass over [S, m] rows: losses [S, m], logits [S, m, C] and targets [S, m]."""
        targets = self.problem.targets[index]
        logits = self.models(self.problem.rows(index))
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return losses.view(index.shape), logits, targets

    def _signals(self, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        found = class_signals(logits.detach().flatten(0, 1), targets.flatten(), self.signals)
        return {name: signal.view(targets.shape) for name, signal in found.items()}

    def _retire(self, losses: Tensor, counts: np.ndarray) -> None:
        """Take members out whose losses are no longer finite: to each, 0 of its rows are left."""
        finite = losses.detach().sum(1).isfinite().cpu().numpy()
        if not finite.all():
            self.alive &= finite | (counts == 0)
            counts[~self.alive] = 0

    def _rate(self, place: int, epochs_done: float, lr_scale: float) -> float:
        factor = self.workload.schedule(epochs_done / self.epochs) * lr_scale
        return self.members[place].rate * factor

    def _model(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):  # as the engine's run of this seed begins
            torch.manual_seed(seed)
            return mlp(
                self.workload.hidden, num_classes=self.problem.num_classes,
                in_channels=self.problem.inputs.shape[1], image_size=1,
            )  # fmt: skip


class _Stopwatch:
    """Adds the time inside to the bed's `selection_seconds`."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._bed.selection_seconds += time.perf_counter() - self._started


def _rows(counts: np.ndarray, *stacks: Tensor) -> list[tuple[Tensor, ...]]:
    """Each member's own rows of [S, m] tensors, without the padding behind them."""
    width = stacks[0].shape[1]
    whole = zip(*(stack.unbind() for stack in stacks), strict=True)
    return [
        row if count == width else tuple(part[:count] for part in row)
        for row, count in zip(whole, counts, strict=True)
    ]


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """[S, longest] int64, zeros behind the shorter ones."""
    if len({len(row) for row in rows}) == 1:
        return torch.stack(list(rows))
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
