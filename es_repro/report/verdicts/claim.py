"""What a claim of the paper is made of, as plain data. `rules` decides it, `claims` lists them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from es_repro.report.specs import Preset

__all__ = [
    "Ahead", "Arm", "Better", "Cell", "Claim", "LessMemory", "NotWorse", "Picture", "Saves", "Test",
]  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """The runs of a row: a value a seed.

    Args:
        experiments: without the preset's prefix; of several, a seed's value is their mean.
        row: as in members.jsonl; `prefix*` is every row that starts so.
        compared: the last epoch's value of the headline, or the best epoch's.
        metrics: columns of the record to average instead of the headline (shares).
    """

    experiments: tuple[str, ...]
    row: str
    compared: Literal["last", "best"] = "last"
    metrics: tuple[str, ...] = ()

    def names(self, preset: Preset) -> tuple[str, ...]:
        """The experiments' names in a form of the recipe."""
        return tuple(x if preset == "paper" else f"{preset}/{x}" for x in self.experiments)


@dataclass(frozen=True)
class NotWorse:
    """The method loses less than half of what `short` loses against the baseline.

    Args:
        method: what must not lose.
        baseline: at full cost.
        short: the baseline trained to its end at the method's cost: the margin is half its loss.
        rival: what the method must not lose against, where that is not the baseline.
    """

    method: Arm
    baseline: Arm
    short: Arm
    rival: Arm | None = None


@dataclass(frozen=True)
class Ahead:
    """The method is better than the baseline trained to its end at the method's own FLOPs.

    Args:
        method: what should be better.
        short: the baseline over so many epochs that it costs the same.
        paid_in: the experiments whose FLOPs are compared, where the accuracies are of others.
    """

    method: Arm
    short: Arm
    paid_in: tuple[str, ...] = ()

    @property
    def paid(self) -> "tuple[Arm, Arm]":
        """The arms that were to cost the same."""
        if not self.paid_in:
            return self.method, self.short
        return Arm(self.paid_in, self.method.row), Arm(self.paid_in, self.short.row)


@dataclass(frozen=True)
class Better:
    """The first is better than the second.

    Args:
        first: what should be better.
        second: than what.
        cells: the paper's numbers of both: on its own recipe the claim is refuted where the
            difference is below half of the paper's; elsewhere, and without them, below zero.
    """

    first: Arm
    second: Arm
    cells: "tuple[Cell, Cell] | None" = None


@dataclass(frozen=True)
class Saves:
    """The method saves as much of the training time as the paper says.

    Args:
        method: what saves.
        baseline: against what.
        cells: where the paper's saving stands; of two without one: the times themselves.
    """

    method: Arm
    baseline: Arm
    cells: "tuple[Cell, ...]"


@dataclass(frozen=True)
class LessMemory:
    """The method's peak memory is as far below the baseline's as the paper says (Sec. 4.1).

    Args:
        method: what needs less.
        baseline: than what.
        series: the method's name among the paper's facts on memory.
    """

    method: Arm
    baseline: Arm
    series: str


@dataclass(frozen=True)
class Picture:
    """A figure whose statement has no number: it can be looked at, not tested."""

    make: str


Test = NotWorse | Ahead | Better | Saves | LessMemory | Picture


@dataclass(frozen=True)
class Cell:
    """A number that the paper prints: the one line of its table where all columns agree."""

    shown: str
    table: int
    where: Mapping[str, str]


@dataclass(frozen=True)
class Claim:
    """One empirical claim.

    Args:
        name: short, unique.
        sentence: what is claimed, in our words.
        where: in the paper.
        cells: the paper's evidence; where it is a difference, of the first two.
        tests: all of them must hold; the claim fails with any of them.
        primary: corrected by Holm with the other primary ones of its family; the rest is
            exploratory.
        remark: what a reader must know of how it is decided.
    """

    name: str
    sentence: str
    where: str
    cells: tuple[Cell, ...]
    tests: tuple[Test, ...]
    primary: bool = False
    remark: str = ""

    @property
    def family(self) -> str:
        """What it is decided together with: the claims of its table."""
        return self.where.split(",")[0]
