"""Which runs make up a cell (experiment, row), and which are listed instead. Pure."""

import json
from collections.abc import Hashable, Iterator

import pandas as pd

__all__ = ["reason", "resolve"]

_SHOWN_DIFFERENCES = 3
_CELL = ["experiment", "row"]


def resolve(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the frame of runs into those of the cells and those to list below a table.

    Within a cell the newest run speaks for a seed, and the newest configuration for the cell; a
    line that found no data never replaces a run.

    Args:
        runs: the tidy frame of `runs.tidy`.

    Returns:
        The cells' runs, one a seed, any state; and what a reader must know of: experiment, row,
        seed, run, reason, for every run replaced, of another configuration, or without a result.
    """
    runs = runs.assign(has_run=runs["run"].notna()).sort_values(["has_run", "order"])
    newest = ~runs.duplicated([*_CELL, "seed"], keep="last")
    listed = [
        _listing(run, "replaced by a newer run of the same seed")
        for run in _rows(runs[~newest & runs["has_run"]])
    ]
    kept = runs[newest].drop(columns="has_run")
    different: dict[Hashable, str] = {}
    for _, cell in kept.groupby(_CELL, sort=False):
        different |= _differences(cell)
    listed += [
        _listing(run, f"another configuration: {different[run.name]}")
        for run in _rows(kept[kept.index.isin(list(different))])
    ]
    kept = kept[~kept.index.isin(list(different))].sort_values("order")
    unfinished = kept[~kept["state"].isin(["finished", "no data"])]
    listed += [_listing(run, reason(run)) for run in _rows(unfinished)]
    silent = [run for run in _rows(kept[kept["state"] == "finished"]) if not _says_something(run)]
    listed += [_listing(run, "finished, but its summary has no result") for run in silent]
    columns = ["experiment", "row", "seed", "run", "reason"]
    return kept, pd.DataFrame(listed, columns=columns)


def reason(run: pd.Series) -> str:
    """Why a run has no result, in the words of the tables' legend."""
    progress = "" if pd.isna(run["epochs_done"]) else f" after {int(run['epochs_done'])}"
    if progress and not pd.isna(run["config.epochs"]):
        progress += f" of {int(run['config.epochs'])} epochs"
    match run["state"]:
        case "no data":
            return "not run (no data)"
        case "missing":
            return "not run"
        case "failed":
            return f"failed: {run['error']}"
        case state:
            return f"{state}{progress}"


def _says_something(run: pd.Series) -> bool:
    """Whether a finished run has a value of its headline; of accuracy where it names none."""
    named = [] if pd.isna(run.get("headline")) else [run["headline"]]
    names = named or ["test/accuracy", "validation/accuracy"]
    return any(not pd.isna(run.get(name)) for name in names)


def _differences(cell: pd.DataFrame) -> dict[Hashable, str]:
    """How the cell's runs differ from its newest configuration: by index, those that do."""
    known = cell[cell["settings"].notna()].sort_values("order")
    if known.empty:
        return {}
    newest = json.loads(known["settings"].iloc[-1])
    found: dict[Hashable, str] = {}
    for index, text in known["settings"].items():
        other = json.loads(text)
        keys = [k for k in sorted(newest.keys() | other.keys()) if newest.get(k) != other.get(k)]
        if keys:
            shown = [f"{k}={other.get(k)} (table: {newest.get(k)})" for k in keys]
            more = len(shown) - _SHOWN_DIFFERENCES
            found[index] = ", ".join(shown[:_SHOWN_DIFFERENCES]) + (
                f" and {more} more" if more > 0 else ""
            )
    return found


def _listing(run: pd.Series, why: str) -> dict[str, object]:
    return {
        "experiment": run["experiment"], "row": run["row"], "seed": run["seed"],
        "run": run["run"], "reason": why,
    }  # fmt: skip


def _rows(frame: pd.DataFrame) -> Iterator[pd.Series]:
    return (row for _, row in frame.iterrows())
