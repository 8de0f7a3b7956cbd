"""A table on a terminal, with rich; `render` has the same cells as text for everything else."""

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from es_repro.report.render import blocks, legend

__all__ = ["show"]


def show(title: str, table: pd.DataFrame, notes: list[str], console: Console) -> None:
    """Print a table's blocks, its legend and further notes.

    Args:
        title: of the whole.
        table: from `tables.build`.
        notes: lines to print below the legend.
        console: where to.
    """
    console.print(f"[bold]{title}[/bold]")
    for setting, block, cells in blocks(table):
        drawn = Table(
            title=setting if block == "methods" else f"{setting}: controls",
            title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True,
        )  # fmt: skip
        for column in cells.columns:
            left = column == "Method"
            drawn.add_column(column, justify="left" if left else "right", no_wrap=left)
        for row in cells.itertuples(index=False, name=None):
            drawn.add_row(*(_plain(cell) for cell in row))
        console.print(drawn)
    for line in [*legend(table), *notes]:
        console.print(f"- {line}", markup=False, highlight=False, style="dim")


def _plain(cell: str) -> str:
    return cell.replace("[", r"\[")  # an interval, not rich's markup
