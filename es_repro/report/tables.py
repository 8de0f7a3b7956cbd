"""A table's numbers from the frame of runs: a row per setting and method. Pure."""

import json
from collections.abc import Iterator, Mapping

import pandas as pd
from scipy.stats import t as student_t

from es_repro.report.cells import reason, resolve
from es_repro.report.savings import Saving, cost_saved, time_saved
from es_repro.report.specs import (
    OWN_LENGTH,
    Measure,
    Preset,
    Row,
    Setting,
    TableSpec,
    experiments,
)

__all__ = ["build", "comparable", "finished", "observations", "paired_difference"]

_LEVEL = 0.95  # of the intervals of differences
_NUMBERS = [
    "value", "value_sd", "best", "best_sd", "difference", "difference_low", "difference_high",
    "time_saved", "time_low", "time_high", "paired_saved", "paired_low", "paired_high",
    "steps_saved", "bp_saved", "flops_saved", "train_seconds", "paper_value",
    "paper_difference", "paper_time_saved", "paper_delta",
]  # fmt: skip


def observations(spec: TableSpec, runs: pd.DataFrame, preset: Preset) -> pd.DataFrame:
    """The finished runs of a table's cells, one a seed: what its means are taken over.

    Returns:
        The columns of `runs.tidy` and setting, value, best (in the measure's unit), on_test (false:
        a validation cut).
    """
    kept, _ = resolve(runs[runs["experiment"].isin(experiments(spec, preset))])
    parts = [
        finished(kept[kept["experiment"] == spec.experiment(setting, preset)], setting.measure)
        .assign(setting=setting.heading(preset))
        for setting in spec.blocks(preset)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


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
        Columns: setting, experiment, block, row, method; state (empty, or why there is no value);
        metric (test or validation: the split), measure (the metric's name), value, value_sd (last
        epoch), best, best_sd (best epoch), num_seeds, num_asked, seeds; difference,
        difference_low, difference_high, num_pairs (to the baseline, paired by seed, of the value
        that the table compares);
        `X_saved` for X in time, steps, bp, flops, with time_low, time_high, time_origin;
        paired_saved, paired_low, paired_high where a paired measurement stands beside comparable
        clocks, and clock_agrees, whether time_saved lies in that interval; contended,
        train_seconds; paper_value, paper_printed, paper_difference, paper_time_saved,
        paper_time_printed, paper_note, paper_delta, paper_state.
        Values are in the measure's unit, savings in percent.
    """
    kept, _ = resolve(runs[runs["experiment"].isin(experiments(spec, preset))])
    rows = [
        row for setting in spec.blocks(preset) for row in _block(spec, setting, preset, kept, paper)
    ]
    first = ["setting", "experiment", "block", "row", "method"]
    table = pd.DataFrame(rows).astype(dict.fromkeys(_NUMBERS, "float64"))
    return table[[*first, *table.columns.difference(first, sort=False)]]


def _block(
    spec: TableSpec,
    setting: Setting,
    preset: Preset,
    kept: pd.DataFrame,
    paper: pd.DataFrame | None,
) -> Iterator[dict[str, object]]:
    experiment = spec.experiment(setting, preset)
    runs = kept[kept["experiment"] == experiment]
    baseline = finished(runs[runs["row"] == "baseline"], setting.measure)
    for line in spec.rows:
        row: dict[str, object] = {"block": line.block, "method": line.shown}
        row |= _row(line.label, runs, baseline, setting)
        row |= _reference(setting, line, paper)
        row |= {"setting": setting.heading(preset), "experiment": experiment}
        yield row | _against_paper(row, setting)


def _row(
    label: str, runs: pd.DataFrame, baseline: pd.DataFrame, setting: Setting
) -> dict[str, object]:
    asked, measure = runs[runs["row"] == label], setting.measure
    cell = finished(asked, measure)
    row: dict[str, object] = {"row": label, "state": "" if len(cell) else _state(asked, measure)}
    row |= _values(cell) | {"measure": measure.metric, "num_asked": len(asked)}
    row["contended"] = bool(cell["time/contended"].fillna(False).any())
    seconds = cell["time/train_seconds"].mean()
    row["train_seconds"] = None if pd.isna(seconds) else float(seconds)
    row["recipe_paper"] = bool(len(cell)) and bool(cell["config.recipe.paper"].fillna(False).all())
    same_work = comparable(label, cell, baseline)
    row["comparable"] = same_work
    column = _compared(setting)
    if label == "baseline" or not same_work:
        baseline = baseline.iloc[:0]
    return row | paired_difference(cell, baseline, column) | _savings(cell, baseline)


def finished(asked: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The runs that have a value of the measure, by seed, with columns value, best and on_test."""
    own = asked["headline"].fillna("test/accuracy").str.split("/").str[-1]
    names = own if not measure.metric else pd.Series(measure.metric, index=asked.index)
    test = _column(asked, "test/" + names)
    value = test.fillna(_column(asked, "validation/" + names))
    best = _column(asked, "test/" + names + "_best")
    best = best.fillna(_column(asked, "validation/" + names + "_best"))
    done = asked.assign(
        value=measure.scale * value, best=measure.scale * best, on_test=test.notna()
    )
    return done[(done["state"] == "finished") & value.notna()].sort_values("seed")


def _column(runs: pd.DataFrame, names: "pd.Series[str]") -> "pd.Series[float]":
    """Of each run the column of its name; missing where the frame has no such column."""
    values = [
        runs[name].iloc[place] if name in runs else None for place, name in enumerate(names)
    ]  # fmt: skip
    return pd.Series(values, index=runs.index, dtype="Float64")


def _state(asked: pd.DataFrame, measure: Measure) -> str:
    """Why a cell has no value: what its newest run says."""
    if asked.empty:
        return "not run"
    newest = asked.sort_values("order").iloc[-1]
    if newest["state"] != "finished":
        return reason(newest)
    return f"failed: no {measure.metric or measure.title.lower()} in its summary"


def _values(cell: pd.DataFrame) -> dict[str, object]:
    return {
        "metric": "test" if cell["on_test"].all() else "validation",
        **_mean(cell, "value"),
        **_mean(cell, "best"),
        "num_seeds": len(cell),
        "seeds": ",".join(str(seed) for seed in cell["seed"]),
    }


def _mean(cell: pd.DataFrame, column: str) -> dict[str, object]:
    """Mean and sample standard deviation, None where there are too few values."""
    values = cell[column].dropna().astype(float)
    return {
        column: float(values.mean()) if len(values) else None,
        f"{column}_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
    }


def comparable(label: str, cell: pd.DataFrame, baseline: pd.DataFrame) -> bool:
    """Whether a cell did the baseline's work: its model, data, task, precision and epochs."""
    if cell.empty or baseline.empty:
        return True
    ours, theirs = (_work(runs, label not in OWN_LENGTH) for runs in (cell, baseline))
    return ours == theirs


def _work(runs: pd.DataFrame, with_length: bool) -> dict[str, object]:
    text = runs["settings"].iloc[-1]
    flat: dict[str, object] = {} if pd.isna(text) else json.loads(text)
    kinds: tuple[str, ...] = (
        "dataset.", "model.", "task.", "meta_batch_size", "resolved precision",
    )  # fmt: skip
    kinds += ("epochs",) if with_length else ()
    work = {key: value for key, value in flat.items() if key.startswith(kinds)}
    return work | {"validation": not bool(runs["on_test"].all())}


def paired_difference(cell: pd.DataFrame, baseline: pd.DataFrame, column: str) -> dict[str, object]:
    """Mean difference over the seeds that both have, with its t interval."""
    pairs = (
        cell[["seed", column]]
        .merge(baseline[["seed", column]], on="seed", suffixes=("", "_baseline"))
        .dropna()
    )
    if pairs.empty:
        return {"difference": None, "difference_low": None, "difference_high": None, "num_pairs": 0}
    differences = (pairs[column] - pairs[f"{column}_baseline"]).astype(float)
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


def _reference(setting: Setting, row: Row, paper: pd.DataFrame | None) -> dict[str, object]:
    empty: dict[str, object] = {
        "paper_value": None, "paper_difference": None, "paper_time_saved": None, "paper_note": "",
        "paper_printed": "", "paper_time_printed": "",
    }  # fmt: skip
    if paper is None or row.paper is None or setting.paper is None:
        return empty
    wanted: Mapping[str, str] = {**setting.paper, **row.paper}
    found = paper[(paper[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    if found.empty:
        return empty
    line = found.iloc[0]
    notes = str(line["note"]).split("; ")
    values = [line[name] for name in ("value", "delta_signed", "time_saved_pct")]
    return dict(
        zip(
            empty,
            (
                *(None if pd.isna(value) else float(value) for value in values),
                "; ".join(note for note in notes if note and not note.startswith("printed with")),
                line["printed"], line["printed_time_saved"],
            ),
            strict=True,
        )
    )  # fmt: skip


def _compared(setting: Setting) -> str:
    return "best" if setting.compared == "best" else "value"


def _against_paper(row: Mapping[str, object], setting: Setting) -> dict[str, object]:
    """Measured minus reported value, where the recipe is the paper's."""
    measured, reported = row[_compared(setting)], row["paper_value"]
    if not isinstance(measured, float) or not isinstance(reported, float):
        return {"paper_delta": None, "paper_state": ""}
    if not row["recipe_paper"] or row["metric"] != "test":
        return {"paper_delta": None, "paper_state": "other recipe"}
    return {"paper_delta": measured - reported, "paper_state": ""}
