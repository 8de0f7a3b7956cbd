"""A table on a terminal, with rich; `render` has the same cells as text for everything else."""

from rich import box
from rich.console import Console
from rich.table import Table

from es_repro.report.sheet import Sheet

__all__ = ["show"]


def show(title: str, sheet: Sheet, notes: list[str], console: Console) -> None:
    """Print a table's parts, its legend and further notes.

    Args:
        title: of the whole.
        sheet: the table.
        notes: lines to print below the legend.
        console: where to.
    """
    console.print(f"[bold]{title}[/bold]")
    for part in sheet.parts:
        drawn = Table(
            title=f"{part.heading}: {part.name.lower()}" if part.name else part.heading,
            title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True,
        )  # fmt: skip
        for position, column in enumerate(part.cells.columns):
            left = position == 0
            drawn.add_column(column, justify="left" if left else "right", no_wrap=left)
        for row in part.cells.itertuples(index=False, name=None):
            drawn.add_row(*(_plain(cell) for cell in row))
        console.print(drawn)
    for line in [*sheet.legend, *notes]:
        console.print(f"- {line}", markup=False, highlight=False, style="dim")


def _plain(cell: str) -> str:
    return cell.replace("[", r"\[")  # an interval, not rich's markup
