"""What figures are drawn from: the frame of runs, and the histories of those they show."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from es_repro.report import ReportError
from es_repro.report.cells import resolve
from es_repro.report.folders import read_history
from es_repro.report.specs import Measure, Preset, Setting, TableSpec
from es_repro.report.tables import observations

__all__ = ["Source", "histories"]


_DRAWN = (
    "test/accuracy", "test/loss", "cost/bp_samples", "time/train_seconds", "selection/class_counts",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a figure finds its numbers.

    Args:
        runs: the tidy frame of `runs.tidy`; empty for figures that need none.
        root: folder of the runs.
        preset: which form of the experiments.
        used: the runs handed out so far: what a figure rests on.
    """

    runs: pd.DataFrame
    root: Path
    preset: Preset
    used: set[str] = field(default_factory=set)

    def experiment(self, name: str) -> str:
        """An experiment's name in this form."""
        return name if self.preset == "paper" else f"{self.preset}/{name}"

    def finished(
        self, experiments: Iterable[str], measure: Measure, rows: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Their finished runs, one a seed and row, with `value` in the measure's unit.

        Args:
            experiments: without the preset's prefix.
            measure: what is shown.
            rows: these alone; None: all.
        """
        settings = tuple(Setting(name, name, measure=measure) for name in experiments)
        spec = TableSpec("figure", "", settings, "")
        found = observations(spec, self.runs, self.preset)
        return self.hand_out(found if rows is None else found[found["row"].isin(list(rows))])

    def hand_out(self, runs: pd.DataFrame) -> pd.DataFrame:
        """`runs`, noted as used."""
        self.used.update(str(run) for run in runs["run"].dropna())
        return runs

    def epochs(self, experiments: Iterable[str], rows: Iterable[str]) -> pd.DataFrame:
        """Epoch lines of the histories of runs that have begun, finished or not.

        Returns:
            experiment, row, seed, run, epochs (planned), and the lines' own columns.
        """
        names = [self.experiment(name) for name in experiments]
        asked = self.runs[self.runs["experiment"].isin(names)]
        kept, _ = resolve(asked[asked["row"].isin(list(rows))])
        return histories(self.root, self.hand_out(kept[kept["state"].eq("finished")]))

    def require(self, frame: pd.DataFrame, figure: str, needs: str, make: str) -> pd.DataFrame:
        """`frame`, unless it is empty.

        Raises:
            ReportError: nothing to draw; says what is needed and which target makes it.
        """
        if frame.empty:
            hint = f"PRESET={self.preset}"
            raise ReportError(f"{figure}: needs {needs}, none found; run `{make} {hint}`")
        return frame


def histories(root: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Epoch lines of each run, beside what it is; `evaluated`: its metrics are of that epoch.

    What figures draw is always a column, empty where no record has it.
    """
    parts = []
    for _, run in runs.iterrows():
        lines = read_history(root / str(run["run"]))
        if lines.empty or not lines["kind"].eq("epoch").any():
            continue
        about = {key: run[key] for key in ("experiment", "row", "seed", "run")}
        about["epochs"] = run["config.epochs"]
        epochs = lines[lines["kind"] == "epoch"].dropna(axis=1, how="all")
        parts.append(epochs.assign(evaluated=_evaluated(epochs), **about))
    if not parts:
        return pd.DataFrame()
    found = pd.concat(parts, ignore_index=True)
    return found.reindex(columns=list(dict.fromkeys([*found.columns, *_DRAWN])))


def _evaluated(epochs: pd.DataFrame) -> "pd.Series[bool]":
    """Where the clock of evaluation went on; an epoch without one repeats the latest metrics."""
    if "time/evaluation_seconds" not in epochs:
        return pd.Series(data=True, index=epochs.index)
    return epochs["time/evaluation_seconds"].diff().fillna(epochs["time/evaluation_seconds"]).gt(0)
