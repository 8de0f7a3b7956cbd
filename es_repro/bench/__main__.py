"""Command line of the benchmarks: python -m es_repro.bench --help."""

if __name__ == "__main__":  # before what only the suite brings is imported
    from es_repro.extras import needs

    needs("suite")


import argparse
import logging
import os
import shlex
import sys
from pathlib import Path

from es_repro.bench.advising import CASES, Trial
from es_repro.bench.commands import COMMANDS
from es_repro.bench.rigs import known_methods
from es_repro.config import exit_code

__all__ = ["main"]

EVERYTHING = "all"
EXAMPLES = """\
examples:
  python -m es_repro.bench                         everything, into results/bench (make bench)
  python -m es_repro.bench steps --methods es,eswp --pairs 30
  python -m es_repro.bench steps --methods es:0.5,es:0.125 --model resnet8 --model resnet18
  python -m es_repro.bench steps --model mlp --data config dataset=digits meta_batch_size=64
  python -m es_repro.bench steps compile=true      both compiled, compilation left out
  python -m es_repro.bench steps --json - --chart bench.png
  python -m es_repro.bench planning --sizes 50000,1280000
  python -m es_repro.bench accumulation            Table 9's time an update, by micro-batch
  python -m es_repro.bench advise --threads 1      what es_repro.advise predicts against whole runs
  python -m es_repro.bench pairs demo/table2       time saved by runs that shared the machine

Leave the machine alone meanwhile: what others disturbed is marked as contended. Words with a `=`
override the config of every run that is stepped through, as of python -m es_repro.train.
"""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="python -m es_repro.bench",
        description="Paired measurements on this machine: baseline and method, ours and theirs, "
        "in turn and in one process. Without a command: everything.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shared, steps, sizes, loading = _shared(), _steps(), _sizes(), _loading()
    everything = commands.add_parser(
        EVERYTHING, parents=[shared, steps, sizes, loading],
        help="steps, planning, draw and loader: bench.md, bench.json, bench.png, bench.pdf",
    )  # fmt: skip
    everything.add_argument("--out", type=Path, default=Path("results/bench"), help="(%(default)s)")
    commands.add_parser(
        "steps", parents=[shared, steps],
        help="epochs of methods beside the baseline's: time, phases, memory",
    )  # fmt: skip
    commands.add_parser(
        "planning", parents=[shared, sizes],
        help="planning an epoch of many samples, beside torch.multinomial",
    )  # fmt: skip
    commands.add_parser(
        "draw", parents=[shared],
        help="weighted draw and score update, beside torch.multinomial",
    )  # fmt: skip
    commands.add_parser(
        "loader", parents=[shared, loading],
        help="our loader beside DataLoader with PIL transforms, alone and end to end",
    )  # fmt: skip
    commands.add_parser(
        "pairs", parents=[_pairing()],
        help="time saved by runs that shared the machine, measured step against step",
        description="Interleaves steps of each row of an experiment with the baseline's, and "
        "writes paired.json beside the runs whose own clock cannot be compared. Leave the machine "
        "alone meanwhile: a measurement that others disturbed is not kept.",
    )  # fmt: skip
    commands.add_parser(
        "accumulation", parents=[_accumulating()],
        help="updates of baseline, ES and ESWP by micro-batch: the low-memory claim of Table 9",
    )  # fmt: skip
    commands.add_parser(
        "advise", parents=[_comparing()],
        help="predictions of python -m es_repro.advise against whole runs, epoch by epoch in turn",
    )  # fmt: skip
    return top


def _pairing() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("name", help="an experiment, or what its names start with: demo/table2")
    options.add_argument("--runs", type=Path, default=Path(os.environ.get("RUNS_ROOT", "runs")))
    options.add_argument("--data-root", default=os.environ.get("DATA_ROOT", "data"))
    options.add_argument("--pairs", type=_count, default=15, help="measured rounds (%(default)s)")
    options.add_argument("--again", action="store_true", help="also where it was measured before")
    options.add_argument(
        "--every", action="store_true",
        help="also rows whose own clock compares: the table then holds both against each other",
    )  # fmt: skip
    return options


def _accumulating() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="of every run, such as subset=200"
    )
    options.add_argument(
        "--experiment", default="demo/table9_qwen_sft", help="whose model and data (%(default)s)"
    )
    options.add_argument(
        "--micro", type=_counts, default=[32, 16, 8, 4], metavar="N,...", help="(32,16,8,4)"
    )
    options.add_argument("--pairs", type=_count, default=20, help="rounds (%(default)s)")
    options.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    options.add_argument("--threads", type=_count, help="torch threads (torch's default)")
    options.add_argument("--data-root", default=os.environ.get("DATA_ROOT", "data"))
    options.add_argument("--json", metavar="FILE", help="all results for machines")
    return options


def _comparing() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    trial = Trial()
    options.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="of every run, as of es_repro.train"
    )
    options.add_argument(
        "--case", action="append", dest="cases", metavar="NAME", choices=list(CASES),
        help=f"may be given more than once; of {'; '.join(CASES)} (all)",
    )  # fmt: skip
    options.add_argument("--pairs", type=_count, default=trial.pairs, help="runs (%(default)s)")
    options.add_argument(
        "--samples", type=_count, default=trial.num_samples, help="of an epoch (%(default)s)"
    )
    options.add_argument(
        "--epochs", type=_count, default=trial.num_epochs, help="of a run (%(default)s)"
    )
    options.add_argument(
        "--rounds", type=_count, default=trial.rounds, help="of the advice (%(default)s)"
    )
    options.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    options.add_argument("--threads", type=_count, help="torch threads (torch's default)")
    options.add_argument("--precision", default="fp32", help="fp32, bf16 or auto (%(default)s)")
    options.add_argument("--data-root", default=os.environ.get("DATA_ROOT", "data"))
    options.add_argument(
        "--out", type=Path, default=Path("results/advise"), help="advise.md, .json (%(default)s)"
    )
    return options


def _shared() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="of every run, such as compile=true"
    )
    options.add_argument("--pairs", type=_count, default=20, help="measured rounds (%(default)s)")
    options.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    options.add_argument("--threads", type=_count, help="torch threads (torch's default)")
    options.add_argument("--precision", default="fp32", help="fp32, bf16 or auto (%(default)s)")
    options.add_argument("--batch", type=_count, default=128, help="B (%(default)s)")
    options.add_argument(
        "--json", metavar="FILE", help="all results for machines; -: standard output"
    )
    options.add_argument(
        "--data", choices=("auto", "random", "config"), default="auto",
        help="images: CIFAR-10 under the data root or else random ones; random; what the config "
        "names (steps alone) (%(default)s)",
    )  # fmt: skip
    options.add_argument("--data-root", default=os.environ.get("DATA_ROOT", "data"))
    return options


def _steps() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    names = known_methods()
    default = ["baseline", "es:0.5", "es:0.25", "es:0.125"]
    default += [name for name in names if name not in ("baseline", "es")]
    options.add_argument(
        "--methods", type=lambda text: text.split(","), default=default, metavar="NAME[:b/B],...",
        help=f"rows, b/B 0.25 unless said; of {', '.join(names)} (all)",
    )  # fmt: skip
    options.add_argument(
        "--model", action="append", dest="models", metavar="NAME[,KEY=VALUE...]",
        help="may be given more than once (resnet8,depth=20)",
    )  # fmt: skip
    options.add_argument(
        "--samples", type=_count, default=50_000, help="of an epoch that steps are taken from "
        "(%(default)s)",
    )  # fmt: skip
    options.add_argument("--warmup", type=_count, default=3, help="rounds left out (%(default)s)")
    options.add_argument(
        "--chart", type=Path, metavar="FILE", help="a picture, as FILE.png and FILE.pdf"
    )
    return options


def _sizes() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--sizes", type=_counts, default=[50_000, 1_280_000, 10_000_000, 2**24 + 1],
        metavar="N,...", help="samples to plan (50000,1280000,10000000,16777217)",
    )  # fmt: skip
    return options


def _loading() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--loader-models", nargs="*", default=["mlp,hidden=[512,512]", "resnet8"],
        metavar="MODEL", help="nets to train end to end (mlp,hidden=[512,512] resnet8)",
    )  # fmt: skip
    options.add_argument(
        "--workers", type=_counts_from_zero, default=[0, 2], metavar="N,...",
        help="of the DataLoader (0,2)",
    )  # fmt: skip
    options.add_argument(
        "--loader-samples", type=_count, default=5_120, help="of a short epoch (%(default)s)"
    )
    options.add_argument(
        "--loader-pairs", type=_count, default=5, help="of short epochs (%(default)s)"
    )
    return options


def _count(text: str) -> int:
    return _whole(text, 1)


def _counts(text: str) -> list[int]:
    return [_whole(word, 1) for word in text.split(",")]


def _counts_from_zero(text: str) -> list[int]:
    return [_whole(word, 0) for word in text.split(",")]


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text}: must be an integer >= {least}")
    return value


def main(arguments: list[str] | None = None) -> None:
    """Run one benchmark; an error is one line and exit code 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    words = sys.argv[1:] if arguments is None else arguments
    asks_for_help = bool(words) and words[0] in ("-h", "--help")
    if not asks_for_help and (not words or words[0].startswith("-")):
        words = [EVERYTHING, *words]
    asked = parser().parse_args(words)
    asked.line = shlex.join(["python", "-m", "es_repro.bench", *words])
    try:
        for line in COMMANDS[asked.command](asked):
            print(line)
    except Exception as error:  # noqa: BLE001 - it ends in a line
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
