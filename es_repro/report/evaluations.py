"""What benchmarks say about a run's exported checkpoints: `results.json` files under step-K.

Such a file holds {"sets": {NAME: {accuracy, standard_error, problems, samples}}}, accuracy and its
error as shares in [0, 1]. It lies anywhere in the run's folder below one called `step-K`.
"""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

__all__ = ["evaluation_files", "read_evaluations"]

_STEP = re.compile(r"step-(\d+)$")
_NUMBERS = ("accuracy", "standard_error", "problems", "samples")
_SECONDS = "time/train_seconds"
_logger = logging.getLogger(__name__)


def evaluation_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """The run's (step, results.json), by step."""
    found = []
    for path in sorted(folder.glob("*/**/results.json")):
        steps = [_STEP.match(part) for part in path.relative_to(folder).parts]
        found += [(int(step[1]), path) for step in steps if step][:1]
    yield from sorted(found)


def read_evaluations(folder: Path, history: pd.DataFrame) -> dict[str, object]:
    """`evaluation/step-K/SET/accuracy` and the like, and `evaluation/step-K/train_seconds`.

    Args:
        folder: of the run.
        history: its lines, from `folders.read_history`; the seconds at a step are read off it,
            between two lines by the share of steps.
    """
    numbers: dict[str, object] = {}
    for step, path in evaluation_files(folder):
        try:
            sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
            for name, values in sets.items():
                for what in _NUMBERS:
                    numbers[f"evaluation/step-{step}/{name}/{what}"] = values.get(what)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            _logger.warning("%s is damaged and was skipped", path)
            continue
        numbers[f"evaluation/step-{step}/train_seconds"] = _seconds(step, history)
    return numbers


def _seconds(step: int, history: pd.DataFrame) -> float | None:
    if _SECONDS not in history or "step" not in history:
        return None
    known = history[history[_SECONDS].notna() & history["step"].ge(0)]
    points = {0: 0.0} | dict(
        zip(known["step"].astype(int), known[_SECONDS].astype(float), strict=True)
    )
    if step in points:
        return points[step]
    before = [other for other in points if other < step]
    after = [other for other in points if other > step]
    if not before or not after:
        return None
    low, high = max(before), min(after)
    share = (step - low) / (high - low)
    return points[low] + share * (points[high] - points[low])
