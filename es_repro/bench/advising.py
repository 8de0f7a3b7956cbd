"""Advice against what it predicts: whole short runs with and without selection, side by side.

The runs take their epochs in turn, and advice is taken before each round of them: what the machine
does for a minute it does to all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from es_repro.advise import Advice
from es_repro.advise.ours import advise_methods, settled
from es_repro.bench.own_loop import OwnLoop
from es_repro.bench.ratios import Estimate, runs_ratio
from es_repro.bench.rigs import described, small_images
from es_repro.build import build_engine
from es_repro.data import ImageData
from es_repro.engine import Engine
from es_repro.parallel.bystander import Bystander
from es_repro.selection import create, require, selector_class

__all__ = ["CASES", "Compared", "Comparison", "Trial", "compare", "compared"]

Method = tuple[str, dict[str, Any]]
Epochs = Iterator[tuple[float, int]]  # seconds of each, and the samples that it trained
Run = Callable[[str, Mapping[str, Any]], Epochs]

COMMON = (
    "dataset=cifar10", "meta_batch_size=128", "++compile=false", "tracker=none",
    "run.checkpoint_every_seconds=1000000000",
)  # fmt: skip
# By name: overrides of `es_repro.train`, and how many workers decode for a plain loop around the
# same net; None: the engine's own loop on resident data.
CASES: dict[str, tuple[Sequence[str], int | None]] = {
    "resnet8": (("model=resnet8",), None),
    # At the recipe's rate for SGD it diverges, and gradients become denormal, which is slow.
    "vit": (("model=vit_tiny_p8", "optimizer=adamw", "optimizer.lr=1e-3"), None),
    "mlp, plain loop": (("model=mlp", "model.hidden=[512,512]"), 0),
    "mlp, plain loop, 2 workers": (("model=mlp", "model.hidden=[512,512]"), 2),
}
# One of every kind: batch level at three ratios and with pruning, its control, set level.
METHODS: tuple[Method, ...] = (
    ("es", {"batch_ratio": 0.5}),
    ("es", {"batch_ratio": 0.25}),
    ("es", {"batch_ratio": 0.125}),
    ("eswp", {"batch_ratio": 0.25, "prune_ratio": 0.2}),
    ("random", {"batch_ratio": 0.25}),
    ("ucb", {"prune_ratio": 0.3}),
    ("infobatch", {"prune_ratio": 0.5}),
)
OWN_METHODS = (METHODS[1], METHODS[3], METHODS[4])  # of the plain loops: beside their loaders
SHARES_ALIKE = 0.01  # of the samples trained, within which the cost model was right


@dataclass(frozen=True)
class Trial:
    """How runs are compared.

    Attributes:
        pairs: whole runs of every method, each beside one without selection.
        num_samples: n, of a short epoch.
        num_epochs: E.
        rounds: of the advice.
        data_root: where CIFAR-10 may lie.
        overrides: of every run, as of `es_repro.train`.
    """

    pairs: int = 5
    num_samples: int = 2560
    num_epochs: int = 10
    rounds: int = 30
    data_root: str = "data"
    overrides: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Compared:
    """One method: the ratio of a whole run to the run without selection, told and found.

    Attributes:
        method: its name.
        batch_ratio: b/B, or None.
        predicted: by the advice: the median of what each said, the lowest and the highest.
        measured: see `runs_ratio`.
        ideal: in FLOPs.
        expected_share: of the samples trained, by the cost model.
        trained_share: counted.
    """

    method: str
    batch_ratio: float | None
    predicted: Estimate
    measured: Estimate
    ideal: float
    expected_share: float
    trained_share: float

    @property
    def points(self) -> float:
        """Predicted minus measured, in hundredths of the baseline's time."""
        return 100 * (self.predicted.median - self.measured.median)

    @property
    def judged(self) -> bool:
        """Whether it is the clock alone that was predicted: the losses had no say in the share."""
        return abs(self.trained_share - self.expected_share) <= SHARES_ALIKE


@dataclass(frozen=True)
class Comparison:
    """One loop: the advice on it, and the runs of every method.

    Attributes:
        case: its name in `CASES`.
        data: what the images were.
        advice: taken first.
        baseline_seconds: of the runs without selection, likewise.
        rows: one a method.
    """

    case: str
    data: str
    advice: Advice
    baseline_seconds: float
    rows: list[Compared]


def compare(
    case: str, trial: Trial, show: Callable[[float, str], None] = lambda *_: None
) -> Comparison:
    """Take advice on a loop and run it with every method, in turn, as often as there are pairs.

    Args:
        case: of `CASES`.
        trial: how.
        show: called with the share done and what is running.
    """
    require(case in CASES, "case", case, f"one of {'; '.join(CASES)}")
    words, workers = CASES[case]
    config, device = settled(
        [*COMMON, *words, f"epochs={trial.num_epochs}", "method=baseline", *trial.overrides]
    )
    data = small_images("auto", trial.data_root, trial.num_samples)
    methods = list(METHODS if workers is None else OWN_METHODS)
    if workers is None:
        take = partial(advise_methods, config, device, data, methods, rounds=trial.rounds)
        run: Run = partial(_epochs, config, data, device)
    else:
        own = OwnLoop(
            lambda: _engine(config, data, device, "baseline", {}),
            data,
            batch_size=config.meta_batch_size,
            num_epochs=trial.num_epochs,
            workers=workers,
            device=device,
        )
        rounds = min(trial.rounds, data.num_samples // config.meta_batch_size)
        take, run = partial(own.advise, methods, rounds), own.run
    answers: list[Advice] = []
    seconds, trained = np.zeros((2, trial.pairs, trial.num_epochs, len(methods) + 1))
    for pair in range(trial.pairs):
        show(pair / trial.pairs, f"{case}: advice")
        answers.append(take())
        runs = [run(name, settings) for name, settings in [("baseline", {}), *methods]]
        for epoch in range(trial.num_epochs):
            show((pair + epoch / trial.num_epochs) / trial.pairs, f"{case}: epoch {epoch}")
            order = range(len(runs))
            for number in order if (pair + epoch) % 2 == 0 else reversed(order):
                place = pair, epoch, number
                seconds[place], trained[place] = next(runs[number])
    whole = float(np.median(seconds[..., 0], axis=0).sum())
    rows = compared(methods, answers, seconds, trained)
    return Comparison(case, described(data), answers[0], whole, rows)


def compared(
    methods: Sequence[Method], answers: Sequence[Advice], seconds: np.ndarray, trained: np.ndarray
) -> list[Compared]:
    """Rows of the methods, from seconds and trained samples [pairs, epochs, 1 + methods]."""
    num_epochs = seconds.shape[1]
    rows = []
    for number, (name, settings) in enumerate(methods):
        cost = selector_class(name).expected_cost(num_epochs, **settings)
        told = [advice.rows[number] for advice in answers]
        times = [row.time.median for row in told]
        rows.append(
            Compared(
                method=name,
                batch_ratio=settings.get("batch_ratio"),
                predicted=Estimate(float(np.median(times)), min(times), max(times)),
                measured=runs_ratio(seconds[..., number + 1], seconds[..., 0]),
                ideal=told[0].ideal,
                expected_share=cost.back_propagated,
                trained_share=float(trained[..., number + 1].sum() / trained[..., 0].sum()),
            )
        )
    return rows


def _epochs(
    config: DictConfig,
    data: ImageData,
    device: torch.device,
    name: str,
    settings: Mapping[str, Any],
) -> Epochs:
    """Train from end to end; the seconds are those of training alone."""
    engine = _engine(config, data, device, name, settings)
    engine.alignment.left = 0  # a guard of a run's first steps, outside its clock
    engine.warm_up()
    for epoch in range(engine.settings.epochs):
        before = engine.clock.train_seconds, engine.cost.bp_samples
        engine.epoch, engine.position = epoch, 0
        with engine.clock.running():
            engine.train_epoch()
        yield engine.clock.train_seconds - before[0], engine.cost.bp_samples - before[1]


def _engine(
    config: DictConfig,
    data: ImageData,
    device: torch.device,
    name: str,
    settings: Mapping[str, Any],
) -> Engine:
    selector = create(name, data.num_samples, int(config.epochs), device=device, **settings)
    return build_engine(
        config, data=data, selector=selector, record=Bystander(), device=device,
        precision=config.precision, compiled=config.compile,
    )  # fmt: skip
