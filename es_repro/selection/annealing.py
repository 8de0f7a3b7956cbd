"""The epochs between the annealing windows at either end of a run."""

import math
import warnings
from typing import Literal

from es_repro.selection.checks import as_choice, as_real

__all__ = ["AnnealingRounding", "selecting_epochs"]

AnnealingRounding = Literal["half_up", "floor", "ceil"]

EXACT = 1e-9  # (1 - 0.9) * 10 is 0.9999999999999998: a whole number missed by rounding error


def selecting_epochs(
    num_epochs: int,
    annealing_start: float,
    annealing_end: float,
    rounding: AnnealingRounding = "half_up",
) -> range:
    """The epochs that select; empty, with a warning, where the two windows meet.

    Args:
        num_epochs: E.
        annealing_start: share of E at the start that trains on everything, in [0, 1].
        annealing_end: the same at the end.
        rounding: of a window to whole epochs.

    Raises:
        ValueError: a value outside its range; the message names it.

    Source: methods.md 1.4.
    """
    start = as_real("annealing_start", annealing_start, "[0, 1]")
    end = as_real("annealing_end", annealing_end, "[0, 1]")
    as_choice("annealing_rounding", rounding, AnnealingRounding)
    first = _whole_epochs(start * num_epochs, rounding)
    last = num_epochs - _whole_epochs(end * num_epochs, rounding)
    if first < last:
        return range(first, last)
    warnings.warn(
        f"annealing_start={annealing_start}, annealing_end={annealing_end}: the windows cover all "
        f"{num_epochs} epochs, nothing is ever selected",
        stacklevel=4,  # this function, the method's constructor, create, the caller
    )
    return range(0)


def _whole_epochs(epochs: float, rounding: AnnealingRounding) -> int:
    if rounding == "half_up":
        return math.floor(epochs + 0.5)
    return math.floor(epochs + EXACT) if rounding == "floor" else math.ceil(epochs - EXACT)
