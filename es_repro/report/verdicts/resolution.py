"""What the paper's own evidence could have told: from test examples and seeds alone. Pure.

Its tables give no spread, so that only the part of chance is known that comes from the number of
test examples; the nets' own spread comes on top. A difference of D examples, even if every one of
them went the same way, has a two-sided sign test of 2 (1/2)^D: five or fewer cannot be told from
chance.
"""

from dataclasses import dataclass
from functools import cache

import pandas as pd

from es_repro.report.paper import paper_figures, paper_table
from es_repro.report.verdicts.claim import Cell

__all__ = [
    "Resolution", "printed", "printed_difference", "printed_memory", "printed_saving", "resolution",
]  # fmt: skip

# Examples of the split that the paper reports (public sizes; data/README.md of each set).
_EXAMPLES = {
    "CIFAR-10": 10_000, "CIFAR-100": 10_000, "ImageNet-1K": 50_000, "CoLA": 1_043, "SST-2": 872,
    "QNLI": 5_463, "QQP": 40_430, "MNLI-m": 9_815, "MRPC": 408, "RTE": 277, "STS-B": 1_500,
    "MATH500": 500, "AIME24": 30, "OlympiadBench": 675,
}  # fmt: skip
_CORRELATIONS = ("CoLA", "STS-B")  # metrics that are no share of examples
_PARTS = {  # what a mean is over
    "Avg": ("CoLA", "SST-2", "QNLI", "QQP", "MNLI-m", "MRPC", "RTE", "STS-B"),
    "Averaged": ("MATH500", "AIME24", "OlympiadBench"),
}
_Z = 1.959964  # 95%, two-sided


@dataclass(frozen=True)
class Resolution:
    """What the test examples allow.

    Args:
        examples: of the test split; of the smallest one, where the number is a mean over several.
        difference: the paper's, in points.
        standard_error: of one arm's number, in points.
        half_width: 95%, of a difference between two arms that err independently, in points.
        flips: test examples that make up the difference; None: the metric is no share of them.
        best_p: of the sign test if all flips went one way; None as before.
    """

    examples: int
    difference: float
    standard_error: float
    half_width: float
    flips: float | None
    best_p: float | None

    def __str__(self) -> str:
        """One line for a reader."""
        chance = f"±{self.half_width:.1f}"
        if self.flips is None:
            return f"{self.difference:+.1f}; {chance}"
        best = ""
        if self.best_p is not None and self.best_p > 0.05 and self.flips >= 0.5:
            best = f", at best p = {self.best_p:.2f}"
        count = f"{self.flips:.0f} of {self.examples:,} examples"
        return f"{self.difference:+.1f} is {count}{best}; {chance}"


def printed(cell: Cell) -> pd.Series:
    """The line of the paper's table that a cell means.

    Raises:
        ValueError: none or several lines fit it.
    """
    table = _table(cell.table)
    mine = table[(table[list(cell.where)] == pd.Series(dict(cell.where))).all(axis=1)]
    if len(mine) != 1:
        raise ValueError(f"{cell}: {len(mine)} lines of table {cell.table} fit it, must be one")
    return mine.iloc[0]


def printed_difference(first: Cell, second: Cell) -> float:
    """Between two numbers of the paper, without the noise of binary fractions."""
    return round(float(printed(first)["value"]) - float(printed(second)["value"]), 4)


def printed_saving(cells: tuple[Cell, ...]) -> float:
    """Percent of the time saved: as printed, or from the times of both."""
    own = printed(cells[0])
    if not pd.isna(own["time_saved_pct"]):
        return float(own["time_saved_pct"])
    return 100 * (1 - float(own["value"]) / float(printed(cells[1])["value"]))


def printed_memory(series: str) -> float:
    """Percent of Baseline's memory saved, from the gigabytes in the text."""
    facts = paper_figures("memory")
    stated = facts[facts["kind"] == "stated"].set_index("series")["value"].astype(float)
    return float(100 * (1 - stated[series] / stated["Baseline"]))


def resolution(cells: tuple[Cell, ...]) -> Resolution | None:
    """Of the difference between the first two cells; None where the paper has none of accuracy."""
    if len(cells) < 2:
        return None
    first = printed(cells[0])
    if first["unit"] != "%":
        return None
    tasks = _PARTS.get(str(first["task"]), (_set(first),))
    error = sum(_variance(task, first) for task in tasks) ** 0.5 / len(tasks)
    examples = min(_EXAMPLES[task] for task in tasks)
    difference = printed_difference(cells[0], cells[1])
    flips = best = None
    if len(tasks) == 1 and tasks[0] not in _CORRELATIONS:
        flips = abs(difference) * examples / 100
        best = min(1.0, 2 * 0.5 ** round(flips))
    return Resolution(examples, difference, error, _Z * 2**0.5 * error, flips, best)


_table = cache(paper_table)  # read only, once


def _set(line: pd.Series) -> str:
    return str(line["task"] if line["task"] in _EXAMPLES else line["dataset"])


def _variance(task: str, line: pd.Series) -> float:
    """Of one task's number, in points squared: binomial; of a correlation r: (1 - r^2)^2 / n."""
    value = _value(task, line) / 100
    spread = (1 - value**2) ** 2 if task in _CORRELATIONS else value * (1 - value)
    return 100**2 * spread / _EXAMPLES[task]


def _value(task: str, line: pd.Series) -> float:
    if line["task"] not in _PARTS:
        return float(line["value"])
    table = _table(int(line["table"]))
    same = (table["method"] == line["method"]) & (table["setting"] == line["setting"])
    return float(table[same & (table["task"] == task)]["value"].iloc[0])
