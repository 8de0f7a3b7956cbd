"""What a study is made of, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Study"]


@dataclass(frozen=True)
class Study:
    """An experiment, its arms and the contrasts to decide.

    Attributes:
        name: as the command line knows it, and its folder under RESULTS.
        experiment: `experiment` in members.jsonl.
        title: as a heading.
        arms: what each row is called, in the order of the table; `baseline` is the reference.
        frontier: rows that are the baseline at other budgets.
        shorts: of a method its control of equal cost: a row of the frontier, at the method's FLOPs
            or up to an epoch above them.
        rivals: of a method further rows of its cost that it is compared with.
        primary: contrasts (row, row) that are corrected together; all others are exploratory.
        margin: points within which two arms of equal cost count as equivalent.
        seeds: that were planned.
        tuning: the experiment in which rates were tuned; "": they are another study's.
        rates: at which rate each arm trains, in the words of the picture's footnote.
        alike: the model option whose assumed utilisation of a GPU its net is given.
    """

    name: str
    experiment: str
    title: str
    arms: Mapping[str, str]
    frontier: tuple[str, ...]
    shorts: Mapping[str, str]
    rivals: Mapping[str, tuple[str, ...]]
    primary: frozenset[tuple[str, str]]
    margin: float
    seeds: int
    tuning: str = ""
    rates: str = "its own tuned rate"
    alike: str = "resnet18"
    remarks: tuple[str, ...] = field(default=())

    @property
    def methods(self) -> list[str]:
        """The arms that are judged, in order."""
        return [row for row in self.arms if row in self.shorts]

    def short_name(self, row: str) -> str:
        """What an arm is called, without what it is."""
        return self.arms[row].partition(":")[0]

    @property
    def experiments(self) -> list[str]:
        """Those whose runs the study rests on."""
        return [self.experiment, *([self.tuning] if self.tuning else [])]
