"""What it would take to decide a contrast that its runs have left open. Pure."""

import pandas as pd
from scipy import stats

from es_repro.forecast.utilisation import h100_hours
from es_repro.report.studies.findings import LEVEL, Findings
from es_repro.report.studies.study import Study
from es_repro.statistics import seeds_for_power

__all__ = ["to_decide"]

_POWER = 0.8


def to_decide(study: Study, found: Findings, contrast: pd.Series) -> str:
    """Seeds and compute that would call two equal arms equivalent; "-" where all is decided.

    At 80% power for one contrast within its margin, from the spread that was found; H100 hours at
    the utilisation that the cost model assumes of such nets.

    Args:
        study: whose contrast.
        found: its findings.
        contrast: a line of `found.contrasts`.
    """
    verdict = str(contrast["verdict"])
    if verdict.startswith("insensitive"):
        return "another task: here a shorter baseline loses nothing"
    if not verdict.startswith("undecided"):
        return "-"
    if not float(contrast["margin"]) > 0:
        return "not to be had: the margin is 0"
    count = int(contrast["seeds"])
    half = (float(contrast["high"]) - float(contrast["low"])) / 2
    spread = half / float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * count**0.5
    seeds = seeds_for_power(
        spread, "equivalent", margin=float(contrast["margin"]), level=LEVEL, wanted_power=_POWER
    )
    flops = seeds * sum(_flops(found, str(contrast[end])) for end in ("method", "control"))
    hours = h100_hours(flops, study.alike)
    return f"{seeds} seeds, {flops / 1e15:.3g} PFLOP ({hours:.2g} H100 h)"


def _flops(found: Findings, row: str) -> float:
    return float(found.runs.loc[found.runs["row"] == row, "cost/flops"].astype("float64").mean())
