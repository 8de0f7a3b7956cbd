"""From paired seconds to ratios, intervals and shares of the ideal saving. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from es_repro.selection.cost import Cost

__all__ = [
    "Estimate", "Work", "epoch_ratios", "estimate", "ideal_ratio", "predicted_saving",
    "realised_share", "runs_ratio",
]  # fmt: skip

BOOTSTRAP = 2000  # resamples of the pairs behind an interval
LEVEL = 0.95
SAVES_NOTHING = 1e-9  # ideal savings below it leave nothing to realise a share of


@dataclass(frozen=True)
class Estimate:
    """A median over pairs with its 95% bootstrap interval."""

    median: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Estimate":
        """All three times a positive factor."""
        return Estimate(self.median * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Work:
    """What a planned epoch asks of the device, in rows.

    Attributes:
        num_samples: n.
        planned: samples that the plan visits.
        batch_rows: of a full meta-batch.
        scored: of them, forwarded without gradient in a step.
        trained: of them, back-propagated in a step.
        refreshed: hidden samples re-scored at the epoch's end.
    """

    num_samples: int
    planned: int
    batch_rows: int
    scored: int
    trained: int
    refreshed: int = 0

    @property
    def steps(self) -> float:
        """Steps of the epoch in full meta-batches; a short last one counts by its rows."""
        return self.planned / self.batch_rows

    @property
    def refreshes(self) -> float:
        """Re-scorings at the epoch's end, in full meta-batches."""
        return self.refreshed / self.batch_rows


def estimate(values: np.ndarray) -> Estimate:
    """The median of values [pairs] and its interval, by a bootstrap that is always the same."""
    generator = np.random.default_rng(0)
    resampled = np.median(generator.choice(values, (BOOTSTRAP, len(values))), axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(np.median(values)), float(low), float(high))


def runs_ratio(method: np.ndarray, baseline: np.ndarray) -> Estimate:
    """Seconds of a method's whole run over the baseline's, with an interval over the pairs.

    Of each epoch the median over the pairs counts: a second in which the machine was elsewhere
    spoils that epoch of that pair alone.

    Args:
        method: [pairs, epochs], each pair's epochs taken in turn with the baseline's.
        baseline: likewise.
    """

    def ratios(pairs: np.ndarray) -> np.ndarray:
        """Of resampled pairs [resamples, pairs]."""
        spent, whole = (np.median(x[pairs], axis=1).sum(1) for x in (method, baseline))
        return spent / whole

    generator = np.random.default_rng(0)
    low, high = np.quantile(
        ratios(generator.integers(len(method), size=(BOOTSTRAP, len(method)))),
        [(1 - LEVEL) / 2, (1 + LEVEL) / 2],
    )
    return Estimate(float(ratios(np.arange(len(method))[None])[0]), float(low), float(high))


def ideal_ratio(work: Work) -> float:
    """FLOPs of the epoch over the baseline's: a backward is two forwards, scoring is one."""
    scored = work.scored * work.steps + work.refreshed
    trained = work.trained * work.steps
    return Cost(scored / work.num_samples, trained / work.num_samples).factor


def realised_share(ratio: Estimate, ideal: float) -> Estimate | None:
    """(1 - measured) / (1 - ideal), with its interval; None where the ideal saves nothing."""
    possible = 1 - ideal
    if possible <= SAVES_NOTHING:
        return None
    return Estimate(*((1 - x) / possible for x in (ratio.median, ratio.high, ratio.low)))


def epoch_ratios(
    seconds: np.ndarray, work: Work, baseline: Work, plan_seconds: float, baseline_plan: float
) -> np.ndarray:
    """Seconds of the method's epoch over those of the baseline's, one for each pair.

    Args:
        seconds: [pairs, 2] of a baseline's and a method's step; a third column, where there is
            one, of re-scoring a meta-batch.
        work: the method's epoch.
        baseline: the baseline's.
        plan_seconds: of planning the method's epoch.
        baseline_plan: of planning the baseline's.
    """
    spent = seconds[:, 1] * work.steps + plan_seconds
    if seconds.shape[1] > 2:
        spent = spent + seconds[:, 2] * work.refreshes
    ratios: np.ndarray = spent / (seconds[:, 0] * baseline.steps + baseline_plan)
    return ratios


def predicted_saving(
    kinds: Sequence[tuple[np.ndarray, np.ndarray]], baseline_steps: float
) -> Estimate:
    """The share of the baseline's training time that a whole run saves.

    Args:
        kinds: for each kind of its steps, ratios [pairs, pieces] to a baseline step and how often
            each piece occurs [pieces].
        baseline_steps: of the baseline's run.
    """
    shares = [ratios @ counts / baseline_steps for ratios, counts in kinds]
    generator = np.random.default_rng(0)
    resampled = sum(
        np.median(generator.choice(share, (BOOTSTRAP, len(share))), axis=1) for share in shares
    )
    low, high = np.quantile(1 - np.asarray(resampled), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(1 - sum(float(np.median(share)) for share in shares), float(low), float(high))
