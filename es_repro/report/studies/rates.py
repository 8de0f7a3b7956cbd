"""A learning rate for every arm, by one rule, from runs on the validation cut.

All arms begin with the same three rates; an arm whose best one lies at an end of what was tried is
tried beyond it, until the best is interior. Of equals the one in the middle wins; a rate
whose loss was not finite has been tried, and is the worst.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from es_repro.report import ReportError
from es_repro.report.runs import diverged
from es_repro.report.studies.study import Study

__all__ = ["FACTOR", "Tuned", "as_yaml", "tuned"]

FACTOR = 2.0  # between neighbours of the grid


@dataclass(frozen=True)
class Tuned:
    """What tuning found for an arm.

    Attributes:
        row: the arm.
        tried: mean validation accuracy in percent by rate, ascending; NaN: not finite.
        runs: that they took.
        best: the rate with the highest.
        wanted: the rate to be tried next; None: the best one is interior.
    """

    row: str
    tried: dict[float, float]
    runs: int
    best: float
    wanted: float | None

    def close(self, margin: float) -> list[float]:
        """Other rates that end less than `margin` points below the best, ascending."""
        floor = self.tried[self.best] - margin
        return [rate for rate, value in self.tried.items() if rate != self.best and value > floor]


def tuned(study: Study, runs: pd.DataFrame) -> list[Tuned]:
    """What tuning found, arm by arm.

    Args:
        study: with a tuning experiment.
        runs: the tidy frame of `runs.tidy`.

    Raises:
        ReportError: an arm has no finished run on the validation cut, or a run used the test split.
    """
    ended = runs["state"].eq("finished") | diverged(runs)
    mine = runs[runs["experiment"].eq(study.tuning) & ended]
    if (mine["config.dataset.split"] != "validation").any():
        raise ReportError(f"{study.tuning}: has runs on the test split; tune on validation")
    newest = mine.sort_values("order").drop_duplicates(
        ["row", "config.optimizer.lr", "seed"], keep="last"
    )
    there = set(newest.loc[newest["state"] == "finished", "row"])
    missing = [row for row in study.arms if row not in there]
    if missing:
        raise ReportError(f"{study.tuning}: no finished run of {', '.join(missing)}")
    return [_arm(row, newest[newest["row"] == row]) for row in study.arms]


def _arm(row: str, runs: pd.DataFrame) -> Tuned:
    scores = runs["validation/accuracy"].astype("Float64").where(runs["state"] == "finished")
    by_rate = (100 * scores).groupby(runs["config.optimizer.lr"])
    means = by_rate.apply(lambda some: np.nan if some.isna().any() else some.mean()).sort_index()
    tried = {float(rate): float(value) for rate, value in means.items()}  # type: ignore[arg-type]
    rates = list(tried)
    middle = len(rates) // 2
    usable = [rate for rate in rates if not np.isnan(tried[rate])]
    best = max(usable, key=lambda rate: (tried[rate], -abs(rates.index(rate) - middle)))
    return Tuned(row, tried, len(runs), best, _beyond(best, rates))


def _beyond(best: float, rates: Sequence[float]) -> float | None:
    if best == rates[0]:
        return best / FACTOR
    return best * FACTOR if best == rates[-1] else None


def as_yaml(study: Study, found: Sequence[Tuned]) -> str:
    """The file of the config group `recipe` that the study's experiment takes its rates from.

    Raises:
        ReportError: an arm's best rate is not interior yet.
    """
    open_ends = [arm for arm in found if arm.wanted is not None]
    if open_ends:
        each = ", ".join(f"{arm.row} at {arm.wanted:g}" for arm in open_ends)
        raise ReportError(f"{study.tuning}: still to be tried: {each}")
    lines = [
        f"# Learning rates of experiment={study.experiment}: each arm's best on validation.",
        f"# Written by `python -m es_repro.report rates {study.name} --write`; all rates that were",
        f"# tried, and how well they did: results/{study.name}/rates.csv.",
        f"default: {next(arm.best for arm in found if arm.row == 'baseline'):g}",
    ]
    lines += [f"{arm.row}: {arm.best:g}" for arm in found if arm.row != "baseline"]
    return "\n".join(lines) + "\n"
