"""A method's checkpoints by optimizer step: minutes, benchmarks and their mean (Table 9)."""

from collections.abc import Mapping

import pandas as pd

from es_repro.report.cells import reason, resolve
from es_repro.report.sheet import Part, Sheet, number
from es_repro.report.specs import OWN_LENGTH, Preset, Row, TableSpec, experiments

__all__ = ["checkpoints", "sheet"]

BENCHMARKS: Mapping[str, str] = {  # name in results.json -> the paper's
    "math500": "MATH500",
    "aime24": "AIME24",
    "olympiadbench": "OlympiadBench",
}


def checkpoints(runs: pd.DataFrame) -> pd.DataFrame:
    """One line a run and evaluated checkpoint.

    Args:
        runs: the tidy frame of `runs.tidy`, with `evaluation/step-K/SET/accuracy` and the like.

    Returns:
        Columns: row, seed, run, recipe_paper, step, checkpoint (its place among the run's own,
        from 0), minutes (of training until then), a column a benchmark with
        pass@1 in percent, `SET_error` its standard error, `SET_samples` answers a
        problem, and mean over those that were evaluated.
    """
    steps = sorted({_step(name) for name in runs.columns if name.startswith("evaluation/step-")})
    lines = [
        _checkpoint(run, step)
        for _, run in runs.iterrows()
        for step in steps
        if any(not pd.isna(run.get(_key(step, name, "accuracy"))) for name in BENCHMARKS)
    ]
    own = [f"{name}{end}" for name in BENCHMARKS for end in ("", "_error", "_samples")]
    columns = ["row", "seed", "run", "recipe_paper", "step", "minutes", *own, "mean"]
    found = pd.DataFrame(lines, columns=columns)
    return found.assign(checkpoint=found.groupby(["row", "seed", "run"]).cumcount())


def sheet(spec: TableSpec, runs: pd.DataFrame, paper: pd.DataFrame | None, preset: Preset) -> Sheet:
    """A block a checkpoint, named by the steps of the runs of full length.

    A control of another length (short@ES) stands where its FLOPs are those of the method.
    Arguments as of `by_setting.sheet`.
    """
    kept, _ = resolve(runs[runs["experiment"].isin(experiments(spec, preset))])
    points = checkpoints(kept)
    parts, numbers = [], []
    for place in sorted(points["checkpoint"].unique()) or [None]:
        here = points[points["checkpoint"] == place] if place is not None else points
        whole = here[~here["row"].isin(OWN_LENGTH)]
        step = None if place is None else int((here if whole.empty else whole)["step"].min())
        cells = []
        for row in spec.rows:
            line = _numbers(row, step, here[here["row"] == row.label], paper)
            asked = kept[kept["row"] == row.label]
            numbers.append({"row": row.label, "method": row.shown, "step": step, **line})
            cells.append(_cells(row, line, asked))
        heading = "No checkpoint evaluated yet" if step is None else f"After {step:,} steps"
        parts.append(Part(heading, "", pd.DataFrame(cells)))
    legend = (*_legend(points, paper is not None), *spec.remarks(preset))
    return Sheet(tuple(parts), legend, pd.DataFrame(numbers))


def _checkpoint(run: pd.Series, step: int) -> dict[str, object]:
    line: dict[str, object] = {
        "row": run["row"], "seed": run["seed"], "run": run["run"], "step": step,
        "recipe_paper": bool(not pd.isna(run["config.recipe.paper"]))
        and bool(run["config.recipe.paper"]),
        "minutes": _value(run, f"evaluation/step-{step}/train_seconds", 1 / 60),
    }  # fmt: skip
    known = []
    for name in BENCHMARKS:
        accuracy = line[name] = _value(run, _key(step, name, "accuracy"), 100)
        known += [] if accuracy is None else [accuracy]
        line[f"{name}_error"] = _value(run, _key(step, name, "standard_error"), 100)
        line[f"{name}_samples"] = _value(run, _key(step, name, "samples"), 1)
    line["mean"] = sum(known) / len(known) if known else None
    return line


def _numbers(
    row: Row, step: int | None, points: pd.DataFrame, paper: pd.DataFrame | None
) -> dict[str, object]:
    """Means over the seeds, and the paper's numbers where it has this step."""
    line: dict[str, object] = {"num_seeds": len(points)}
    for name in ("minutes", *BENCHMARKS, "mean"):
        values = points[name].dropna().astype(float)
        line[name] = float(values.mean()) if len(values) else None
        line[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
    for name in BENCHMARKS:  # one seed has no spread, but its answers have an error
        errors = points[f"{name}_error"].dropna().astype(float)
        line[f"{name}_error"] = float(errors.mean()) if len(errors) else None
    line["recipe_paper"] = bool(len(points)) and bool(points["recipe_paper"].all())
    tasks = {"minutes": "SFT", **BENCHMARKS, "mean": "Averaged"}
    reported = _reported(row, step, paper)
    return line | {f"paper_{name}": reported.get(task) for name, task in tasks.items()}


def _reported(row: Row, step: int | None, paper: pd.DataFrame | None) -> dict[str, float]:
    if paper is None or row.paper is None or step is None or step % 1000:
        return {}
    mine = paper[
        (paper["method"] == row.paper["method"]) & (paper["setting"] == f"steps={step // 1000}K")
    ]
    return dict(zip(mine["task"], mine["value"].astype(float), strict=True))


def _cells(row: Row, line: Mapping[str, object], asked: pd.DataFrame) -> dict[str, str]:
    cells = {"Method": row.shown, "Minutes": number(line["minutes"], 1)}
    cells |= {shown: _benchmark(line, name) for name, shown in BENCHMARKS.items()}
    cells["Mean"] = _with_spread(line, "mean", line["mean_sd"])
    cells["Seeds"] = str(line["num_seeds"]) if line["num_seeds"] else _state(asked)
    if line["paper_mean"] is not None:
        names = ("minutes", *BENCHMARKS, "mean")
        printed = [number(line[f"paper_{name}"], 1) for name in names]
        cells["Paper: minutes"] = printed[0]
        cells["Paper: " + ", ".join(BENCHMARKS.values())] = ", ".join(printed[1:-1])
        cells["Paper: mean"] = printed[-1]
        ours, theirs = line["mean"], line["paper_mean"]
        compared = line["recipe_paper"] and isinstance(ours, float) and isinstance(theirs, float)
        cells["Ours - paper"] = (
            number(ours - theirs, 2, sign=True)  # type: ignore[operator]  # both are floats here
            if compared
            else "other recipe" if ours is not None else "-"
        )  # fmt: skip
    return cells


def _benchmark(line: Mapping[str, object], name: str) -> str:
    spread = line[f"{name}_sd"]
    return _with_spread(line, name, line[f"{name}_error"] if spread is None else spread)


def _with_spread(line: Mapping[str, object], name: str, spread: object) -> str:
    text = number(line[name], 1)
    return text if text == "-" or spread is None else f"{text} ± {number(spread, 1)}"


def _state(asked: pd.DataFrame) -> str:
    if asked.empty:
        return "not run"
    newest = asked.sort_values("order").iloc[-1]
    return "not evaluated" if newest["state"] == "finished" else reason(newest)


def _legend(points: pd.DataFrame, has_paper: bool) -> list[str]:
    lines = [
        "Minutes: of training alone until the checkpoint. Benchmarks: pass@1 in percent, "
        "temperature 1; Mean: over the benchmarks evaluated, each weighing the same. ±: sample "
        "standard deviation over the seeds, with one seed the standard error over the problems "
        "and answers of the benchmark (none for the mean).",
        "short@ES: the baseline over the steps that cost ES's FLOPs until the checkpoint (a step "
        "of ESWP costs the same), its schedule compressed; the other controls as in Table 2.",
        "Equal steps are not equal data: a pruned epoch has fewer steps, so at the same step a "
        "pruning method has begun more epochs.",
        '"-": no value; not evaluated: run `python -m es_repro.evaluate_maths` on the export.',
    ]
    for name, shown in BENCHMARKS.items():
        counts = sorted({int(count) for count in points[f"{name}_samples"].dropna()})
        if counts:
            lines.append(f"{shown}: {', '.join(map(str, counts))} answers a problem.")
    if has_paper:
        lines.append(
            "Paper: one answer a problem and one seed; an AIME24 problem is 3.3 points there, "
            "1.1 of the mean."
        )
    return lines


def _value(run: pd.Series, key: str, scale: float) -> float | None:
    value = run.get(key)
    return None if value is None or pd.isna(value) else scale * float(value)


def _key(step: int, name: str, what: str) -> str:
    return f"evaluation/step-{step}/{name}/{what}"


def _step(column: str) -> int:
    return int(column.split("/")[1].removeprefix("step-"))
