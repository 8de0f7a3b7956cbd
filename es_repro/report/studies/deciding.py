"""What it would take to decide a contrast that its runs have left open. Pure."""

import pandas as pd

from es_repro.forecast.utilisation import h100_hours
from es_repro.report.studies.findings import BASELINE, LEVEL, Findings
from es_repro.report.studies.study import Study
from es_repro.statistics import seeds_for_power

__all__ = ["to_decide"]

_POWER = 0.8


def to_decide(study: Study, found: Findings, contrast: pd.Series) -> str:
    """Seeds and compute that would call two equal arms equivalent; "-" where all is decided.

    At 80% power for a contrast within its margin, from the spread that was found, and where it is a
    primary one at the level that Holm's correction may ask of it; H100 hours at the utilisation
    that the cost model assumes of such nets.

    Args:
        study: whose contrast.
        found: its findings.
        contrast: a line of `found.contrasts`.
    """
    verdict, margin = str(contrast["verdict"]), float(contrast["margin"])
    if verdict.startswith("insensitive"):
        return "another task: here a shorter baseline loses nothing"
    if not verdict.startswith("undecided"):
        return "-"
    if not margin > 0:
        return "not to be had: the margin is 0"
    together = len(study.primary) if contrast["role"] == "primary" else 1
    seeds = seeds_for_power(
        float(contrast["spread"]), "equivalent", margin=margin,
        level=1 - (1 - LEVEL) / together, wanted_power=_POWER,
    )  # fmt: skip
    rows = [str(contrast["method"]), str(contrast["control"])]
    rows += [study.shorts[rows[0]]] if rows[1] == BASELINE else []  # the margin is measured too
    flops = seeds * sum(_flops(found, row) for row in rows)
    return f"{seeds} seeds, {flops / 1e15:.3g} PFLOP ({h100_hours(flops, study.alike):.2g} H100 h)"


def _flops(found: Findings, row: str) -> float:
    return float(found.runs.loc[found.runs["row"] == row, "cost/flops"].astype("float64").mean())
