"""What methods would have picked in runs that kept their losses: `report replay RUN...`."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from es_repro.report import ReportError
from es_repro.report.document import provenance
from es_repro.report.figures.overlap import draw
from es_repro.report.folders import read_run, run_root
from es_repro.report.markdown import bullets
from es_repro.report.render import to_csv, to_markdown
from es_repro.report.replaying import LossRecord, candidates, compared, sheet
from es_repro.report.runs import Member, tidy
from es_repro.report.style import save, styled
from es_repro.storage.trace_files import TraceDamaged, read_losses

__all__ = ["add_replay"]

_BETA1, _BETA2 = "0.2,0.5,0.8,0.9", "0.5,0.9,0.99"  # around the paper's (0.2, 0.9)
_BATCH_RATIO = 0.25
_DEAR = 2 / 3  # above it, scoring costs more than selection saves


def add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of the report."""
    parser = commands.add_parser(
        "replay", help="how alike methods and betas would pick, from recorded losses",
        description="From runs trained with trace.losses=true, without training: which share of "
        "their picks any two methods have in common under equal random numbers, and how well each "
        "weight foretells the next loss. Writes RESULTS/replay/NAME.{md,csv,png,pdf}, prints the "
        "table.",
    )  # fmt: skip
    parser.add_argument("names", nargs="+", metavar="RUN", help="hash or folder; several: means")
    parser.add_argument("--beta1", default=_BETA1, metavar="LIST", help=f"of ES ({_BETA1})")
    parser.add_argument("--beta2", default=_BETA2, metavar="LIST", help=f"of ES ({_BETA2})")
    parser.add_argument(
        "--batch-ratio", type=float, default=_BATCH_RATIO, metavar="F",
        help=f"b/B, in (0, 2/3] ({_BATCH_RATIO})",
    )  # fmt: skip
    parser.add_argument("--runs", type=Path, metavar="ROOT", help="(RUNS_ROOT, else runs)")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--name", default="replay", help="of the files (replay)")
    parser.set_defaults(command=_replay)


def _replay(options: argparse.Namespace) -> None:
    ratio = options.batch_ratio
    if not 0 < ratio <= _DEAR:
        raise ReportError(f"--batch-ratio {ratio}: must be in (0, 2/3]")
    methods = candidates(_betas("beta1", options.beta1), _betas("beta2", options.beta2))
    root = run_root(options.runs)
    folders = [_folder(root, name) for name in options.names]
    records = [_record(folder) for folder in folders]
    _require_alike(records, options.names)
    pairs = compared(records, methods, ratio)
    found = sheet(pairs, records, ratio)
    folder = options.results / "replay"
    folder.mkdir(parents=True, exist_ok=True)
    picture = f"![Picks in common, and how well weights foretell losses]({options.name}.png)"
    head = f"# What methods would pick of the same losses\n\n{picture}\n\n{to_markdown(found)}"
    text = f"{head}\n## Provenance\n\n{bullets(_provenance(folders, records, options))}\n"
    (folder / f"{options.name}.md").write_text(text, encoding="utf-8")
    (folder / f"{options.name}.csv").write_text(to_csv(found), encoding="utf-8")
    with styled():
        figure = draw(pairs, found.legend)
        figure.draw_without_rendering()
    save(figure, folder / f"{options.name}.png")
    print(text)
    print(f"written: {folder / options.name}.md, .csv, .png, .pdf")


def _folder(root: Path, name: str) -> Path:
    """Of a run, by its hash or its folder."""
    return Path(name) if len(Path(name).parts) > 1 else root / name


def _record(folder: Path) -> LossRecord:
    """The losses of a run."""
    try:
        losses = read_losses(folder)
    except TraceDamaged as error:
        raise ReportError(str(error)) from error
    config = read_run(folder).config
    try:
        batch, seed = int(str(config["meta_batch_size"])), int(str(config["seed"]))
        dataset, method = config["dataset"], config["method"]
        assert isinstance(dataset, dict)
        assert isinstance(method, dict)
        data = dataset.get("name") or str(dataset["_target_"]).rpartition(".")[2]
        about = f"{data}, trained by {method['name']}"
    except (KeyError, ValueError, AssertionError) as error:
        raise ReportError(f"{folder / 'config.yaml'}: damaged, so batches are unknown") from error
    return LossRecord(losses, batch, seed, about)


def _provenance(
    folders: Sequence[Path], records: Sequence[LossRecord], options: argparse.Namespace
) -> list[str]:
    """Where the runs come from; a run is called by its hash, wherever its folder lies."""
    names = [folder.name for folder in folders]
    runs = {folder.name: read_run(folder) for folder in folders}
    members = [
        Member("replay", "losses", record.seed, name)
        for name, record in zip(names, records, strict=True)
    ]
    words = ["python", "-m", "es_repro.report", "replay", *names, "--name", options.name]
    for option, usual in (("beta1", _BETA1), ("beta2", _BETA2), ("batch_ratio", _BATCH_RATIO)):
        given = getattr(options, option)
        words += [] if given == usual else [f"--{option.replace('_', '-')}", f"{given}"]
    return provenance(tidy(members, runs), [shlex.join(words)])


def _require_alike(records: Sequence[LossRecord], names: Sequence[str]) -> None:
    """Means are over runs of one kind."""
    kinds = [(tuple(x.losses.shape), x.meta_batch_size, x.about) for x in records]
    for name, kind in zip(names, kinds, strict=True):
        if kind != kinds[0]:
            raise ReportError(
                f"{name}: of other data, length, batches or method than {names[0]}; "
                "replay them one by one"
            )


def _betas(name: str, text: str) -> list[float]:
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(0 <= value <= 1 for value in values):
        raise ReportError(f"--{name} {text}: must be numbers in [0, 1], divided by commas")
    return values
