"""Tables from the frame of runs: which rows and settings a table has, and its numbers. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from scipy.stats import t as student_t

from es_repro.report.cells import reason, resolve
from es_repro.report.savings import Saving, cost_saved, time_saved

__all__ = [
    "PRESETS", "TABLES", "Preset", "Setting", "TableSpec", "build", "experiments", "table2",
]  # fmt: skip

Preset = Literal["demo", "small", "paper"]
PRESETS: tuple[Preset, ...] = ("demo", "small", "paper")
_LEVEL = 0.95  # of the intervals of differences
_NUMBERS = [
    "accuracy", "accuracy_sd", "difference", "difference_low", "difference_high", "time_saved",
    "time_low", "time_high", "paired_saved", "paired_low", "paired_high", "steps_saved", "bp_saved",
    "flops_saved", "train_seconds", "paper_accuracy", "paper_difference", "paper_time_saved",
    "paper_delta",
]  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A block of a table: one experiment, and where the paper's table has its numbers.

    Args:
        experiment: without the preset's prefix.
        title: as a heading.
        model, dataset: the paper's names in its table; None where the paper has no such setting.
    """

    experiment: str
    title: str
    model: str | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class TableSpec:
    """What a table shows; `presets` lists the forms it exists in and `make` the target it has."""

    name: str
    title: str
    settings: tuple[Setting, ...]
    make: str
    presets: tuple[Preset, ...] = PRESETS
    paper: int | None = None

    def experiment(self, setting: Setting, preset: Preset) -> str:
        """The experiment's name as `members.jsonl` has it."""
        return setting.experiment if preset == "paper" else f"{preset}/{setting.experiment}"


# Row label in members.jsonl -> (shown as, the paper's name for it); controls have none.
_METHODS = {
    "baseline": ("Baseline", "Baseline"), "ucb": ("UCB", "UCB"), "ka": ("KA", "KA"),
    "infobatch": ("InfoBatch", "InfoBatch"), "loss": ("Loss", "Loss"), "order": ("Order", "Order"),
    "es": ("ES", "ES"), "eswp": ("ESWP", "ESWP"),
}  # fmt: skip
_CONTROLS = {
    "random_set": "random_set", "random_batch": "random_batch", "short_es": "short@ES",
    "short_eswp": "short@ESWP", "loss_anneal": "loss_anneal",
}  # fmt: skip
# Rows whose point is another length of training: all else must still be the baseline's.
_OWN_LENGTH = frozenset({"short_es", "short_eswp"})

TABLES: dict[str, TableSpec] = {
    "table2": TableSpec(
        name="table2", title="Table 2: image classifiers trained from scratch", paper=2,
        make="make table2",
        settings=(
            Setting("table2_cifar10_resnet18", "CIFAR-10, ResNet-18", "ResNet-18", "CIFAR-10"),
            Setting("table2_cifar100_resnet18", "CIFAR-100, ResNet-18", "ResNet-18", "CIFAR-100"),
            Setting("table2_cifar100_resnet50", "CIFAR-100, ResNet-50", "ResNet-50", "CIFAR-100"),
        ),
    ),
    "demo": TableSpec(
        name="demo", title="Demo: every method on scikit-learn's digits", make="make demo",
        settings=(Setting("digits", "Digits"),), presets=("demo",),
    ),
}  # fmt: skip


def experiments(spec: TableSpec, preset: Preset) -> list[str]:
    """The experiments whose runs the table shows."""
    return [spec.experiment(setting, preset) for setting in spec.settings]


def table2(runs: pd.DataFrame, paper: pd.DataFrame, preset: Preset = "paper") -> pd.DataFrame:
    """Table 2 of the paper: accuracy and savings of eight methods on CIFAR, with controls."""
    return build(TABLES["table2"], runs, paper, preset)


def build(
    spec: TableSpec, runs: pd.DataFrame, paper: pd.DataFrame | None, preset: Preset
) -> pd.DataFrame:
    """A table as numbers: a row per setting and method, also for what was never run.

    Args:
        spec: which table.
        runs: the tidy frame of `runs.tidy`.
        paper: the paper's table (`paper_table`), None where it has none.
        preset: which runs.

    Returns:
        Columns: setting, experiment, block, row, method; state (empty, or why there is no
        accuracy); metric, accuracy, accuracy_sd, num_seeds, num_asked, seeds; difference,
        difference_low, difference_high, num_pairs (to the baseline, paired by seed);
        `X_saved` for X in time, steps, bp, flops, with time_low, time_high, time_origin;
        paired_saved, paired_low, paired_high where a paired measurement stands beside comparable
        clocks, and clock_agrees, whether time_saved lies in that interval; contended,
        train_seconds; paper_accuracy, paper_difference, paper_time_saved, paper_delta, paper_state.
        Accuracies and savings are in percent, differences in points.
    """
    kept, _ = resolve(runs[runs["experiment"].isin(experiments(spec, preset))])
    rows = [
        row
        for setting in spec.settings
        for row in _block(setting, spec.experiment(setting, preset), kept, paper)
    ]
    first = ["setting", "experiment", "block", "row", "method"]
    table = pd.DataFrame(rows).astype(dict.fromkeys(_NUMBERS, "float64"))
    return table[[*first, *table.columns.difference(first, sort=False)]]


def _block(
    setting: Setting, experiment: str, kept: pd.DataFrame, paper: pd.DataFrame | None
) -> list[dict[str, object]]:
    runs = kept[kept["experiment"] == experiment]
    baseline = _finished(runs[runs["row"] == "baseline"])
    rows = []
    for label, (shown, in_paper) in _METHODS.items():
        row = _row(label, runs, baseline)
        reference = _reference(setting, in_paper, paper)
        rows.append({"block": "methods", "method": shown} | row | reference)
    for label, shown in _CONTROLS.items():
        row = _row(label, runs, baseline)
        rows.append({"block": "controls", "method": shown} | row | _reference(setting, None, paper))
    for row in rows:
        row |= {"setting": setting.title, "experiment": experiment}
        row |= _against_paper(row)
    return rows


def _row(label: str, runs: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, object]:
    asked = runs[runs["row"] == label]
    cell = _finished(asked)
    row: dict[str, object] = {"row": label, "state": "" if len(cell) else _state(asked)}
    row |= _accuracy(cell) | {"num_asked": len(asked)}
    row["contended"] = bool(cell["time/contended"].fillna(False).any())
    seconds = cell["time/train_seconds"].mean()
    row["train_seconds"] = None if pd.isna(seconds) else float(seconds)
    row["recipe_paper"] = bool(len(cell)) and bool(cell["config.recipe.paper"].fillna(False).all())
    comparable = _comparable(label, cell, baseline)
    row["comparable"] = comparable
    if label == "baseline" or not comparable:
        return row | _difference(cell, baseline.iloc[:0]) | _savings(cell, baseline.iloc[:0])
    return row | _difference(cell, baseline) | _savings(cell, baseline)


def _finished(asked: pd.DataFrame) -> pd.DataFrame:
    accuracy = asked["test/accuracy"].fillna(asked["validation/accuracy"])
    done = asked.assign(accuracy=100 * accuracy)
    return done[(done["state"] == "finished") & accuracy.notna()].sort_values("seed")


def _state(asked: pd.DataFrame) -> str:
    """Why a cell has no accuracy: what its newest run says."""
    if asked.empty:
        return "not run"
    newest = asked.sort_values("order").iloc[-1]
    return reason(newest) if newest["state"] != "finished" else "failed: no accuracy in its summary"


def _accuracy(cell: pd.DataFrame) -> dict[str, object]:
    deviation = cell["accuracy"].std(ddof=1) if len(cell) > 1 else None
    return {
        "metric": "test" if cell["test/accuracy"].notna().all() else "validation",
        "accuracy": float(cell["accuracy"].mean()) if len(cell) else None,
        "accuracy_sd": None if deviation is None else float(deviation),
        "num_seeds": len(cell),
        "seeds": ",".join(str(seed) for seed in cell["seed"]),
    }


def _comparable(label: str, cell: pd.DataFrame, baseline: pd.DataFrame) -> bool:
    """Whether a cell trained the baseline's model on the baseline's data for as many epochs."""
    if cell.empty or baseline.empty:
        return True
    ours, theirs = (_work(runs, label not in _OWN_LENGTH) for runs in (cell, baseline))
    return ours == theirs


def _work(runs: pd.DataFrame, with_length: bool) -> dict[str, object]:
    text = runs["settings"].iloc[-1]
    flat: dict[str, object] = {} if pd.isna(text) else json.loads(text)
    kinds: tuple[str, ...] = ("dataset.", "model.", "meta_batch_size")
    kinds += ("epochs",) if with_length else ()
    work = {key: value for key, value in flat.items() if key.startswith(kinds)}
    return work | {"validation": bool(runs["test/accuracy"].isna().any())}


def _difference(cell: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, object]:
    """Mean difference over the seeds that both have, with its t interval."""
    pairs = cell[["seed", "accuracy"]].merge(
        baseline[["seed", "accuracy"]], on="seed", suffixes=("", "_baseline")
    )
    if pairs.empty:
        return {"difference": None, "difference_low": None, "difference_high": None, "num_pairs": 0}
    differences = (pairs["accuracy"] - pairs["accuracy_baseline"]).astype(float)
    mean, count = float(differences.mean()), len(differences)
    half = None
    if count > 1:
        quantile = float(student_t.ppf((1 + _LEVEL) / 2, count - 1))
        half = quantile * float(differences.std(ddof=1)) / count**0.5
    return {
        "difference": mean,
        "difference_low": None if half is None else mean - half,
        "difference_high": None if half is None else mean + half,
        "num_pairs": count,
    }


def _savings(cell: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, object]:
    time = time_saved(cell, baseline)
    check = time.check or Saving()
    return {
        "time_saved": time.value, "time_low": time.low, "time_high": time.high,
        "time_origin": time.origin,
        "paired_saved": check.value, "paired_low": check.low, "paired_high": check.high,
        "clock_agrees": time.agrees,
        "steps_saved": cost_saved(cell, baseline, "cost/optimizer_steps"),
        "bp_saved": cost_saved(cell, baseline, "cost/bp_samples"),
        "flops_saved": cost_saved(cell, baseline, "cost/flops"),
    }  # fmt: skip


def _reference(
    setting: Setting, method: str | None, paper: pd.DataFrame | None
) -> dict[str, object]:
    empty: dict[str, object] = {
        "paper_accuracy": None, "paper_difference": None, "paper_time_saved": None, "paper_note": ""
    }  # fmt: skip
    if paper is None or method is None or setting.model is None:
        return empty
    found = paper[
        (paper["method"] == method)
        & (paper["model"] == setting.model)
        & (paper["dataset"] == setting.dataset)
    ]
    if found.empty:
        return empty
    names = ("value", "delta_signed", "time_saved_pct")
    values: Sequence[float | None] = [
        None if pd.isna(found[name].iloc[0]) else float(found[name].iloc[0]) for name in names
    ]
    notes = str(found["note"].iloc[0]).split("; ")
    note = "; ".join(note for note in notes if note and not note.startswith("printed with"))
    return dict(zip(empty, (*values, note), strict=True))


def _against_paper(row: dict[str, object]) -> dict[str, object]:
    """Measured minus reported accuracy, where the recipe is the paper's."""
    measured, reported = row["accuracy"], row["paper_accuracy"]
    if not isinstance(measured, float) or not isinstance(reported, float):
        return {"paper_delta": None, "paper_state": ""}
    if not row["recipe_paper"] or row["metric"] != "test":
        return {"paper_delta": None, "paper_state": "other recipe"}
    return {"paper_delta": measured - reported, "paper_state": ""}
