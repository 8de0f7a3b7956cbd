"""The command line of the ledger: `python -m es_repro.report verdicts`."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from es_repro.report.cells import resolve
from es_repro.report.folders import MEMBERS, changed_by_hand, read_members, read_runs, run_root
from es_repro.report.runs import Member, Run, tidy
from es_repro.report.verdicts.ledger import ledger
from es_repro.report.verdicts.written import show, to_json, to_markdown
from es_repro.theory import Check, checks

__all__ = ["add_verdicts", "document", "read_frame"]


def add_verdicts(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the report's parser."""
    parser = commands.add_parser(
        "verdicts", help="every claim of the paper: reproduced, not, not decided, not run",
        description="Decide every empirical claim of the paper from records, by rule; writes "
        "RESULTS/verdicts.{md,csv,json}.",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=Path, nargs="+", metavar="ROOT",
        help="folders of runs, such as results/*_demo/records (RUNS_ROOT, else runs)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )
    parser.set_defaults(command=_verdicts)


def document(roots: Sequence[Path], theory: Sequence[Check]) -> str:
    """The ledger of run folders in Markdown, as a part of another document.

    Args:
        roots: folders of runs.
        theory: the checks of `es_repro.theory`.
    """
    frame = read_frame(roots)
    kept, _ = resolve(frame)
    finished = kept[kept["state"] == "finished"]
    return to_markdown(ledger(frame, checks=theory), finished, [_command(list(roots))])


def _verdicts(options: argparse.Namespace) -> None:
    frame = _read(options.runs)
    table = ledger(frame, checks=checks())
    kept, _ = resolve(frame)
    commands = [_command(options.runs)]
    texts = {
        "md": to_markdown(table, kept[kept["state"] == "finished"], commands),
        "csv": table.to_csv(index=False, lineterminator="\n"),
        "json": to_json(table, commands),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    for suffix, text in texts.items():
        (options.results / f"verdicts.{suffix}").write_text(text, encoding="utf-8")
    if sys.stdout.isatty():
        show(table, Console())
    else:
        print(texts["md"])
    print(f"written: {options.results / 'verdicts'}.md, .csv, .json", file=sys.stderr)


def _read(roots: Iterable[Path] | None) -> pd.DataFrame:
    """The tidy frame of all roots; without any run, what needs none is decided all the same."""
    if roots is None:
        usual = run_root(None)
        if not (usual / MEMBERS).is_file():
            print(f"no runs in {usual}: every claim that needs one is not run", file=sys.stderr)
            return tidy([], {})
        roots = [usual]
    return read_frame(roots)


def read_frame(roots: Iterable[Path]) -> pd.DataFrame:
    """The tidy frame of run folders; one whose summary was changed by hand has failed.

    Raises:
        ReportError: a root cannot be read or nothing was ever asked for in it.
    """
    members: list[Member] = []
    runs: dict[str, Run] = {}
    for root in roots:
        here = read_members(root)
        members += here
        found = read_runs(root, {member.run for member in here if member.run is not None})
        for name, run in found.items():
            known = runs.get(name)
            if known is None or known.state != "finished":  # packs share runs
                runs[name] = _checked(root / name, run)
    return tidy(members, runs)


def _checked(folder: Path, run: Run) -> Run:
    why = changed_by_hand(folder, run.summary) if run.state == "finished" else None
    return run if why is None else replace(run, state="failed", error=why)


def _command(roots: list[Path] | None) -> str:
    """How this document was made, without the places of this machine."""
    if roots is None:
        return "make verdicts"
    places = ["PLACE" if root.is_absolute() else str(root) for root in roots]
    return f"python -m es_repro.report verdicts --runs {' '.join(places)}"
