"""Command line of the benchmarks: python -m es_repro.bench --help."""

import argparse
import os
import sys
from pathlib import Path

from es_repro.bench.pairs import measure_all
from es_repro.config import readable

__all__ = ["main"]


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="python -m es_repro.bench", description="Paired measurements on this machine."
    )
    commands = top.add_subparsers(dest="command", required=True)
    pairs = commands.add_parser(
        "pairs",
        help="time saved by runs that shared the machine, measured step against step",
        description="Interleaves steps of each row of an experiment with the baseline's, and "
        "writes paired.json beside the runs whose own clock cannot be compared. Leave the machine "
        "alone meanwhile: a measurement that others disturbed is not kept.",
    )
    pairs.add_argument("name", help="an experiment, or what its names start with: demo/table2")
    pairs.add_argument("--runs", type=Path, default=Path(os.environ.get("RUNS_ROOT", "runs")))
    pairs.add_argument("--data-root", default=os.environ.get("DATA_ROOT", "data"))
    pairs.add_argument("--pairs", type=int, default=15, help="measured rounds (15)")
    pairs.add_argument("--again", action="store_true", help="also where it was measured before")
    return top


def main() -> None:
    """Run one benchmark; an error is one line and exit code 1."""
    asked = parser().parse_args()
    try:
        lines = measure_all(
            asked.runs,
            asked.name,
            data_root=asked.data_root,
            pairs=asked.pairs,
            again=asked.again,
        )
    except (OSError, ValueError, RuntimeError) as error:
        print(f"error: {readable(error)}", file=sys.stderr)
        sys.exit(1)
    print("\n".join(lines) or "nothing to measure: no finished run has a contended clock")


if __name__ == "__main__":
    main()
