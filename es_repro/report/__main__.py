"""The command line of the report: `python -m es_repro.report --help`.

A further command is a function that adds its parser, listed in `_COMMANDS`.
"""

if __name__ == "__main__":  # before what only the suite brings is imported
    from es_repro.extras import needs

    needs("suite")


import argparse
import difflib
import getpass
import logging
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd
from rich.console import Console

from es_repro.report import ReportError
from es_repro.report.assembly import asked, assembled, commands, stem, texts
from es_repro.report.catalogue import TABLES
from es_repro.report.collection import drawing, frame_of
from es_repro.report.figures.catalogue import FIGURES, FigureSpec
from es_repro.report.figures.source import Source
from es_repro.report.folders import MEMBERS, read_members, read_runs, run_root
from es_repro.report.pack import joined, packed
from es_repro.report.page.command import add_html, add_readme
from es_repro.report.rebuild import add_rebuild, write_drawing, write_table
from es_repro.report.replay_command import add_replay
from es_repro.report.runs import Member, Run, tidy
from es_repro.report.specs import PRESETS, Preset, TableSpec, experiments
from es_repro.report.status import add_status
from es_repro.report.studies.catalogue import STUDIES
from es_repro.report.studies.command import add_rates, add_study
from es_repro.report.terminal import show
from es_repro.report.unpack import add_unpack
from es_repro.report.verdicts.command import add_verdicts
from es_repro.report.wandb_runs import read_wandb

__all__ = ["main"]

Found = TypeVar("Found")

_EXAMPLES = """\
examples:
  python -m es_repro.report tables demo                   the table of `make demo`
  python -m es_repro.report tables table2                 Table 2 from its demo runs
  python -m es_repro.report tables table2 --preset paper  the full recipe, beside the paper
  python -m es_repro.report tables --runs results/table2_demo/records --results again
  python -m es_repro.report tables table2 --wandb runs    from W&B's offline files
  python -m es_repro.report tables table2 --wandb me/es_repro
  python -m es_repro.report figures fig1 fig10            RESULTS/figures/fig10_demo.png, .pdf
  python -m es_repro.report pack table2                   runs -> results/table2_demo/records
  python -m es_repro.report unpack cpu_cifar10            the other way: the sweep goes on from them
  python -m es_repro.report replay RUN RUN                from runs with trace.losses=true
  python -m es_repro.report status table2                 done, running, stale, failed, missing
  python -m es_repro.report verdicts                      every claim of the paper, decided by rule
  python -m es_repro.report rates cpu_cifar10             each arm's best rate, from tuning runs
  python -m es_repro.report study cpu_cifar10             our own contrasts, planned and decided
  python -m es_repro.report rebuild                       results/ again, from the packs in it
  python -m es_repro.report html                          results/report.html: all of it, one page
  python -m es_repro.report html --runs runs              runs/report.html: the same of your runs

Missing, failed and unfinished runs show as such in a table; they do not change the exit code.
"""
_SWEPT = {name: figure for name, figure in FIGURES.items() if figure.experiments}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; what a user can mend ends in one line and the exit code 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m es_repro.report",
        description="Tables and figures from the records of runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in _COMMANDS:
        add(parsers)
    return parser


# ---------------------------------------------------------------- tables


def _add_tables(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "tables", help="runs -> tables as Markdown, LaTeX and CSV, and runs.parquet",
        description="Build tables from runs; writes RESULTS/tables/NAME[_PRESET].{md,tex,csv} and "
        "RESULTS/runs.parquet, prints the table.",
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME",
        help=f"of {', '.join(TABLES)}; none: every table that has runs",
    )  # fmt: skip
    _add_places(parser)
    parser.add_argument(
        "--wandb", metavar="PLACE",
        help="read W&B instead: a folder with offline files, or ENTITY/PROJECT online "
        "(with --runs: both, run folders first)",
    )  # fmt: skip
    parser.set_defaults(command=_tables)


def _tables(options: argparse.Namespace) -> None:
    specs = [_spec(name) for name in options.names]
    needed = not specs or any(spec.settings for spec in specs)
    runs = _read(options) if needed else tidy([], {})
    if not specs:
        specs = [spec for spec in TABLES.values() if asked(spec, _preset(spec, options), runs)]
        if not specs:
            raise ReportError(f"no runs of any table found for --preset {options.preset}")
    for spec in specs:
        if spec.settings and not asked(spec, _preset(spec, options), runs):
            raise ReportError(_nothing(spec, options, runs))
    options.results.mkdir(parents=True, exist_ok=True)
    if needed:
        runs.to_parquet(options.results / "runs.parquet", index=False)
    for spec in specs:
        _write_table(spec, runs, options)


def _write_table(spec: TableSpec, runs: pd.DataFrame, options: argparse.Namespace) -> None:
    places = {"--runs": options.runs, "--wandb": options.wandb}
    preset = _preset(spec, options)
    table = assembled(spec, preset, runs, commands(spec, preset, places))
    path = write_table(table, options.results)
    if sys.stdout.isatty():
        left_out = [f"not in the table: {line}" for line in table.omissions]
        show(table.title, table.sheet, [*left_out, *table.provenance], Console())
    else:
        print(texts(table)["md"])
    print(f"written: {path}.md, .tex, .csv", file=sys.stderr)


def _read(options: argparse.Namespace) -> pd.DataFrame:
    """The tidy frame of all sources; where both know a run, its folder speaks."""
    members: list[Member] = []
    runs: dict[str, Run] = {}
    if options.wandb is not None:
        members, runs = read_wandb(options.wandb)
    if options.wandb is None or options.runs is not None:
        root = run_root(options.runs)
        here = read_members(root)
        names = {member.run for member in here if member.run is not None}
        members, runs = members + here, runs | read_runs(root, names)
    return tidy(members, runs)


def _nothing(spec: TableSpec, options: argparse.Namespace, runs: pd.DataFrame) -> str:
    place = options.wandb or run_root(options.runs)
    others = [preset for preset in spec.presets if asked(spec, preset, runs)]
    hint = f"there are some of --preset {' and '.join(others)}" if others else f"run `{spec.make}`"
    preset = f" of --preset {options.preset}" if len(spec.presets) > 1 else ""
    return f"{spec.name}: no runs{preset} found in {place}; {hint}"


# ---------------------------------------------------------------- figures


def _add_figures(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "figures", help="runs -> figures as PNG and PDF",
        description="Draw figures from runs; writes RESULTS/figures/NAME[_PRESET].{png,pdf}.",
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME",
        help=f"of {', '.join(FIGURES)}; none: every figure that has what it needs",
    )  # fmt: skip
    _add_places(parser)
    parser.set_defaults(command=_figures)


def _figures(options: argparse.Namespace) -> None:
    specs = [_known("figure", name, FIGURES) for name in options.names]
    for spec in specs:
        _write_figure(spec, options)
    for spec in [] if specs else FIGURES.values():
        try:
            _write_figure(spec, options)
        except ReportError as error:
            print(f"not drawn: {error}", file=sys.stderr)


def _write_figure(spec: FigureSpec, options: argparse.Namespace) -> None:
    root = run_root(options.runs)
    runs = frame_of(root) if spec.needs_runs else tidy([], {})
    made = drawing(spec, Source(runs, root, _preset(spec, options)), options.runs)
    print(f"written: {write_drawing(made, options.results)}.png, .pdf, .csv")


# ---------------------------------------------------------------- pack


def _add_pack(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "pack", help="copy the text of a table's or figure's runs to RESULTS/NAME[_PRESET]/records",
        description="Copy the text files of the runs of a table, or of a figure that has a sweep "
        "of its own, without host, user and paths, so that it can be made again: rebuild.",
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "name", metavar="NAME", help=f"of {', '.join((*TABLES, *_SWEPT, *STUDIES))}"
    )
    _add_places(parser)
    parser.set_defaults(command=_pack)


def _pack(options: argparse.Namespace) -> None:
    root = run_root(options.runs)
    preset: Preset
    presets: tuple[Preset, ...]
    patterns: tuple[str, ...] = ()
    if options.name in STUDIES:
        preset, presets = "paper", ("paper",)
        asked, references = STUDIES[options.name].experiments, []
    elif options.name in _SWEPT:
        figure = _SWEPT[options.name]
        preset, presets, patterns = _preset(figure, options), figure.presets, figure.files
        prefix = "" if preset == "paper" else f"{preset}/"
        asked = [prefix + name for name in figure.experiments]
        references = [prefix + name for name in figure.references]
    else:
        spec = _spec(options.name)
        preset, presets = _preset(spec, options), spec.presets
        asked, references = experiments(spec, preset), []
    folder = options.results / stem(options.name, preset, presets) / "records"
    if root.resolve() == folder.resolve():
        raise ReportError(f"{root} is the pack itself: --runs must be the runs to pack")
    names = [name for name in (socket.gethostname(), getpass.getuser()) if name != "root"]
    records = packed(root, asked, names, references)
    if (folder / MEMBERS).is_file():
        earlier = (folder / MEMBERS).read_text(encoding="utf-8")
        records[MEMBERS] = joined(earlier, records[MEMBERS])
    for name, text in records.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    runs = {name.split("/")[0] for name in records} - {MEMBERS}
    for found in (x for run in runs for pattern in patterns for x in (root / run).glob(pattern)):
        (folder / found.relative_to(root)).parent.mkdir(exist_ok=True)
        shutil.copyfile(found, folder / found.relative_to(root))
    print(f"{len(runs)} runs packed into {folder}")


# ---------------------------------------------------------------- what commands share


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, metavar="ROOT", help="folder of the runs (RUNS_ROOT, else runs)"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )
    parser.add_argument("--preset", choices=PRESETS, default="demo", help="of the runs (demo)")


def _spec(name: str) -> TableSpec:
    return _known("table", name, TABLES)


def _known(kind: str, name: str, known: Mapping[str, Found]) -> Found:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    raise ReportError(f"unknown {kind} {name}: must be one of {', '.join(known)}{meant}")


def _preset(spec: TableSpec | FigureSpec, options: argparse.Namespace) -> Preset:
    chosen: Preset = options.preset
    return chosen if chosen in spec.presets or not spec.presets else spec.presets[0]


_COMMANDS: tuple[Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None], ...] = (
    _add_tables,
    _add_figures,
    _add_pack,
    add_unpack,
    add_status,
    add_verdicts,
    add_study,
    add_rates,
    add_replay,
    add_rebuild,
    add_html,
    add_readme,
)

if __name__ == "__main__":
    sys.exit(main())
