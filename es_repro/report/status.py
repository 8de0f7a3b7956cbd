"""How far the runs are that commands have asked for: `python -m es_repro.report status [NAME]`."""

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from es_repro.report import ReportError
from es_repro.report.catalogue import TABLES
from es_repro.report.folders import read_members, read_run, run_root
from es_repro.report.runs import Member
from es_repro.report.specs import experiments
from es_repro.storage.lease import NAME as LEASE
from es_repro.storage.lease import is_held

__all__ = ["Status", "add_status", "status_of", "statuses", "summary_lines"]

# In the order in which they are listed; what is done is only counted.
STATES = ("running", "stale", "failed", "interrupted", "missing", "no data", "done")
State = Literal["running", "stale", "failed", "interrupted", "missing", "no data", "done"]


@dataclass(frozen=True)
class Status:
    """A run that was asked for, and how it stands.

    Attributes:
        member: the request for it.
        state: done; running (its lease has a live holder); stale (a lease whose holder is gone: it
            was killed); failed; interrupted (begun, nobody works on it, nothing failed); missing
            (asked for, its folder is not here); no data.
        detail: one line for people.
    """

    member: Member
    state: State
    detail: str = ""


def statuses(root: Path, names: Iterable[str] = ()) -> list[Status]:
    """Every run that was asked for in `root`, once for each experiment and row that shows it.

    Args:
        root: the run root.
        names: tables or experiments; none: all.

    Raises:
        ReportError: nothing was asked for in `root`, or nothing under one of the names.
    """
    asked = dict.fromkeys(read_members(root))  # each once, in the order of the first request
    there = {(x.experiment, x.row, x.seed) for x in asked if x.run is not None}
    members = [
        x for x in asked if x.run is not None or (x.experiment, x.row, x.seed) not in there
    ]  # data may have come later
    wanted: list[Member] = []
    for name in names:
        found = [x for x in members if x.experiment in _experiments(name)]
        if not found:
            known = ", ".join(sorted({x.experiment for x in members}))
            raise ReportError(f"{name}: no runs of it in {root}; there are some of {known}")
        wanted += [x for x in found if x not in wanted]
    return [status_of(root, member) for member in (wanted if names else members)]


def status_of(root: Path, member: Member) -> Status:
    """How one run stands now."""
    if member.run is None:
        return Status(member, "no data", "its data set was not found; set DATA_ROOT")
    folder = root / member.run
    if not folder.is_dir():
        return Status(member, "missing", "asked for, never begun here")
    if holder := is_held(folder):
        seen = holder.get("progress") or {}
        share = f"{seen.get('share', 0.0):.0%}, {seen.get('state', 'starting')}"
        return Status(member, "running", f"{share} (process {holder['pid']} on {holder['host']})")
    run = read_run(folder)
    if run.state == "finished":
        return Status(member, "done")
    hint = "the same command goes on with it"
    lease = folder / LEASE
    if lease.exists():
        minutes = (time.time() - lease.stat().st_mtime) / 60
        return Status(member, "stale", f"killed about {minutes:.0f} minutes ago; {hint}")
    if run.state == "failed":
        return Status(member, "failed", run.error or "")
    epochs = "" if run.epochs_done is None else f"after {run.epochs_done} epochs; "
    return Status(member, "interrupted", epochs + hint)


def summary_lines(found: list[Status]) -> list[str]:
    """A line for every run that is not done, and the counts."""
    lines = []
    for state in STATES[:-1]:
        for status in (x for x in found if x.state == state):
            member = status.member
            name = f"{member.experiment} {member.row} seed {member.seed}"
            place = f" [{member.run}]" if member.run else ""
            lines.append(f"{state}: {name}{place}: {status.detail}")
    counts = Counter[str](status.state for status in found)
    told = ", ".join(f"{counts[state]} {state}" for state in reversed(STATES) if counts[state])
    return [*lines, f"{len(found)} runs: {told}"]


def add_status(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of the report."""
    parser = commands.add_parser(
        "status", help="which runs are done, running, stale, failed or missing",
        description="List the runs that commands have asked for and that are not done. stale: "
        "killed without notice (a lease without a heartbeat).",
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="tables or experiments; none: all")
    parser.add_argument("--runs", type=Path, metavar="ROOT", help="(RUNS_ROOT, else runs)")
    parser.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> None:
    root = run_root(options.runs)
    print("\n".join(summary_lines(statuses(root, options.names))))


def _experiments(name: str) -> set[str]:
    if name not in TABLES:
        return {name}
    spec = TABLES[name]
    return {x for preset in spec.presets for x in experiments(spec, preset)}
