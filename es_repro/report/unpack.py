"""`python -m es_repro.report unpack`: committed records as runs, from which a sweep goes on."""

import argparse
import shutil
from pathlib import Path

from es_repro.report import ReportError
from es_repro.report.folders import MEMBERS, run_root
from es_repro.report.pack import joined
from es_repro.storage.files import write_atomically

__all__ = ["add_unpack", "unpack"]


def add_unpack(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of the report."""
    parser = commands.add_parser(
        "unpack", help="copy a pack's finished runs into RUNS_ROOT: its sweep goes on",
        description="Copy the finished runs of RESULTS/NAME/records into RUNS_ROOT. The sweep that "
        "made them then runs what is missing alone, on this machine as on the one it began on.",
    )  # fmt: skip
    parser.add_argument("name", metavar="NAME", help="of a folder of RESULTS, such as cpu_cifar10")
    parser.add_argument("--runs", type=Path, metavar="ROOT", help="(RUNS_ROOT, else runs)")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )
    parser.set_defaults(command=_unpack)


def unpack(pack: Path, root: Path) -> list[str]:
    """Copy the finished runs of a pack; answers the names of those that were not there.

    Args:
        pack: folder of the records.
        root: run root; a run that it has already, finished or not, stays as it is.

    Raises:
        ReportError: there is no pack.
    """
    if not (pack / MEMBERS).is_file():
        raise ReportError(f"no records in {pack}: it has no {MEMBERS}")
    runs = sorted(path.parent.name for path in pack.glob("*/done"))
    copied = [run for run in runs if not (root / run).exists()]
    root.mkdir(parents=True, exist_ok=True)
    for run in copied:  # under another name first: a run folder is never half a copy
        unfinished = root / f".unpacked-{run}"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(pack / run, unfinished)
        unfinished.rename(root / run)
    members = root / MEMBERS
    mine = members.read_text(encoding="utf-8") if members.is_file() else ""
    packed = (pack / MEMBERS).read_text(encoding="utf-8")
    text = joined(packed, mine).encode()
    write_atomically(members, lambda file: file.write(text))
    return copied


def _unpack(options: argparse.Namespace) -> None:
    root = run_root(options.runs)
    copied = unpack(options.results / options.name / "records", root)
    print(f"{len(copied)} runs unpacked into {root}")
