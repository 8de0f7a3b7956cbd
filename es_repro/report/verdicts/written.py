"""The ledger as Markdown, JSON and a terminal's table. Pure."""

import json
from collections.abc import Iterator

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from es_repro.report import markdown
from es_repro.report.document import provenance
from es_repro.report.verdicts.ledger import COMPUTED, VERDICTS
from es_repro.report.verdicts.rules import LEVEL

__all__ = ["counted", "show", "to_json", "to_markdown"]

LEGEND = (
    "*Reproduced, not reproduced*: decided, at the 5% level, from runs of the paper's own recipe. "
    "Everything else is *not decided* (with the half-width ±x of the 95% interval), *insensitive* "
    "or *not run*.",
    '"Loses no accuracy" is tested as: it loses less than half of what `short`, the baseline '
    "trained to its end at the method's cost, loses. The margin is measured on the same seeds and "
    "its error is in the test; a loss that is seen and lies within it is said. *Insensitive*: "
    "`short` loses nothing that can be seen, so that losing nothing is no merit.",
    '"Beats": the paired difference over the seeds is above 0; not reproduced where it lies below '
    "half of the paper's. A claim on several rows holds where all do, and the weakest is shown.",
    '"Beats the baseline trained to its end at the method\'s own FLOPs": the paired difference to '
    "`short` is above 0, not reproduced where it is below. The paper has no such row; a saving is "
    "worth something only past it. `short` trains whole epochs: the claim does not hold where it "
    "had over 6% fewer FLOPs than the method, nor fail where it had over 6% more.",
    "Time and memory are held against the printed percentage, and count as the paper's only on a "
    "GPU.",
    "*On another recipe*: runs of a reduced form (small, demo). They speak for a claim or against "
    "it and decide nothing about the paper.",
    "**Primary** claims of a table are corrected together by Holm; all others are exploratory, "
    "uncorrected.",
    "*From its test examples alone*: how far the paper's difference may be off because its test "
    "split is finite, if the two nets err independently (less where they err alike); the spread "
    "between trainings, which the paper does not print, comes on top. p: a sign test if every "
    "example of the difference went the same way, the best that a single pair of nets could show.",
    "*Equivalent compute*: FLOPs that the baseline needs for the method's accuracy, on its own "
    "frontier of shorter runs, over the method's; ≤ and ≥ where that lies outside the frontier. "
    "Its interval needs five seeds.",
)


def to_markdown(table: pd.DataFrame, used: pd.DataFrame, commands: list[str]) -> str:
    """The whole document.

    Args:
        table: the ledger.
        used: the finished runs that were looked at.
        commands: how it was made.
    """
    sections = ["# Verdicts on the paper's claims", *counted(table), "## How to read it"]
    sections.append(markdown.bullets(LEGEND))
    runs = table[table["kind"] == "runs"]
    first = runs["where"].str.split(",").str[0]
    for place in first.drop_duplicates():
        mine = runs[first == place]
        sections += [f"## {place}", _shown(pd.DataFrame(list(_lines(mine))))]
    beside = runs[runs["controls"].ne("") | runs["gain_shown"].ne("")]
    if len(beside):
        sections += ["## Beside the random controls, and in equivalent compute",
                     _shown(pd.DataFrame(list(_beside(beside))))]  # fmt: skip
    for kind, heading in (("arithmetic", "The paper's printed numbers, against one another"),
                          ("theory", "Its theory, computed (`make theory`)")):  # fmt: skip
        mine = table[table["kind"] == kind]
        if len(mine):
            shown = mine[["where", "claim", "verdict", "why"]]
            names = {"where": "Where", "claim": "Claim", "verdict": "Verdict", "why": "Computed"}
            sections += [f"## {heading}", _shown(shown.rename(columns=names))]
    noted = runs[runs["notes"].ne("")]
    if len(noted):
        lines = [f"{row['name']}: {row['notes']}" for _, row in noted.iterrows()]
        sections += ["## Notes", markdown.bullets(lines)]
    sections += ["## Provenance", markdown.bullets(provenance(used, commands))]
    return "\n\n".join(sections) + "\n"


def to_json(table: pd.DataFrame, commands: list[str]) -> str:
    """Level, command and every row; what is unknown is null."""
    rows = json.loads(table.to_json(orient="records"))
    whole = {"level": LEVEL, "commands": commands, "claims": rows}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def counted(table: pd.DataFrame) -> list[str]:
    """How many claims came out how, a line a kind."""
    lines = []
    for kind, words, shown in (
        ("runs", VERDICTS, "Claims that runs decide"),
        ("arithmetic", COMPUTED, "Claims that the paper's printed numbers decide"),
        ("theory", COMPUTED, "Claims of the theory"),
    ):
        mine = table[table["kind"] == kind]["verdict"]
        if len(mine):
            counts = ", ".join(f"{(mine == word).sum()} {word}" for word in words)
            lines.append(f"{shown}: {len(mine)}. {counts}.")
    return lines


def show(table: pd.DataFrame, console: Console) -> None:
    """The ledger on a terminal: what is decided or has evidence, then what was not run."""
    runs = table[table["kind"] == "runs"]
    silent = runs["verdict"].eq("not run") & runs["elsewhere"].eq("")
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name, ratio in (("Claim", 3), ("Paper", 2), ("Verdict", 2), ("On another recipe", 4)):
        drawn.add_column(name, ratio=ratio, overflow="fold")
    for _, row in runs[~silent].iterrows():
        cells = (_sentence(row), row["paper"], _verdict(row), row["elsewhere"])
        drawn.add_row(*(str(cell).replace("[", r"\[") for cell in cells))
    console.print(drawn)
    console.print(f"not run: {', '.join(runs[silent]['name'])}", markup=False, highlight=False)
    false = table[table["verdict"] == COMPUTED[1]]
    for _, row in false.iterrows():
        text = f"does not hold ({row['where']}): {row['claim']}: {row['why']}"
        console.print(text, markup=False, highlight=False, style="dim")
    for line in counted(table):
        console.print(line, markup=False, highlight=False)


def _lines(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    for _, row in runs.iterrows():
        yield {
            "Claim": f"**{_sentence(row)}**" if row["role"] == "primary" else _sentence(row),
            "Paper": row["paper"] or "no number",
            "From its test examples alone": row["paper_resolution"] or "-",
            "Verdict": _verdict(row),
            "On another recipe": row["elsewhere"] or "-",
        }


def _beside(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    for _, row in runs.iterrows():
        yield {
            "Claim": str(row["claim"]), "Recipe": str(row["recipe"]),
            "Equivalent compute": row["gain_shown"] or "-",
            "Beside picks at random it is": row["controls"] or "too few seeds to say",
        }  # fmt: skip


def _sentence(row: pd.Series) -> str:
    return f"{row['claim']}{' (primary)' if row['role'] == 'primary' else ''}"


def _verdict(row: pd.Series) -> str:
    why = str(row["why"])
    if row["verdict"] == "not run" and why.endswith(": not run"):
        return "not run"
    if row["verdict"] == "reproduced" and not pd.isna(row["p_for"]):
        why += f", p = {row['p_for']:.3g}"
    if row["verdict"] == "not reproduced" and not pd.isna(row["p_against"]):
        why += f", p = {row['p_against']:.3g}"
    return f"{row['verdict']}: {why}" if why else str(row["verdict"])


def _shown(cells: pd.DataFrame) -> str:
    rows = cells.astype(str).itertuples(index=False, name=None)
    return markdown.table(list(cells.columns), rows)
