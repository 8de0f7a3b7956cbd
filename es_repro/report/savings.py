"""What a cell's runs spent against the baseline's: steps, samples, FLOPs, seconds. Pure."""

from dataclasses import dataclass

import pandas as pd

__all__ = ["Saving", "cost_saved", "shared_clock", "time_saved"]

# Clocks compare only where all of these agree (design.md, "Cost has four axes").
_CLOCK = [
    f"environment.{key}"
    for key in (
        "device", "device_name", "threads", "jobs_side_by_side", "precision", "compile", "torch",
        "es_repro",
    )
]  # fmt: skip
_SECONDS = "time/train_seconds"


@dataclass(frozen=True)
class Saving:
    """Time saved in percent, with where it comes from; `value` None where it cannot be said."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    origin: str = ""  # clocks, paired, or why there is no value
    check: "Saving | None" = None  # the paired measurement, where `value` is from clocks

    @property
    def agrees(self) -> bool | None:
        """Whether the clocks' value lies in the interval of the paired one; None without both."""
        check = self.check
        if self.value is None or check is None or check.low is None or check.high is None:
            return None
        return check.low <= self.value <= check.high


def cost_saved(cell: pd.DataFrame, baseline: pd.DataFrame, metric: str) -> float | None:
    """1 - mean cost over the baseline's mean, in percent; None where either is unknown."""
    spent, reference = cell[metric].mean(), baseline[metric].mean()
    if pd.isna(spent) or pd.isna(reference) or reference <= 0:
        return None
    return 100 * (1 - float(spent) / float(reference))


def time_saved(cell: pd.DataFrame, baseline: pd.DataFrame) -> Saving:
    """Training seconds saved, from comparable clocks, else from a paired measurement.

    Clocks compare where device, threads, neighbours, precision and versions agree and nobody else
    used the machine. Where several sets of clocks match, the one with most of the cell's runs is
    taken. The paired measurement is the newest one of the cell; where there is one beside clocks
    that compare, it stands beside them, as their check.

    Args:
        cell: the finished runs of a method.
        baseline: the finished runs of the baseline in the same setting.
    """
    if cell.empty or baseline.empty:
        return Saving(origin="no baseline" if baseline.empty else "")
    if shared := shared_clock(cell, baseline):
        ratio = float(shared[0].mean() / shared[1].mean())
        return Saving(100 * (1 - ratio), origin="clocks", check=_paired(cell))
    if paired := _paired(cell):
        return paired
    if not _by_clock(cell) or not _by_clock(baseline):
        return Saving(
            origin="contended" if _contended(cell) or _contended(baseline) else "no clock"
        )
    return Saving(origin="other clock")


def shared_clock(
    cell: pd.DataFrame, baseline: pd.DataFrame
) -> tuple["pd.Series[float]", "pd.Series[float]"] | None:
    """Training seconds of both on the clock that most of the cell's runs share with the baseline.

    None: no run of the one compares with a run of the other.
    """
    clocks, reference = _by_clock(cell), _by_clock(baseline)
    shared = [key for key in clocks if key in reference]
    if not shared:
        return None
    key = max(shared, key=lambda clock: len(clocks[clock]))
    return clocks[key], reference[key]


def _paired(cell: pd.DataFrame) -> Saving | None:
    """The newest paired measurement of the cell."""
    measured = cell[cell["paired.time_saved"].notna()]
    if measured.empty:
        return None
    newest = measured.sort_values("order").iloc[-1]
    value, low, high = (
        None if pd.isna(newest[f"paired.{key}"]) else 100 * float(newest[f"paired.{key}"])
        for key in ("time_saved", "low", "high")
    )
    return Saving(value, low, high, origin="paired")


def _by_clock(cell: pd.DataFrame) -> dict[tuple[str, ...], "pd.Series[float]"]:
    """Training seconds of the uncontended runs, by everything that their clock depends on."""
    quiet = cell[~cell["time/contended"].fillna(False) & cell[_SECONDS].gt(0).fillna(False)]
    keys = quiet[_CLOCK].astype("string").fillna("").itertuples(index=False, name=None)
    groups: dict[tuple[str, ...], list[float]] = {}
    for key, seconds in zip(keys, quiet[_SECONDS], strict=True):
        groups.setdefault(key, []).append(float(seconds))
    return {key: pd.Series(values) for key, values in groups.items()}


def _contended(cell: pd.DataFrame) -> bool:
    return bool(cell["time/contended"].fillna(False).any())
