"""Read run folders (RUNS_ROOT): the record that every run keeps of itself.

A run that was killed, is still going or whose files are damaged is a row of the frame like any
other, with its state; only a root that cannot be read at all is an error.
"""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import yaml

from es_repro.report import ReportError
from es_repro.report.evaluations import evaluation_files, read_evaluations
from es_repro.report.runs import Member, Run, State
from es_repro.storage.lease import is_held

__all__ = [
    "MEMBERS",
    "changed_by_hand",
    "read_history",
    "read_members",
    "read_run",
    "read_runs",
    "run_root",
]

MEMBERS = "members.jsonl"
_LAST_PART = 2**18  # bytes: several lines of an epoch, class counts and all
LARGEST = 2**63  # a frame's integers
_RUN = re.compile(r"[\w-]+")  # the name of a folder in the root, and no path
_logger = logging.getLogger(__name__)


def run_root(given: Path | None) -> Path:
    """The folder of the runs: the one that was given, else RUNS_ROOT, else `runs`."""
    return given or Path(os.environ.get("RUNS_ROOT") or "runs")


def read_members(root: Path) -> list[Member]:
    """The runs that commands asked for, oldest first; a damaged line is warned of and skipped.

    Raises:
        ReportError: `root` cannot be read or nothing was ever asked for in it.
    """
    path = root / MEMBERS
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError as error:
        raise ReportError(
            f"no runs found in {root}: it has no {MEMBERS}; run `make demo` first, or set RUNS_ROOT"
        ) from error
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror or error}") from error
    members = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            members.append(_member(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            _logger.warning("%s, line %d is damaged and was skipped", path, number)
    return members


def _member(record: dict[str, object]) -> Member:
    experiment, row, seed, run = (record[key] for key in ("experiment", "row", "seed", "run"))
    texts = isinstance(experiment, str) and isinstance(row, str)
    counts = isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < LARGEST
    folder = run is None or (isinstance(run, str) and _RUN.fullmatch(run))
    if not (texts and counts and folder):
        raise ValueError("no member")
    return Member(experiment, row, seed, run)  # type: ignore[arg-type]  # checked above


def read_runs(root: Path, names: set[str]) -> dict[str, Run]:
    """The runs of `root` among `names` (hashes); those without a folder are left out."""
    return {name: read_run(root / name) for name in sorted(names) if (root / name).is_dir()}


def read_run(folder: Path) -> Run:
    """One run's record, as far as it can be read; damage shows in `state` and `error`."""
    damaged: list[str] = []
    summary = _read_json(folder / "summary.json", damaged)
    failure = _read_json(folder / "failed.json", damaged)
    environment = _read_json(folder / "environment.json", damaged)
    paired = _read_json(folder / "paired.json", [])  # beside the run: its damage is not the run's
    config = _read_config(folder / "config.yaml", damaged)
    state, error = _state(folder, summary, failure, damaged)
    history = read_history(folder) if state not in ("finished", "failed") else pd.DataFrame()
    done = _epochs_done(history)
    if any(evaluation_files(folder)):
        summary |= read_evaluations(folder, read_history(folder))
    return Run(
        state=state, error=error, epochs_done=done, config=config, summary=summary,
        environment=environment, paired=paired,
    )  # fmt: skip


def read_history(folder: Path) -> pd.DataFrame:
    """The run's history, last line per (kind, step), in the order of steps; torn lines skipped."""
    lines = {(row["kind"], row["step"]): row for row in _history_lines(folder / "history.jsonl")}
    frame = pd.DataFrame(list(lines.values()))
    return frame if frame.empty else frame.sort_values("step", kind="stable", ignore_index=True)


def changed_by_hand(folder: Path, summary: Mapping[str, object]) -> str | None:
    """How a finished run's headline differs from its last epoch's line; None where they agree.

    A run writes both from one number, so that a difference means files changed by hand.
    """
    headline, last = str(summary.get("headline", "test/accuracy")), None
    for row in _last_lines(folder / "history.jsonl"):
        last = row.get(headline, last) if row["kind"] == "epoch" else last
    said = summary.get(headline)
    if last is None or said is None or last == said:
        return None
    return f"changed by hand? {headline} is {said} in summary.json, {last} in history.jsonl"


def _last_lines(path: Path) -> Iterator[dict[str, object]]:
    """The whole lines in a history's last part, which holds its last epoch's."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LAST_PART))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return
    yield from _parsed(text)


def _epochs_done(history: pd.DataFrame) -> int | None:
    """How many epochs have ended: the line of an epoch says so of itself, from 1 on."""
    if "epoch" not in history:
        return None
    ended = pd.to_numeric(history.loc[history["kind"] == "epoch", "epoch"], errors="coerce").max()
    return None if pd.isna(ended) else int(ended)


def _history_lines(path: Path) -> Iterator[dict[str, object]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    yield from _parsed(text)


def _parsed(text: str) -> Iterator[dict[str, object]]:
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "kind" in row and "step" in row:
            yield row


def _state(
    folder: Path, summary: dict[str, object], failure: dict[str, object], damaged: list[str]
) -> tuple[State, str | None]:
    if (folder / "done").exists():
        if damaged:
            return "failed", f"damaged {', '.join(damaged)}"
        if summary.get("status") != "finished":
            return "failed", "done, but summary.json is missing or not finished"
        return "finished", None
    if is_held(folder):
        return "running", None
    if (folder / "failed.json").exists():
        kind, text = failure.get("type"), str(failure.get("error", "damaged failed.json"))
        first = (text.strip().splitlines() or [""])[0]
        return "failed", f"{kind}: {first}" if kind else first
    return "interrupted", None


def _read_json(path: Path, damaged: list[str]) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        content = None
    if isinstance(content, dict):
        return content
    damaged.append(path.name)
    _logger.warning("%s is damaged", path)
    return {}


def _read_config(path: Path, damaged: list[str]) -> dict[str, object]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        damaged.append(path.name)
        return {}
    except (OSError, ValueError, yaml.YAMLError):
        content = None
    if isinstance(content, dict):
        return {str(key): value for key, value in content.items()}
    damaged.append(path.name)
    _logger.warning("%s is damaged", path)
    return {}
