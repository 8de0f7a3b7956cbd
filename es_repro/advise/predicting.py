"""From measured parts and the cost model to the time of a whole run. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from es_repro.advise.candidates import Candidate, Choosing
from es_repro.advise.measuring import Measured
from es_repro.selection import stream

__all__ = ["Estimate", "Row", "break_even", "estimate", "predict", "step_ratio"]

BOOTSTRAP = 2000  # resamples of the rounds behind an interval
TAIL = 0.025  # of a 95% interval, at either end
ROUNDING = 1e-9  # ratios of steps within it are equal: sums of seconds differ in their last digits


@dataclass(frozen=True)
class Estimate:
    """A median over rounds with its 95% bootstrap interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """What is predicted of one method; ratios are to the run without selection.

    Attributes:
        method: its name.
        hyperparameters: all of them.
        level: none, set, batch or both.
        batch_ratio: b/B; None where whole batches are trained.
        prune_ratio: share of the samples that an epoch leaves out; None where it has all.
        scores: whether a scoring pass goes before its training passes.
        time: of the whole run.
        ideal: the same in FLOPs.
        epochs: a run without selection over so many takes the same time; None where that is no
            shorter.
        choosing: seconds of the selector itself.
    """

    method: str
    hyperparameters: dict[str, Any]
    level: str
    batch_ratio: float | None
    prune_ratio: float | None
    scores: bool
    time: Estimate
    ideal: float
    epochs: int | None
    choosing: Choosing


def estimate(values: Tensor) -> Estimate:
    """The median of values [rounds] and its interval, by a bootstrap that is always the same."""
    n = len(values)
    drawn = torch.randint(n, (BOOTSTRAP, n), generator=stream(0, "bootstrap", 0))
    medians = values[drawn].quantile(0.5, dim=1)
    low, high = medians.quantile(torch.tensor([TAIL, 1 - TAIL], dtype=values.dtype)).tolist()
    return Estimate(float(values.quantile(0.5)), low, high)


def predict(candidate: Candidate, measured: Measured, cost: Choosing, batches: float) -> Row:
    """A method's run beside the one without selection.

    Args:
        candidate: the method.
        measured: the loop's parts.
        cost: of its selector.
        batches: meta-batches of a whole epoch.
    """
    selector = candidate.selector
    time = estimate(_run_seconds(candidate, measured, cost, batches) / _baseline(measured))
    epochs = max(1, math.floor(time.median * selector.num_epochs + 0.5))
    return Row(
        method=selector.method_name(),
        hyperparameters=selector.hyperparameters,
        level=selector.level,
        batch_ratio=candidate.batch_ratio,
        prune_ratio=selector.prune_ratio,
        scores=candidate.scores,
        time=time,
        ideal=candidate.cost.factor,
        epochs=epochs if time.median < 1 and epochs < selector.num_epochs else None,
        choosing=cost,
    )


def step_ratio(measured: Measured, ratio: float, select: float) -> float:
    """A selecting step of the loop over a step without selection, the batch included."""
    step = measured.train + measured.score if ratio == 1 else measured.selecting[ratio]
    return float((measured.periods(step + select) / _baseline(measured)).quantile(0.5))


def break_even(points: Sequence[tuple[float, float]]) -> float | None:
    """The b/B at which a selecting step costs what a plain one does; below it there is a saving.

    Args:
        points: (b/B, ratio of the steps), at least two, straight lines between them and on
            towards b/B = 0.

    Returns:
        None where nothing is saved however small b is; 1 where something always is.
    """
    above = sorted(points)
    number = max((i for i, (_, ratio) in enumerate(above) if ratio < 1 - ROUNDING), default=0)
    if number == len(above) - 1:
        return 1.0
    (low, first), (high, second) = above[number], above[number + 1]
    if second - first < ROUNDING:  # flat: b rows cost what B do
        return None
    crossing = low + (1 - first) * (high - low) / (second - first)
    return crossing if crossing > 0 else None


def _baseline(measured: Measured) -> Tensor:
    return measured.periods(measured.train)


def _run_seconds(
    candidate: Candidate, measured: Measured, cost: Choosing, batches: float
) -> Tensor:
    """Seconds [rounds] of the whole run, for each of the baseline's steps.

    In units of whole epochs, `Cost` says how many samples are scored and how many trained; which
    kinds of steps those are follows from the level at which the method selects.
    """
    ratio, scored, trained = (
        candidate.batch_ratio, candidate.cost.forward_only, candidate.cost.back_propagated
    )  # fmt: skip
    plain = measured.periods(measured.train + cost.observe)
    planning = cost.plan / batches
    if ratio is None:  # set level: whole batches, fewer of them; what was hidden is scored
        rescored = measured.periods(measured.score + cost.observe)
        return trained * plain + scored * rescored + planning
    if candidate.scores:
        selecting = measured.periods(measured.selecting[ratio] + cost.select)
        return scored * selecting + (trained - scored * ratio) * plain + planning
    share = (1 - trained) / (1 - ratio)  # of the epochs whose loader fetches b rows a step
    few = measured.periods(measured.some[ratio] + cost.observe, ratio)
    return share * few + (1 - share) * plain + planning
