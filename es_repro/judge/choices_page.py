"""Choices that were decided, as a table, in Markdown and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from es_repro.judge.choices import Decided
from es_repro.judge.planning import LEVEL
from es_repro.report import markdown
from es_repro.report.style import MUTED, save, styled
from es_repro.storage.files import write_atomically

__all__ = ["as_frame", "draw", "to_markdown", "write_choices"]

_COLOURS = {"better": "#009E73", "worse": "#D55E00", "equivalent": "#0072B2"}
_MARKERS = {"better": "^", "worse": "v", "equivalent": "s"}


def write_choices(made: Mapping[str, Any], found: Sequence[Decided], folder: Path) -> Path:
    """Write FOLDER/choices.{md,csv,png,pdf}; answers the page."""
    table = as_frame(found)
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    page = to_markdown(made, table, "choices.png")
    write_atomically(folder / "choices.csv", lambda file: file.write(text.encode()))
    write_atomically(folder / "choices.md", lambda file: file.write(page.encode()))
    save(draw(table), folder / "choices.png")
    return folder / "choices.md"


def as_frame(found: Sequence[Decided]) -> pd.DataFrame:
    """A line a choice and workload: the alternative against ours, in points."""
    return pd.DataFrame(
        [
            {
                "question": one.choice.question, "ours": one.choice.ours,
                "other": one.choice.other, "workload": one.workload.name,
                "title": one.workload.title, "seeds": one.seeds,
                "difference": one.decision.trial.difference.mean,
                "half_width": one.decision.half_width, "margin": one.decision.trial.margin,
                "verdict": one.decision.word,
                "though": one.decision.though, "cost": one.cost,
                "rate_ours": one.rates[0], "rate_other": one.rates[1],
            }
            for one in found
        ]
    )  # fmt: skip


def to_markdown(made: Mapping[str, Any], table: pd.DataFrame, picture: str) -> str:
    """The page.

    Args:
        made: command, machine and what was not tried.
        table: as `as_frame` answers it.
        picture: its file beside the page.
    """
    seeds = " or ".join(str(count) for count in sorted(set(table["seeds"]), reverse=True))
    margins = " or ".join(f"{margin:g}" for margin in sorted(set(table["margin"])))
    workloads = list(dict.fromkeys(table["workload"]))
    rows = []
    for names, lines in table.groupby(["question", "ours", "other"], sort=False):
        cells = {line["workload"]: _cell(line) for _, line in lines.iterrows()}
        cost = f"{lines['cost'].mean():.0%}"
        rows.append([*map(str, names), cost, *(cells.get(name, "-") for name in workloads)])
    parts = [
        "# What the paper leaves open, decided on the judge's bed",
        f"`{made['command']}` at commit {str(made['commit'] or 'unknown')[:10]}"
        f"{' (with local changes)' if made['dirty'] else ''}; {made['device_name']}, "
        f"torch {made['torch']}.",
        "The alternative minus our default, in points of accuracy (on `logistic` of the distance "
        f"to the optimum), above 0: the alternative is better, with the {LEVEL:.0%} interval; "
        f"{seeds} seeds, paired, each side at its own tuned rate. The choices of a workload "
        f"are corrected together by Holm; equivalent is within {margins} points. "
        "*FLOPs*: the alternative's over ours. †: the two sides were tuned to different rates; "
        "part of the difference is the rate's, whose choice rests on a few tuning seeds.",
        f"![Differences of the alternatives to our defaults, by workload]({picture})",
        markdown.table(["choice", "ours", "alternative", "FLOPs", *workloads], rows),
    ]
    parts += [f"{name}: not tried: {why}" for name, why in made["missing"].items()]
    return "\n\n".join(parts) + "\n"


def draw(table: pd.DataFrame) -> Figure:
    """Differences with their intervals: a panel a workload, a line a choice."""
    names = [
        f"{one['question']}\n{one['other']}, not {one['ours']}"
        for _, one in _choices(table).iterrows()
    ]
    pairs = _choices(table)[["question", "other"]].to_numpy()
    places = {tuple(one): len(names) - 1 - k for k, one in enumerate(pairs)}
    panels = list(table.groupby("workload", sort=False))
    with styled():
        figure = Figure(
            figsize=(2.0 + 1.5 * len(panels), 0.8 + 0.45 * len(names)), layout="constrained"
        )
        for axes, (name, lines) in zip(
            figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
        ):
            margin = float(lines["margin"].iloc[0])
            axes.axvspan(-margin, margin, color="#EEEEEE", linewidth=0)
            axes.axvline(0, color=MUTED, linewidth=0.8)
            for _, one in lines.iterrows():
                verdict = str(one["verdict"])
                axes.errorbar(
                    one["difference"], places[one["question"], one["other"]],
                    xerr=one["half_width"], color=_COLOURS.get(verdict, MUTED),
                    marker=_MARKERS.get(verdict, "o"), markersize=5, elinewidth=1.2,
                    markerfacecolor=_COLOURS.get(verdict, "white"),
                )  # fmt: skip
            axes.set_title(str(name), fontsize=9)
            axes.set_yticks(list(places.values()), names)
            axes.margins(x=0.15)
        figure.supxlabel(
            "alternative minus default, points (band: margin; square: equivalent, up: better, "
            "down: worse, hollow: undecided)",
            fontsize=9,
        )
    return figure


def _choices(table: pd.DataFrame) -> pd.DataFrame:
    return table[["question", "ours", "other"]].drop_duplicates()


def _cell(line: pd.Series) -> str:
    though = f", though {line['though']}" if line["though"] else ""
    rates = " †" if line["rate_ours"] != line["rate_other"] else ""
    return f"{line['difference']:+.2f} ± {line['half_width']:.2f} {line['verdict']}{though}{rates}"
