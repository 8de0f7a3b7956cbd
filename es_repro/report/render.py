"""A table as text: Markdown, LaTeX, CSV. Pure; all three say the same words and digits."""

import re
from collections.abc import Iterator

import pandas as pd

__all__ = ["Block", "blocks", "legend", "to_csv", "to_latex", "to_markdown"]

_STATE_WIDTH = 48  # characters of a reason inside a cell; the list below has all of it

Block = tuple[str, str, pd.DataFrame]  # setting, "methods" or "controls", cells as text


def blocks(table: pd.DataFrame) -> Iterator[Block]:
    """The table's blocks as text cells: per setting its methods, then its controls.

    Args:
        table: from `tables.build`.
    """
    for setting in table["setting"].unique():
        for block in ("methods", "controls"):
            part = table[(table["setting"] == setting) & (table["block"] == block)]
            cells = pd.DataFrame([_cells(row) for _, row in part.iterrows()])
            yield str(setting), block, cells


def to_markdown(table: pd.DataFrame) -> str:
    """A heading and two Markdown tables a setting, and the legend of what occurs in them."""
    parts = []
    for setting, block, cells in blocks(table):
        parts.append(f"## {setting}" if block == "methods" else "Controls:")
        alignment = ["left"] + ["right"] * (len(cells.columns) - 1)
        escaped = cells.map(lambda text: text.replace("|", r"\|"))
        parts.append(escaped.to_markdown(index=False, disable_numparse=True, colalign=alignment))
    parts.append("## How to read it")
    parts.append("\n".join(f"- {line}" for line in legend(table)))
    return "\n\n".join(parts) + "\n"


def to_latex(table: pd.DataFrame, label: str) -> str:
    """A `table*` a setting, methods and controls parted by a rule; needs booktabs alone.

    Args:
        table: from `tables.build`.
        label: start of the LaTeX labels.
    """
    lines = ["% needs \\usepackage{booktabs}"]
    grouped: dict[str, list[pd.DataFrame]] = {}
    for setting, _, cells in blocks(table):
        grouped.setdefault(setting, []).append(cells)
    for number, (setting, (methods, controls)) in enumerate(grouped.items(), start=1):
        columns = list(methods.columns)
        controls = controls.reindex(columns=columns, fill_value="")
        lines += [
            "\\begin{table*}\n\\centering\n\\small\n\\setlength{\\tabcolsep}{4pt}",
            f"\\caption{{{_latex(setting)}}}\n\\label{{tab:{label}-{number}}}",
            f"\\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}\n\\toprule",
            _latex_row(columns),
            "\\midrule",
            *(_latex_row(list(row)) for row in methods.itertuples(index=False, name=None)),
            "\\midrule",
            *(_latex_row(list(row)) for row in controls.itertuples(index=False, name=None)),
            "\\bottomrule\n\\end{tabular}\n\\end{table*}",
        ]
    notes = "\n".join(f"% {line}" for line in legend(table))
    return "\n".join(lines) + f"\n{notes}\n"


def to_csv(table: pd.DataFrame) -> str:
    """The table's numbers, unrounded, a line a setting and method."""
    return table.drop(columns=["recipe_paper"]).to_csv(index=False, lineterminator="\n")


def legend(table: pd.DataFrame) -> list[str]:
    """What the table's columns and marks mean; a mark that does not occur is not explained."""
    lines = [
        "Accuracy: percent on the test split after the last epoch, mean ± sample standard "
        "deviation over the seeds. vs Baseline: points, paired by seed [95% t interval].",
        "Saved against Baseline, in percent: Time (seconds of training alone), Steps (optimizer "
        "steps), BP (samples back-propagated), FLOPs (scoring included). Negative: it cost more.",
    ]
    if (table["metric"].eq("validation") & table["num_seeds"].gt(0)).any():
        lines.append("‡ accuracy on the validation cut, not on the test split.")
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
        lines.append("other task: data, model or length differ from Baseline's; not compared.")
    lines.append('"-": no value. A cell without a result says why: not run, failed, running, ...')
    if table["paper_accuracy"].notna().any():
        lines += _paper_legend(table)
    return lines


def _agreement(table: pd.DataFrame) -> list[str]:
    """The runs' own clocks and the paired steps' prediction, where a cell has both."""
    both = table[table["clock_agrees"].notna()]
    lines = []
    for _, row in both.iterrows():
        line = (
            f"Time, {row['method']} ({row['setting']}): clock {row['time_saved']:.1f}%, paired "
            f"{row['paired_saved']:.1f}% [{row['paired_low']:.1f}, {row['paired_high']:.1f}]"
        )
        if not row["clock_agrees"]:
            line += ". FINDING: the clock lies outside the interval of the paired steps"
        lines.append(f"{line}.")
    return lines


def _paper_legend(table: pd.DataFrame) -> list[str]:
    lines = [
        "Paper: accuracy, difference to its Baseline and percent of time saved as reported by the "
        "authors; the paper states no spread (the numbers after its ± are differences)."
    ]
    if table["paper_state"].eq("other recipe").any():
        lines.append("other recipe: not the paper's, so its number is a reference, not a target.")
    noted = table[table["paper_note"].ne("")]
    lines += [
        f"Paper, {row['method']} ({row['setting']}): {row['paper_note']}."
        for _, row in noted.iterrows()
    ]
    return lines


def _cells(row: pd.Series) -> dict[str, str]:
    cells = {
        "Method": str(row["method"]),
        "Accuracy": _accuracy(row),
        "Seeds": _seeds(row),
        "vs Baseline": _difference(row),
        "Time": _time(row),
        "Steps": _number(row["steps_saved"], 1),
        "BP": _number(row["bp_saved"], 1),
        "FLOPs": _number(row["flops_saved"], 1),
    }
    if row["row"] == "baseline":
        cells |= dict.fromkeys(("Steps", "BP", "FLOPs"), "")
    if row["block"] == "methods" and not pd.isna(row["paper_accuracy"]):
        reference = row["row"] == "baseline"
        cells |= {
            "Paper": _number(row["paper_accuracy"], 1),
            "Paper vs B.": "" if reference else _number(row["paper_difference"], 1, sign=True),
            "Paper time": "" if reference else _number(row["paper_time_saved"], 0),
            "Ours - paper": row["paper_state"] or _number(row["paper_delta"], 2, sign=True),
        }
    return cells


def _accuracy(row: pd.Series) -> str:
    if row["state"]:
        state = str(row["state"])
        return state if len(state) <= _STATE_WIDTH else f"{state[: _STATE_WIDTH - 1]}…"
    spread = "" if pd.isna(row["accuracy_sd"]) else f" ± {row['accuracy_sd']:.2f}"
    mark = "‡" if row["metric"] == "validation" else ""
    return f"{row['accuracy']:.2f}{spread}{mark}"


def _seeds(row: pd.Series) -> str:
    count, asked = int(row["num_seeds"]), int(row["num_asked"])
    return "-" if asked == 0 or (count == 0 and row["state"].startswith("not run")) else (
        str(count) if count == asked else f"{count} of {asked}"
    )  # fmt: skip


def _difference(row: pd.Series) -> str:
    if row["row"] == "baseline":
        return ""
    if not row["comparable"]:
        return "other task"
    text = _number(row["difference"], 2, sign=True)
    if pd.isna(row["difference_low"]):
        return text
    return f"{text} [{row['difference_low']:+.2f}, {row['difference_high']:+.2f}]"


def _time(row: pd.Series) -> str:
    if row["row"] == "baseline":
        if pd.isna(row["train_seconds"]):
            return ""
        return f"({row['train_seconds']:.3g} s{', contended' if row['contended'] else ''})"
    if pd.isna(row["time_saved"]):
        why = row["time_origin"] in ("contended", "other clock")
        return f"- ({row['time_origin']})" if why else "-"
    text = _number(row["time_saved"], 1)
    if not pd.isna(row["time_low"]) and not pd.isna(row["time_high"]):
        text += f" [{row['time_low']:.1f}, {row['time_high']:.1f}]"
    if row["time_origin"] == "paired":
        text += " † contended" if row["contended"] else " †"
    return text


def _number(value: object, digits: int, *, sign: bool = False) -> str:
    if not isinstance(value, int | float) or pd.isna(value):
        return "-"
    rounded = round(float(value), digits) + 0.0  # no negative zero
    return f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "†": r"$^\dagger$", "‡": r"$^\ddagger$", "…": r"\dots{}",
    "<": r"$<$", ">": r"$>$", "|": r"$|$",
}  # fmt: skip


def _latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w\\])-(?=\d)", "$-$", escaped)


def _latex_row(cells: list[str]) -> str:
    first, *others = [_latex(cell) for cell in cells]
    # A row of a tabular that starts with `[` would be read as an argument of the `\\` before it.
    return " & ".join([f"{{}}{first}" if first.startswith("[") else first, *others]) + r" \\"
