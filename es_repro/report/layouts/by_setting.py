"""The plain layout: per setting a line a method, then its controls (Tables 2, 3, 6, 7, 8)."""

from collections.abc import Iterator

import pandas as pd

from es_repro.report.sheet import Part, Sheet, number
from es_repro.report.specs import Measure, Preset, Setting, TableSpec
from es_repro.report.tables import build

__all__ = ["common_legend", "difference_cell", "numbers", "sheet", "time_cell", "value_cell"]

_STATE_WIDTH = 48  # characters of a reason inside a cell; the list below has all of it
_TEXT_ONLY = ["recipe_paper", "paper_printed", "paper_time_printed"]


def sheet(spec: TableSpec, runs: pd.DataFrame, paper: pd.DataFrame | None, preset: Preset) -> Sheet:
    """A table by setting.

    Args:
        spec: which table.
        runs: the tidy frame of `runs.tidy`.
        paper: the paper's table, None where it has none.
        preset: which runs.
    """
    table = build(spec, runs, paper, preset)
    return Sheet(
        tuple(_parts(spec, table, preset)),
        (*_legend(spec, table, preset), *spec.remarks(preset)),
        numbers(spec, table, preset),
    )


def numbers(spec: TableSpec, table: pd.DataFrame, preset: Preset) -> pd.DataFrame:
    """The table for CSV; where it has one measure, the value's columns are called after it."""
    settings = spec.blocks(preset)
    dropped = [*_TEXT_ONLY]
    if all(setting.compared == "last" for setting in settings):
        dropped += ["best", "best_sd"]
    metrics = {setting.measure.metric for setting in settings}
    name = metrics.pop() if len(metrics) == 1 else ""
    if not name:
        return table.drop(columns=dropped)
    words = {"value": name, "value_sd": f"{name}_sd", "paper_value": f"paper_{name}"}
    return table.drop(columns=[*dropped, "measure"]).rename(columns=words)


def _parts(spec: TableSpec, table: pd.DataFrame, preset: Preset) -> Iterator[Part]:
    for setting in spec.blocks(preset):
        heading = setting.heading(preset)
        for block, name in (("methods", ""), ("controls", "Controls")):
            lines = table[(table["setting"] == heading) & (table["block"] == block)]
            if len(lines):
                cells = [_cells(line, setting) for _, line in lines.iterrows()]
                yield Part(heading, name, _frame(cells))


def _frame(cells: list[dict[str, str]]) -> pd.DataFrame:
    """Lines as a frame, in the order of the longest one; a line without a column has "-" in it."""
    columns = max((list(line) for line in cells), key=len)
    return pd.DataFrame(cells, columns=columns).fillna("-")


def _cells(row: pd.Series, setting: Setting) -> dict[str, str]:
    measure = setting.measure
    cells = {"Method": str(row["method"])}
    if setting.compared == "best":
        cells |= {
            f"{measure.title}, best epoch": value_cell(row, measure, "best"),
            "last epoch": value_cell(row, measure),
        }
    else:
        cells[measure.title] = value_cell(row, measure)
    cells |= {
        "Seeds": _seeds(row),
        "vs Baseline": difference_cell(row, measure),
        "Time": time_cell(row),
        "Steps": number(row["steps_saved"], 1),
        "BP": number(row["bp_saved"], 1),
        "FLOPs": number(row["flops_saved"], 1),
    }
    if row["row"] == "baseline":
        cells |= dict.fromkeys(("Steps", "BP", "FLOPs"), "")
    if row["block"] == "methods" and not pd.isna(row["paper_value"]):
        reference = row["row"] == "baseline"
        cells |= {
            "Paper": str(row["paper_printed"]),
            "Paper vs B.": "" if reference else number(row["paper_difference"], 1, sign=True),
            "Paper time": "" if reference else str(row["paper_time_printed"]) or "-",
            "Ours - paper": row["paper_state"] or number(row["paper_delta"], 2, sign=True),
        }
    return cells


def value_cell(row: pd.Series, measure: Measure, column: str = "value") -> str:
    """Mean and spread of a cell, or why it has none."""
    if row["state"]:
        state = str(row["state"])
        return state if len(state) <= _STATE_WIDTH else f"{state[: _STATE_WIDTH - 1]}…"
    if pd.isna(row[column]):
        return "-"
    spread = "" if pd.isna(row[f"{column}_sd"]) else f" ± {row[f'{column}_sd']:.{measure.digits}f}"
    mark = "‡" if row["metric"] == "validation" else ""
    return f"{row[column]:.{measure.digits}f}{spread}{mark}"


def _seeds(row: pd.Series) -> str:
    count, asked = int(row["num_seeds"]), int(row["num_asked"])
    return "-" if asked == 0 or (count == 0 and row["state"].startswith("not run")) else (
        str(count) if count == asked else f"{count} of {asked}"
    )  # fmt: skip


def difference_cell(row: pd.Series, measure: Measure) -> str:
    """Difference to Baseline with its interval, or why it is not compared."""
    if row["row"] == "baseline":
        return ""
    if not row["comparable"]:
        return "other task"
    digits = measure.digits
    text = number(row["difference"], digits, sign=True)
    if pd.isna(row["difference_low"]):
        return text
    return f"{text} [{row['difference_low']:+.{digits}f}, {row['difference_high']:+.{digits}f}]"


def time_cell(row: pd.Series) -> str:
    """Time saved, Baseline's own seconds, or why clocks do not compare."""
    if row["row"] == "baseline":
        if pd.isna(row["train_seconds"]):
            return ""
        return f"({row['train_seconds']:.3g} s{', contended' if row['contended'] else ''})"
    if pd.isna(row["time_saved"]):
        why = row["time_origin"] in ("contended", "other clock")
        return f"- ({row['time_origin']})" if why else "-"
    text = number(row["time_saved"], 1)
    if not pd.isna(row["time_low"]) and not pd.isna(row["time_high"]):
        text += f" [{row['time_low']:.1f}, {row['time_high']:.1f}]"
    if row["time_origin"] == "paired":
        text += " † contended" if row["contended"] else " †"
    return text


def _legend(spec: TableSpec, table: pd.DataFrame, preset: Preset) -> list[str]:
    """What the table's columns and marks mean; a mark that does not occur is not explained."""
    settings = spec.blocks(preset)
    seen: dict[str, Setting] = {}
    for setting in settings:
        seen.setdefault(f"{setting.measure.title}: {setting.measure.unit}", setting)
    lines = []
    for text, setting in seen.items():
        best = "" if setting.compared == "last" else "and after the best one, which is compared "
        lines.append(
            f"{text} on the test split after the last epoch{', ' if not best else ' '}{best}"
            "mean ± sample standard deviation over the seeds. vs Baseline: points, paired by seed "
            "[95% t interval]."
            if setting.measure.higher_is_better
            else f"{text} on the test split after the last epoch, the lower the better; mean ± "
            "sample standard deviation over the seeds. vs Baseline: paired by seed [95% t "
            "interval]."
        )
    return lines + common_legend(table, settings[0].measure)


def common_legend(table: pd.DataFrame, measure: Measure) -> list[str]:
    """The legend behind the measures: savings, marks, states and the paper's columns.

    Args:
        table: from `tables.build`.
        measure: gives the word for what is compared, where it is one.
    """
    words = set(table["measure"])
    word = measure.title.lower() if len(words) == 1 and words != {""} else "the metric"
    lines = [
        "Saved against Baseline, in percent: Time (seconds of training alone), Steps (optimizer "
        "steps), BP (samples back-propagated), FLOPs (scoring included). Negative: it cost more."
    ]
    if (table["metric"].eq("validation") & table["num_seeds"].gt(0)).any():
        lines.append(f"‡ {word} on the validation cut, not on the test split.")
    if table["time_origin"].eq("paired").any():
        lines.append(
            "† the runs' own clocks do not compare (contended, or another machine or version): "
            "from a short paired measurement of the same configuration on the idle machine "
            "[its 95% interval]."
        )
    lines += _agreement(table)
    if table["contended"].any():
        lines.append("contended: other jobs ran on the machine; such clocks are not compared.")
    if table["time_origin"].eq("other clock").any():
        lines.append("other clock: device, threads, neighbours, precision or versions differ.")
    if (~table["comparable"]).any():
        lines.append(
            "other task: data, model, loss, precision or length differ from Baseline's; not "
            "compared."
        )
    lines.append('"-": no value. A cell without a result says why: not run, failed, running, ...')
    if table["paper_value"].notna().any():
        lines += _paper_legend(table, word)
    return lines


def _agreement(table: pd.DataFrame) -> list[str]:
    """The runs' own clocks and the paired steps' prediction, where a cell has both."""
    lines = []
    for _, row in table[table["clock_agrees"].notna()].iterrows():
        line = (
            f"Time, {row['method']} ({row['setting']}): clock {row['time_saved']:.1f}%, paired "
            f"{row['paired_saved']:.1f}% [{row['paired_low']:.1f}, {row['paired_high']:.1f}]"
        )
        if not row["clock_agrees"]:
            line += ". FINDING: the clock lies outside the interval of the paired steps"
        lines.append(f"{line}.")
    return lines


def _paper_legend(table: pd.DataFrame, word: str) -> list[str]:
    lines = [
        f"Paper: {word}, difference to its Baseline and percent of time saved as reported by the "
        "authors; the paper states no spread (the numbers after its ± are differences)."
    ]
    if table["paper_state"].eq("other recipe").any():
        lines.append("other recipe: not the paper's, so its number is a reference, not a target.")
    noted = table[table["paper_note"].ne("")]
    lines += [
        f"Paper, {', '.join(rows['method'])} ({setting}): {note}."
        for (setting, note), rows in noted.groupby(["setting", "paper_note"], sort=False)
    ]
    return lines
