"""The numbers that the paper reports, as data files (README.md beside them says how to read them).

Source: "Data-Efficient Training by Evolved Sampling" (Cheng, Li, Bian 2025), tables 1-9 and text.
"""

import csv
from importlib import resources

import pandas as pd

__all__ = ["paper_figures", "paper_table"]

_NUMBERS = {
    "value", "delta_signed", "time_saved_pct",
    "set_level", "batch_level", "uses_history", "uses_differences",
}  # fmt: skip


def paper_table(number: int) -> pd.DataFrame:
    """One table of the paper, a row a printed cell (a method in table 1).

    Numeric columns are numbers; `printed` and `printed_time_saved` keep the digits as they
    stand in the paper.

    Args:
        number: 1 to 9.

    Raises:
        ValueError: the paper has no such table.
    """
    file = resources.files(__name__) / f"table{number}.csv"
    if not file.is_file():
        raise ValueError(f"number={number}: must be 1 to 9, the tables of the paper")
    with file.open(encoding="utf-8") as lines:
        table = pd.DataFrame(list(csv.DictReader(lines)))
    if "value" in table:
        table["printed"] = table["value"]
        table["printed_time_saved"] = table["time_saved_pct"]
    for column in _NUMBERS & set(table.columns):
        table[column] = pd.to_numeric(table[column].replace("", None))
    return table


def paper_figures(topic: str) -> pd.DataFrame:
    """What the paper's text says about a figure, memory or a set-up.

    Args:
        topic: as in the first column of figures.csv: memory, fig5, ...

    Returns:
        Columns: topic, location, quantity, series, value, unit, kind (stated or derived), note.
    """
    with (resources.files(__name__) / "figures.csv").open(encoding="utf-8") as lines:
        facts = pd.DataFrame(list(csv.DictReader(lines)))
    return facts[facts["topic"] == topic].reset_index(drop=True)
