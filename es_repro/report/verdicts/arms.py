"""From the frame of runs to the values of an arm, and to all that speaks against them. Pure."""

from dataclasses import dataclass

import pandas as pd

from es_repro.report.cells import reason, resolve
from es_repro.report.specs import Measure, Preset
from es_repro.report.tables import finished
from es_repro.report.verdicts.claim import Arm

__all__ = ["Records", "Values"]

_HEADLINE = Measure("", "", "")


@dataclass(frozen=True)
class Values:
    """An arm as it was found.

    Args:
        by_seed: percent, indexed by seed; empty where there is none.
        runs: the finished runs behind it.
        gap: why there is no value, or which part of the arm is missing; "" where nothing is.
        begun: whether anything was trained at all.
    """

    by_seed: "pd.Series[float]"
    runs: pd.DataFrame
    gap: str
    begun: bool

    @property
    def flops(self) -> float | None:
        """Of a run: the mean over the seeds, summed over the experiments; None: not recorded."""
        cells = self.runs.groupby("experiment")["cost/flops"]
        costs: pd.Series[float] = cells.mean().astype("float64")
        return None if costs.empty or costs.isna().any() else float(costs.sum())


class Records:
    """The runs of one form of the recipe, each cell resolved to one run a seed."""

    def __init__(self, frame: pd.DataFrame, preset: Preset) -> None:
        prefixes = {"demo": "demo/", "small": "small/"}
        names = frame["experiment"].astype("string")
        if preset in prefixes:
            mine = names.str.startswith(prefixes[preset])
        else:
            mine = ~names.str.startswith(tuple(prefixes.values()))
        self.preset = preset
        self.kept, self.listed = resolve(frame[mine.fillna(False)])
        self._cells = dict(iter(self.kept.groupby(["experiment", "row"])))
        self._values: dict[Arm, Values] = {}  # many claims share an arm

    def rows(self, arm: Arm) -> list[str]:
        """The rows that an arm's name stands for."""
        if not arm.row.endswith("*"):
            return [arm.row]
        here = self.kept[self.kept["experiment"].isin(arm.names(self.preset))]
        rows = here["row"].drop_duplicates()
        return sorted(rows[rows.str.startswith(arm.row[:-1])])

    def asked(self, arm: Arm) -> pd.DataFrame:
        """All runs that were asked for, any state."""
        keys = [(name, arm.row) for name in arm.names(self.preset)]
        cells = [self._cells[key] for key in keys if key in self._cells]
        return pd.concat(cells) if cells else self.kept.iloc[:0]

    def values(self, arm: Arm) -> Values:
        """The arm's values, seeds that all its experiments have."""
        if arm not in self._values:
            self._values[arm] = self._found(arm)
        return self._values[arm]

    def _found(self, arm: Arm) -> Values:
        asked = self.asked(arm)
        if asked.empty:  # most claims of most record folders
            why = f"{arm.row} of {arm.names(self.preset)[0]}: not run"
            return Values(pd.Series(dtype="float64"), asked, why, begun=False)
        done = finished(asked, _HEADLINE)
        column = "value"
        if arm.metrics:
            none = pd.Series(pd.NA, index=done.index, dtype="Float64")
            shares = pd.concat([done.get(name, none) for name in arm.metrics], axis=1)
            done = done.assign(value=100 * shares.astype("Float64").mean(axis=1, skipna=False))
        elif arm.compared == "best":
            column = "best"
        done = done[done[column].notna()]
        table = done.pivot_table(
            index="seed", columns="experiment", values=column, aggfunc="first"
        ).reindex(columns=list(arm.names(self.preset)))
        table = table.astype("float64")
        by_seed = table.mean(axis=1, skipna=False).dropna()
        begun = bool(asked["state"].isin(["finished", "failed", "interrupted", "running"]).any())
        return Values(by_seed, done, _gap(arm, self.preset, asked, table), begun)

    def listed_of(self, arms: list[Arm]) -> pd.DataFrame:
        """The runs of these arms that are not averaged, each with its reason."""
        mine = pd.Series(data=False, index=self.listed.index)
        for arm in arms:
            names = arm.names(self.preset)
            mine |= self.listed["experiment"].isin(names) & self.listed["row"].eq(arm.row)
        return self.listed[mine]


def _gap(arm: Arm, preset: Preset, asked: pd.DataFrame, table: pd.DataFrame) -> str:
    """The first experiment of the arm without a value, with the reason."""
    for name in arm.names(preset):
        if name in table and table[name].notna().any():
            continue
        mine = asked[asked["experiment"] == name].sort_values("order")
        if mine.empty:
            return f"{arm.row} of {name}: not run"
        newest = mine.iloc[-1]
        why = reason(newest) if newest["state"] != "finished" else "finished, without this metric"
        return f"{arm.row} of {name}: {why}"
    return "" if len(table.dropna()) else f"{arm.row}: no seed is in all of its experiments"
