"""The evaluation sets of Table 9, read from parquet files under DATA_ROOT/math."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from es_repro.data.errors import DataDamaged, DataNotFound
from es_repro.selection.checks import one_of

__all__ = ["SETS", "Problem", "fingerprint", "read_problems"]

# Names and sizes: 500 + 30 + 675 problems (paper/experiments.md 6, Table 9).
SETS = {"math500": 500, "aime24": 30, "olympiadbench": 675}


@dataclass(frozen=True)
class Problem:
    """One problem and its reference answer.

    Attributes:
        name: of the set.
        number: of its row there, from 0.
        text: what the model is asked.
        answer: the reference, in LaTeX or plain.
    """

    name: str
    number: int
    text: str
    answer: str


def read_problems(folder: Path, sets: Sequence[str], limit: int | None = None) -> list[Problem]:
    """The problems of each set in turn, of each the first `limit`.

    Raises:
        DataNotFound: a file is not there.
        DataDamaged: a file that cannot be read, or has other columns.
        ValueError: a set that is none, or a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: must be at least 1")
    return [problem for name in sets for problem in _read(folder, name)[:limit]]


def fingerprint(problems: Iterable[Problem]) -> str:
    """Hash of the texts and answers, in order."""
    digest = hashlib.sha256()
    for problem in problems:
        for text in (problem.name, str(problem.number), problem.text, problem.answer):
            digest.update(text.encode())
            digest.update(b"\0")
    return digest.hexdigest()[:16]


def _read(folder: Path, name: str) -> list[Problem]:
    import pyarrow as pa  # here, for the rest of the package does without it
    import pyarrow.parquet as pq

    if name not in SETS:
        raise ValueError(f"sets={name}: must be {one_of(name, list(SETS))}")
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise DataNotFound(f"{path}: not found; --data must be a folder that holds {name}.parquet")
    try:
        table = pq.read_table(path, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataDamaged(f"{path}: no whole parquet file ({reason}); fetch it again") from error
    if missing := {"problem", "answer"} - set(table.column_names):
        raise DataDamaged(f"{path}: has no column {min(missing)}, only {table.column_names}")
    rows = zip(table["problem"].to_pylist(), table["answer"].to_pylist(), strict=True)
    found = [Problem(name, number, text, str(answer)) for number, (text, answer) in enumerate(rows)]
    if not found or any(not problem.text for problem in found):
        raise DataDamaged(f"{path}: holds no rows, or rows without a problem; fetch it again")
    return found
