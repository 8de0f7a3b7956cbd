"""What a method is tried on: small problems whose answers are known to be decidable."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from es_repro.data import ImageData, digits
from es_repro.data.cuts import stratified
from es_repro.judge.encoded import CIFAR10, SST2
from es_repro.judge.features import Show
from es_repro.judge.problem import VALIDATION, Problem, SplitName
from es_repro.selection import PlannedBatchSampler, create, one_cycle, stream

__all__ = ["WORKLOADS", "Workload", "digits_problem"]

ONE_CYCLE = one_cycle()  # conf/schedule/one_cycle.yaml


@dataclass(frozen=True)
class Workload:
    """A problem, a perceptron and a recipe.

    Attributes:
        name: on the command line.
        title: for people.
        load: the problem with one of its splits held out.
        hidden: widths of the hidden layers.
        epochs: E of the whole budget.
        meta_batch_size: B.
        rate: where the learning-rate grid begins, on any arm.
        measure: `accuracy` in percent, or `distance` to the optimum in percent, smaller better.
        momentum, weight_decay: of SGD.
        schedule: progress -> factor of the rate.
        price: of a run, in runs on digits: how many of them the same effort pays.
        most_seeds: reported at most, where nobody asks for more: bounds memory, too.
        prepare: makes what `load` wants to find, told where to say so and to show how far it is.
    """

    name: str
    title: str
    load: Callable[[SplitName], Problem]
    hidden: tuple[int, ...] = (64,)
    epochs: int = 18
    meta_batch_size: int = 64
    rate: float = 0.1
    measure: Literal["accuracy", "distance"] = "accuracy"
    momentum: float = 0.9  # conf/optimizer/sgd.yaml, as the next
    weight_decay: float = 5e-4
    schedule: Callable[[float], float] = ONE_CYCLE
    price: float = 1.0
    most_seeds: int = 200
    prepare: Callable[[Callable[[str], None], Show | None], object] | None = None

    @property
    def heading(self) -> str:
        """The title, with what a reader must know of the files that were read."""
        note = self.problem("test").note
        return f"{self.title} ({note})" if note else self.title

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger measure is the better one."""
        return self.measure == "accuracy"

    def problem(self, split: SplitName) -> Problem:
        """The problem with a split held out, read once.

        Raises:
            DataNotFound: its data are not here.
        """
        return _loaded(self.load, split)

    @property
    def examples(self) -> int:
        """Numbers that a run is measured by: held-out rows, or 1 distance."""
        problem = self.problem("test")
        return 1 if problem.optimum is not None else len(problem.held_targets)

    def identity(self, split: SplitName) -> dict[str, object]:
        """What determines a run here beside the arm and its members."""
        return {
            "data": self.problem(split).fingerprint,
            "hidden": self.hidden,
            "epochs": self.epochs,
            "meta_batch_size": self.meta_batch_size,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "schedule": [self.schedule(place / 8) for place in range(9)],
        }


@lru_cache(maxsize=8)
def _loaded(load: Callable[[SplitName], Problem], split: SplitName) -> Problem:
    return load(split)


def digits_problem(data: ImageData) -> Problem:
    """Images as a perceptron sees them in the engine: normalised and flat."""
    sampler = PlannedBatchSampler(create("baseline", data.num_samples, 1), data.num_samples)
    loader = data.loader(sampler, seed=0, device=torch.device("cpu"))
    loader.set_epoch(0)
    _, inputs, targets = next(loader.visit(torch.arange(data.num_samples), data.num_samples))
    held, labels = next(loader.evaluation(len(data.evaluation)))
    return Problem(inputs.flatten(1), targets, held.flatten(1), labels, data.num_classes)


def _clean(split: SplitName) -> Problem:
    return digits_problem(digits(split=split, validation=VALIDATION))


def _noisy(split: SplitName) -> Problem:
    return digits_problem(digits(split=split, validation=VALIDATION, label_noise=0.2))


RARE_CLASSES = 5  # classes 5..9 keep one in twenty
RARITY = 20


def _imbalanced(split: SplitName) -> Problem:
    """The upper five classes keep 1 in 20 of their training rows; what is held out is balanced."""
    whole = _clean(split)
    rare = (whole.targets >= whole.num_classes - RARE_CLASSES).nonzero().squeeze(1)
    count = round(len(rare) / RARITY)
    kept = rare[stratified(whole.targets[rare], count, stream(0, "imbalance", 0))]
    common = (whole.targets < whole.num_classes - RARE_CLASSES).nonzero().squeeze(1)
    ids = torch.cat((common, kept)).sort().values
    return replace(whole, inputs=whole.inputs[ids], targets=whole.targets[ids])


def _duplicated(split: SplitName) -> Problem:
    """Half of the training rows, each class in proportion, are there twice."""
    whole = _clean(split)
    n = len(whole.targets)
    twice = stratified(whole.targets, n // 2, stream(0, "duplicates", 0))
    ids = torch.cat((torch.arange(n), twice))
    return replace(whole, inputs=whole.inputs[ids], targets=whole.targets[ids])


LOGISTIC_ROWS, LOGISTIC_WIDTH = 2_000, 20
LOGISTIC_DECAY = 1e-2  # so that the optimum is within reach and weights of all rows matter


def _logistic(_: SplitName) -> Problem:
    """Two classes whose log-odds are linear, and the minimiser of their penalised mean loss.

    The same for every split: nothing is held out of a problem whose answer is known, and a rate
    that was tuned on one draw of it may diverge on another. Tuning has seeds of its own.
    """
    generator = stream(0, "logistic test", 0)
    inputs = torch.randn(LOGISTIC_ROWS, LOGISTIC_WIDTH, generator=generator)
    truth = torch.randn(LOGISTIC_WIDTH, generator=generator)
    chance = (inputs @ truth).sigmoid()
    targets = (torch.rand(LOGISTIC_ROWS, generator=generator) < chance).long()
    optimum = _minimiser(inputs, targets, LOGISTIC_DECAY)
    return Problem(inputs, targets, inputs[:0], targets[:0], 2, optimum)


def _minimiser(inputs: Tensor, targets: Tensor, weight_decay: float) -> list[Tensor]:
    """Weights [2, d] and biases [2] that minimise mean loss + decay / 2 * their squared norm.

    Newton's method in float64: the objective is strongly convex.

    Raises:
        RuntimeError: it did not come to rest.
    """
    width = inputs.shape[1]
    rows = torch.cat((inputs.double(), torch.ones(len(inputs), 1, dtype=torch.float64)), 1)

    def objective(flat: Tensor) -> Tensor:
        logits = rows @ flat.view(2, width + 1).T
        return F.cross_entropy(logits, targets) + weight_decay / 2 * flat.square().sum()

    flat = torch.zeros(2 * (width + 1), dtype=torch.float64)
    for _ in range(50):
        gradient: Tensor = torch.func.grad(objective)(flat)
        if gradient.norm() < 1e-12:
            found = flat.view(2, width + 1).float()
            return [found[:, :width].contiguous(), found[:, width].contiguous()]
        flat = flat - torch.linalg.solve(torch.func.hessian(objective)(flat), gradient)
    raise RuntimeError("logistic regression: Newton's method did not come to rest")


# With 5e-4 the head is overfitted after four epochs, and nothing that saves epochs can lose.
FEATURES_DECAY = 2e-2
HEAVY_SEEDS = 50  # times up to 40,000 held-out rows and 25 arms: 200 MB of outcomes

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("digits", "digits", _clean),
        Workload("noise", "digits, 20% of the labels wrong", _noisy),
        Workload("imbalance", "digits, five classes at 1:20", _imbalanced),
        Workload("duplicates", "digits, half of the rows twice", _duplicated),
        Workload(
            "logistic", "logistic regression, distance to the optimum", _logistic,
            hidden=(), measure="distance", weight_decay=LOGISTIC_DECAY,
        ),
        Workload(  # 24 GFLOPs a run: 0.4 s of a slow core
            "sst2", "SST-2, a perceptron on embeddings of MiniLM-L6", SST2,
            prepare=SST2.prepare, hidden=(64,), epochs=8, meta_batch_size=256,
            price=6, most_seeds=HEAVY_SEEDS,
        ),
        Workload(  # 30 GFLOPs a run: 0.5 s
            "cifar10", "CIFAR-10, a perceptron on features of EfficientNet-Lite0", CIFAR10,
            prepare=CIFAR10.prepare, hidden=(32,), epochs=6, meta_batch_size=256, rate=0.05,
            weight_decay=FEATURES_DECAY, price=8, most_seeds=HEAVY_SEEDS,
        ),
    )
}  # fmt: skip
