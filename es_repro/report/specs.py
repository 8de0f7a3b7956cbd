"""What a table is made of, as plain data: its measures, rows, settings and presets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "ABLATIONS", "ACCURACY", "CONTROLS", "METHODS", "OWN_LENGTH", "PRESETS", "Block", "Measure",
    "Preset", "Row", "Setting", "TableSpec", "experiments",
]  # fmt: skip

Preset = Literal["demo", "small", "paper"]
PRESETS: tuple[Preset, ...] = ("demo", "small", "paper")
Block = Literal["methods", "controls"]


@dataclass(frozen=True)
class Measure:
    """A metric as a table shows it.

    Args:
        metric: its name in the record, without the split (`accuracy`); "" is the run's headline.
        title: head of its column.
        unit: of the shown number, as the legend says it.
        scale: shown number over the record's.
        digits: behind the point.
        higher_is_better: what `best` means, and the direction of a gain.
    """

    metric: str
    title: str
    unit: str
    scale: float = 100.0
    digits: int = 2
    higher_is_better: bool = True


ACCURACY = Measure("accuracy", "Accuracy", "percent")


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Args:
        label: `row` in members.jsonl.
        shown: what the table calls it.
        paper: columns of the paper's table and the values that find its numbers; None: it has none.
        block: which part of a setting it stands in.
    """

    label: str
    shown: str
    paper: Mapping[str, str] | None = None
    block: Block = "methods"


@dataclass(frozen=True)
class Setting:
    """A block of a table: one experiment, and where the paper's table has its numbers.

    Args:
        experiment: without the preset's prefix.
        title: as a heading.
        paper: columns of the paper's table and their values; None: the paper has no such setting.
        measure: what is shown.
        compared: which value is compared, with Baseline and the paper: the last epoch's or the
            best one's; where it is the best, a table shows both.
        titles: the heading by preset, where it says something else than `title`.
        presets: the forms in which it exists.
    """

    experiment: str
    title: str
    paper: Mapping[str, str] | None = None
    measure: Measure = ACCURACY
    compared: Literal["last", "best"] = "last"
    titles: Mapping[str, str] = field(default_factory=dict)
    presets: tuple[Preset, ...] = PRESETS

    def heading(self, preset: Preset) -> str:
        """The heading in this form of the table."""
        return self.titles.get(preset, self.title)


def _method(label: str, shown: str) -> Row:
    return Row(label, shown, {"method": shown})


METHODS = (
    _method("baseline", "Baseline"), _method("ucb", "UCB"), _method("ka", "KA"),
    _method("infobatch", "InfoBatch"), _method("loss", "Loss"), _method("order", "Order"),
    _method("es", "ES"), _method("eswp", "ESWP"),
)  # fmt: skip
CONTROLS = (
    Row("random_set", "random_set", block="controls"),
    Row("random_batch", "random_batch", block="controls"),
    Row("short_es", "short@ES", block="controls"),
    Row("short_eswp", "short@ESWP", block="controls"),
    Row("loss_anneal", "loss_anneal", block="controls"),
)
# Table 6's rows, the paper's names behind ours; `baseline` is what costs are compared with.
ABLATIONS = (
    Row("baseline", "Baseline"),
    Row("loss", "Loss", {"method": "Loss"}),
    Row("nondif", "Loss + NonDif", {"method": "Loss + NonDif"}),
    Row("dif", "Loss + Dif", {"method": "Loss + Dif"}),
    Row("loss_anneal", "Loss + A", {"method": "Loss + A"}),
    Row("nondif_anneal", "Loss + A + NonDif", {"method": "Loss + A + NonDif"}),
    Row("es", "ES = Loss + A + Dif", {"method": "ES = Loss + A + Dif"}),
)
# Rows whose point is another length of training: all else must still be the baseline's.
OWN_LENGTH = frozenset({
    "short_75", "short_es", "short_eswp", "short_eswp_r0.3", "short_eswp_r0.5",
})  # fmt: skip


@dataclass(frozen=True)
class TableSpec:
    """What a table shows.

    Args:
        name: as the command line knows it.
        title: of the whole document.
        settings: its blocks.
        make: the target that makes it.
        presets: the forms in which it exists.
        paper: number of the paper's table, None where it has none.
        rows: its lines, in order.
        notes: lines for the legend, by preset; "" is for every preset.
    """

    name: str
    title: str
    settings: tuple[Setting, ...]
    make: str
    presets: tuple[Preset, ...] = PRESETS
    paper: int | None = None
    rows: tuple[Row, ...] = METHODS + CONTROLS
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def experiment(self, setting: Setting, preset: Preset) -> str:
        """The experiment's name as `members.jsonl` has it."""
        return setting.experiment if preset == "paper" else f"{preset}/{setting.experiment}"

    def blocks(self, preset: Preset) -> tuple[Setting, ...]:
        """The settings that exist in this form."""
        return tuple(setting for setting in self.settings if preset in setting.presets)

    def remarks(self, preset: Preset) -> list[str]:
        """The legend's own lines of this form."""
        return [*self.notes.get("", ()), *self.notes.get(preset, ())]


def experiments(spec: TableSpec, preset: Preset) -> list[str]:
    """The experiments whose runs the table shows."""
    return [spec.experiment(setting, preset) for setting in spec.blocks(preset)]
