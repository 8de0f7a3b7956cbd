"""The files that another run left, found by what that run was asked for as."""

import json
from pathlib import Path

__all__ = ["file_of_run"]


def file_of_run(root: Path, experiment: str, row: str, seed: int, name: str) -> Path:
    """The file `name` of the run that was last asked for as (experiment, row, seed).

    Args:
        root: the run root, whose `members.jsonl` says which run that is.
        experiment: its label there.
        row: likewise.
        seed: likewise.
        name: of the file in the run's folder.

    Raises:
        ValueError: it was never asked for, has not finished, or left no such file.
    """
    asked = f"{experiment}, row {row}, seed {seed}"
    run = _run_of(root / "members.jsonl", {"experiment": experiment, "row": row, "seed": seed})
    if run is None:
        raise ValueError(f"model.weights: {asked} has not been run in {root}; run it first")
    if not (root / run / "done").exists():
        raise ValueError(
            f"model.weights: run {run} ({asked}) has not finished; run it again to go on with it"
        )
    if not (root / run / name).exists():
        raise ValueError(
            f"model.weights: run {run} ({asked}) left no {name}; run it again with resume=never"
        )
    return root / run / name


def _run_of(members: Path, wanted: dict[str, object]) -> str | None:
    """The run of the last line that fits; lines that a kill tore are passed over."""
    found = None
    try:
        lines = members.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        try:
            member = json.loads(line)
        except ValueError:
            continue
        if member.get("run") and all(member.get(key) == value for key, value in wanted.items()):
            found = str(member["run"])
    return found
