"""The card on a terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from es_repro.judge.conduct import together

__all__ = ["show"]

COLUMNS = {
    "short": "short", "random_set": "random set", "random_batch": "random batch",
    "history": "no history",
}  # fmt: skip


def show(card: dict[str, Any], console: Console) -> None:
    """Print a table for each workload, a line for each method, and what the words mean.

    Args:
        card: as `card.card` answers it.
        console: where to.
    """
    for workload in card["workloads"]:
        console.print(_table(workload))
        for method in workload["methods"]:
            _say(console, f"- {method['line']}")
        for name, reason in workload["refused"].items():
            _say(console, f"- {name}: not judged: {reason}")
        edges = [arm["name"] for arm in workload["arms"] if not arm["interior"]]
        note = (
            f"{workload['statement']}. Tuning: {workload['tuning_runs']} runs, "
            f"{workload['tuning_budgets']:.0f} budgets beside {workload['reported_budgets']:.0f}."
        )
        if edges:
            note += f" Best rate at the end of the grid: {', '.join(edges)}."
        _say(console, note)
    for name, reason in card["missing"].items():
        _say(console, f"{name}: not tried: {reason}")
    for name, broken in card["contract"].items():
        for promises, message in together(broken):
            _say(console, f"{name}: breaks the contract ({promises}): {message}")


def _say(console: Console, line: str) -> None:
    """A line as it is, however wide the terminal."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(workload: dict[str, Any]) -> Table:
    unit = "accuracy" if workload["measure"] == "accuracy" else "distance, smaller is better"
    drawn = Table(
        title=f"{workload['name']}: {workload['title']} ({unit}, {workload['seeds']} seeds)",
        title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True,
    )  # fmt: skip
    drawn.add_column("")
    for heading in ("verdict", "mean", "FLOPs", "gain", *COLUMNS.values(), "step", "contract"):
        drawn.add_column(heading, justify="right")
    for method in workload["methods"]:
        controls = [
            _difference(method["controls"][kind]) if kind in method["controls"] else ""
            for kind in COLUMNS
        ]
        kept = "kept" if method["keeps_contract"] else "broken"
        drawn.add_row(
            method["name"], method["verdict"], f"{method['mean']:.2f} ± {method['spread']:.2f}",
            f"{method['cost']:.0%}", _plain(method["gain"]["text"]), *controls,
            f"×{method['step_ratio']:.1f}", kept,
        )  # fmt: skip
    return drawn


def _difference(comparison: dict[str, Any]) -> str:
    mark = {"better": " *", "worse": " *", "equivalent": " ="}.get(comparison["word"], "")
    mark += " *" if comparison["though"] else ""
    return f"{comparison['difference']:+.2f} ± {comparison['half_width']:.2f}{mark}"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")  # an interval, not rich's markup
