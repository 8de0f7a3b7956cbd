"""The command lines of studies: `python -m es_repro.report study` and `rates`."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from es_repro.config import config_folder
from es_repro.report import ReportError
from es_repro.report.figures.source import histories
from es_repro.report.folders import MEMBERS, run_root
from es_repro.report.studies import frontier, wrong_labels
from es_repro.report.studies.catalogue import STUDIES
from es_repro.report.studies.findings import Findings, findings
from es_repro.report.studies.rates import as_yaml, tuned
from es_repro.report.studies.study import Study
from es_repro.report.studies.written import to_markdown
from es_repro.report.style import save
from es_repro.report.verdicts.arms import Records
from es_repro.report.verdicts.claim import Arm
from es_repro.report.verdicts.command import read_frame

__all__ = ["add_rates", "add_study", "judged", "packs", "write_study"]


def add_study(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `study` to the report's parser."""
    parser = commands.add_parser(
        "study", help="a question of our own, decided: table, contrasts and frontier",
        description="Decide the contrasts that results/PLAN.md names, from records; writes "
        "RESULTS/NAME/{README.md,arms.csv,contrasts.csv,frontier.png,frontier.pdf}.",
    )  # fmt: skip
    _add_arguments(parser)
    parser.set_defaults(command=_study)


def add_rates(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `rates` to the report's parser."""
    parser = commands.add_parser(
        "rates", help="the best learning rate of each arm of a study, from its tuning runs",
        description="Say which rate is the best of each arm on the validation cut, and which are "
        "still to be tried; writes RESULTS/NAME/rates.csv.",
    )  # fmt: skip
    _add_arguments(parser)
    parser.add_argument(
        "--write", action="store_true",
        help="write conf/recipe/NAME_rates.yaml, once every best rate is interior",
    )  # fmt: skip
    parser.set_defaults(command=_rates)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=list(STUDIES), metavar="NAME", help=", ".join(STUDIES))
    parser.add_argument(
        "--runs", type=Path, metavar="ROOT",
        help="folder of the runs (RESULTS/NAME/records where it is, else RUNS_ROOT or runs)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )


def packs(results: Path) -> Iterator[tuple[Study, pd.DataFrame, Path]]:
    """Each study with a finished run under RESULTS, its records, and where they lie.

    A study of which there is the tuning alone says nothing yet.
    """
    for study in STUDIES.values():
        place = results / study.name / "records"
        if not (place / MEMBERS).is_file():
            continue
        frame = read_frame([place])
        finished = frame["state"] == "finished"
        if (finished & (frame["experiment"] == study.experiment)).any():
            yield study, frame, place


def judged(study: Study, frame: pd.DataFrame) -> tuple[Findings, pd.DataFrame]:
    """A study's findings, and the runs that are not in them."""
    records = Records(frame, "paper")
    arms = [Arm((study.experiment,), row) for row in study.arms]
    return findings(study, records), records.listed_of(arms)


def write_study(study: Study, frame: pd.DataFrame, results: Path, place: Path) -> Path:
    """Write the page, numbers and figure of a study; answers its folder.

    Raises:
        ReportError: none of its runs has finished.
    """
    found, listed = judged(study, frame)
    if found.runs.empty:
        raise ReportError(f"{study.name}: no finished run of {study.experiment} in {place}")
    folder = results / study.name
    folder.mkdir(parents=True, exist_ok=True)
    shown = "PLACE" if place.is_absolute() else str(place)
    commands = [
        f"python -m es_repro.train -m sweep={study.experiment}",
        f"python -m es_repro.report study {study.name} --runs {shown}",
    ]
    pictures = {frontier.ALT: "frontier.png"}
    save(frontier.draw(study, found), folder / "frontier.png")
    wrong = wrong_labels.shares(histories(place, found.runs))
    if len(wrong):
        pictures[wrong_labels.ALT] = "wrong_labels.png"
        save(wrong_labels.draw(study, wrong), folder / "wrong_labels.png")
        text = wrong.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        (folder / "wrong_labels.csv").write_text(text, encoding="utf-8")
    page = to_markdown(study, found, listed, commands, pictures)
    (folder / "README.md").write_text(page, encoding="utf-8")
    for name, table in (("arms", found.arms), ("contrasts", found.contrasts)):
        text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def _study(options: argparse.Namespace) -> None:
    study = STUDIES[options.name]
    place = _place(study, options)
    folder = write_study(study, read_frame([place]), options.results, place)
    print((folder / "README.md").read_text(encoding="utf-8"))
    print(f"written: {folder}/README.md, arms.csv, contrasts.csv, frontier.png, .pdf")


def _rates(options: argparse.Namespace) -> None:
    study = STUDIES[options.name]
    if not study.tuning:
        raise ReportError(f"{study.name}: has no tuning of its own")
    found = tuned(study, read_frame([_place(study, options)]))
    lines = []
    for arm in found:
        tried = ", ".join(f"{rate:g}: {value:.2f}" for rate, value in arm.tried.items())
        close = ", ".join(f"{rate:g}" for rate in arm.close(study.margin))
        rivals = f"; within {study.margin:g} points: {close}" if close else ""
        print(f"{arm.row}: best {arm.best:g} ({tried}){rivals}")
        lines += [(arm.row, rate, value, rate == arm.best) for rate, value in arm.tried.items()]
    folder = options.results / study.name
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(lines, columns=["row", "rate", "validation_accuracy", "best"])
    table.to_csv(folder / "rates.csv", index=False, float_format="%.6g", lineterminator="\n")
    for rate in sorted({arm.wanted for arm in found if arm.wanted is not None}):
        rows = ",".join(arm.row for arm in found if arm.wanted == rate)
        print(
            f"to be tried: python -m es_repro.train -m sweep={study.tuning} "
            f"optimizer.lr={rate:g} method={rows}"
        )
    if any(arm.close(study.margin) and arm.runs == len(arm.tried) for arm in found):
        print(
            "rates within the study's margin of the best are hardly told apart by one run each: "
            "more seeds of both (seed=1001,1002 optimizer.lr=... method=...) are averaged"
        )
    if options.write:
        path = Path(config_folder()) / "recipe" / f"{study.name}_rates.yaml"
        path.write_text(as_yaml(study, found), encoding="utf-8")
        print(f"written: {path}")


def _place(study: Study, options: argparse.Namespace) -> Path:
    packed: Path = options.results / study.name / "records"
    if options.runs is None and packed.is_dir():
        return packed
    return run_root(options.runs)
