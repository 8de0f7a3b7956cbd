"""One line a method, one column a task, their mean and their time together (Table 5)."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from es_repro.report.layouts.by_setting import common_legend, numbers, value_cell
from es_repro.report.sheet import Part, Sheet, number
from es_repro.report.specs import Block, Measure, Preset, Row, TableSpec
from es_repro.report.tables import build, observations

__all__ = ["sheet"]

_BLOCKS: tuple[tuple[Block, str], ...] = (("methods", ""), ("controls", "Controls"))


def sheet(spec: TableSpec, runs: pd.DataFrame, paper: pd.DataFrame | None, preset: Preset) -> Sheet:
    """Two blocks of ours, by best and by last epoch, the paper's numbers, and the differences.

    Arguments as of `by_setting.sheet`.
    """
    table = build(spec, runs, paper, preset)
    tasks = {setting.heading(preset): setting.measure for setting in spec.blocks(preset)}
    wide = _Wide(spec, tasks, table, observations(spec, runs, preset))
    parts = [*wide.ours("best", "Best epoch"), *wide.ours("value", "Last epoch")]
    if paper is not None:
        parts += wide.reported(paper)
    legend = (*_legend(tasks, table), *spec.remarks(preset))
    return Sheet(tuple(parts), legend, numbers(spec, table, preset))


@dataclass(frozen=True)
class _Wide:
    """The numbers of a table by task, and the cells made of them.

    Args:
        spec: which table.
        tasks: heading of a column -> its measure.
        table: from `tables.build`.
        seen: from `tables.observations`.
    """

    spec: TableSpec
    tasks: dict[str, Measure]
    table: pd.DataFrame
    seen: pd.DataFrame

    def ours(self, column: str, heading: str) -> Iterator[Part]:
        """A part for the methods and one for the controls; `column` is best or value."""
        for block, name in _BLOCKS:
            rows = [row for row in self.spec.rows if row.block == block]
            if rows:
                cells = pd.DataFrame([self._cells(row, column) for row in rows])
                yield Part(heading, name, cells)

    def reported(self, paper: pd.DataFrame) -> Iterator[Part]:
        """What the authors report, and ours minus it where the recipe is theirs."""
        lines, differences = [], []
        for row in self.spec.rows:
            if row.paper is None:
                continue
            mine = self._lines(row)
            average = paper[(paper["method"] == row.paper["method"]) & (paper["task"] == "Avg")]
            printed = {task: str(line["paper_printed"]) or "-" for task, line in mine.items()}
            mean, time = average[["printed", "printed_time_saved"]].iloc[0]
            lines.append({"Method": row.shown, **printed, "Mean of 8": mean, "Time": time})
            deltas = {
                task: number(line["paper_delta"], 2, sign=True) for task, line in mine.items()
            }
            differences.append({"Method": row.shown, **deltas})
        yield Part("The paper", "", pd.DataFrame(lines))
        if self.table["paper_delta"].notna().any():
            yield Part("Ours - paper", "", pd.DataFrame(differences))

    def _cells(self, row: Row, column: str) -> dict[str, str]:
        lines, means = self._lines(row), self._means(row.label, column)
        reference = row.label == "baseline"
        values = {task: value_cell(line, self.tasks[task], column) for task, line in lines.items()}
        return {
            "Method": row.shown,
            **values,
            "Mean": _spread(means),
            "vs Baseline": "" if reference else self._difference(means, column),
            "Seeds": str(len(means)) if len(means) else "-",
            "Time": self._own_seconds(lines) if reference else self._time(lines),
            "FLOPs": "" if reference else self._together(lines, "flops_saved", "cost/flops"),
        }

    def _lines(self, row: Row) -> dict[str, pd.Series]:
        mine = self.table[self.table["row"] == row.label]
        return {task: mine[mine["setting"] == task].iloc[0] for task in self.tasks}

    def _means(self, label: str, column: str) -> "pd.Series[float]":
        """The mean over the tasks, of each seed that has them all."""
        mine = self.seen[(self.seen["row"] == label) & self.seen[column].notna()]
        mine = mine.astype({column: "float64"})
        wide = mine.pivot_table(index="seed", columns="setting", values=column)
        return wide.reindex(columns=list(self.tasks)).dropna().mean(axis=1)

    def _difference(self, means: "pd.Series[float]", column: str) -> str:
        """Difference of the means to Baseline's, over the seeds that both have."""
        reference = self._means("baseline", column)
        shared = means.index.intersection(reference.index)
        if shared.empty:
            return "-"
        return number(float((means[shared] - reference[shared]).mean()), 2, sign=True)

    def _own_seconds(self, lines: dict[str, pd.Series]) -> str:
        seconds = [line["train_seconds"] for line in lines.values()]
        return "" if any(pd.isna(value) for value in seconds) else f"({sum(seconds):.3g} s)"

    def _time(self, lines: dict[str, pd.Series]) -> str:
        paired = any(line["time_origin"] == "paired" for line in lines.values())
        text = self._together(lines, "time_saved", "time/train_seconds")
        return f"{text} †" if paired and text != "-" else text

    def _together(self, lines: dict[str, pd.Series], column: str, spent: str) -> str:
        """A saving over all tasks: a task weighs what Baseline spends on it."""
        baseline = self.seen[self.seen["row"] == "baseline"]
        weights = baseline.groupby("setting")[spent].mean().reindex(list(self.tasks))
        savings = pd.Series({task: line[column] for task, line in lines.items()})
        if weights.isna().any() or savings.isna().any() or not weights.sum():
            return "-"
        return number(float((weights * savings).sum() / weights.sum()), 1)


def _spread(means: "pd.Series[float]") -> str:
    if means.empty:
        return "-"
    spread = f" ± {means.std(ddof=1):.2f}" if len(means) > 1 else ""
    return f"{means.mean():.2f}{spread}"


def _legend(tasks: dict[str, Measure], table: pd.DataFrame) -> list[str]:
    units: dict[str, list[str]] = {}
    for task, measure in tasks.items():
        units.setdefault(f"{measure.title.lower()} ({measure.unit})", []).append(task)
    lines = [
        "Each task's number is on its development set, mean ± sample standard deviation over the "
        "seeds: " + "; ".join(f"{unit}: {', '.join(names)}" for unit, names in units.items()) + ".",
        "Best epoch: chosen on that same set, as the paper's protocol does, so it is optimistic; "
        "it alone compares with the paper. Last epoch: what training left.",
        "Mean: over the tasks shown, of the seeds that have them all; vs Baseline: its difference, "
        "paired by seed. Time, FLOPs: percent saved over the tasks together, a task weighing what "
        "Baseline spends on it.",
    ]
    if table["paper_delta"].isna().all():
        lines.append("No difference to the paper is shown: its recipe is not the one of our runs.")
    common = common_legend(table, next(iter(tasks.values())))[1:]
    return lines + [line for line in common if not line.startswith("other recipe:")]
