"""A table ready to be written: blocks of text cells, a legend, and the numbers behind them."""

from dataclasses import dataclass

import pandas as pd

__all__ = ["Part", "Sheet", "number"]


@dataclass(frozen=True)
class Part:
    """One rectangle of cells.

    Args:
        heading: what it stands under; parts in a row that share it are one block.
        name: said above it within the block; "" for the first.
        cells: text; the first column is the line's name.
    """

    heading: str
    name: str
    cells: pd.DataFrame


@dataclass(frozen=True)
class Sheet:
    """A table, whatever it is written as.

    Args:
        parts: in order.
        legend: a line each.
        numbers: unrounded, for the CSV file.
    """

    parts: tuple[Part, ...]
    legend: tuple[str, ...]
    numbers: pd.DataFrame


def number(value: object, digits: int, *, sign: bool = False) -> str:
    """A number as a cell; `-` where there is none."""
    if not isinstance(value, int | float) or pd.isna(value):
        return "-"
    rounded = round(float(value), digits) + 0.0  # no negative zero
    return f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"
