"""What each sub-command measures, and where it goes: a document, JSON, a chart."""

import argparse
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from es_repro.bench.accumulation import (
    expected_ratio,
    measure_accumulation,
    sample_precision,
    sizes,
    table,
)
from es_repro.bench.advising_command import advise_lines
from es_repro.bench.drawing import measure_draws
from es_repro.bench.loading import measure_loading
from es_repro.bench.pairs import BUSY_CORES, measure_all
from es_repro.bench.planning import measure_planning
from es_repro.bench.rigs import Case, compose_case
from es_repro.bench.steps import Plan, measure_rows
from es_repro.compiling import resolve_compile
from es_repro.process.machine import Strangers, environment, resolve_device, resolve_precision
from es_repro.process.progress import RunBar
from es_repro.selection import require
from es_repro.storage.files import write_json

__all__ = ["COMMANDS"]

BATCHES = [128, 256, 512, 1024, 2048, 4096, 8192]  # meta-batches to draw from
BATCH_RATIO = 0.25  # Sec. 4.1
MODEL = "resnet8,depth=20"  # large enough to matter on a CPU: above 80 ms a step at B = 128

log = logging.getLogger(__name__)


class Session:
    """Measures sections under one description of the machine.

    Args:
        asked: the parsed command line.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        if asked.threads is not None:
            torch.set_num_threads(asked.threads)
        self.asked = asked
        self.device = resolve_device(asked.device)
        self.precision = resolve_precision(asked.precision, self.device)
        self.overrides = [
            f"precision={self.precision}", f"meta_batch_size={asked.batch}", *asked.overrides
        ]  # fmt: skip
        sample = compose_case(Case("mlp", "baseline", 1.0, self.overrides))
        compiled = resolve_compile(sample.compile, self.device)
        made = environment(self.device, sample.precision, compiled)
        self.results: dict[str, Any] = {
            "made": made | {"command": asked.line, "sections": {}},
        }

    def steps(self) -> None:
        """Measure the methods' epochs."""
        asked = self.asked
        rows = [_row(text) for text in asked.methods]
        cases = [Case(model, *row) for model in asked.models or [MODEL] for row in rows]
        plan = Plan(
            pairs=asked.pairs,
            warmup=asked.warmup,
            data=asked.data,
            num_samples=asked.samples,
            data_root=asked.data_root,
            device=self.device,
            overrides=self.overrides,
        )
        with self._section("steps") as show:
            self.results["steps"] = [asdict(row) for row in measure_rows(cases, plan, show)]

    def planning(self) -> None:
        """Measure the planning of large epochs."""
        with self._section("planning") as show:
            rounds = min(self.asked.pairs, 5)
            found = measure_planning(self.asked.sizes, rounds, show)
            self.results["planning"] = [asdict(row) for row in found]

    def draw(self) -> None:
        """Measure the selection of one meta-batch."""
        with self._section("draw") as show:
            found = measure_draws(BATCHES, self.asked.pairs, self.device, show)
            self.results["draw"] = [asdict(row) for row in found]

    def loader(self) -> None:
        """Measure the loaders."""
        asked = self.asked
        require(asked.data != "config", "--data", asked.data, "auto or random for the loader")
        with self._section("loader") as show:
            found = measure_loading(
                asked.loader_models,
                asked.workers,
                pairs=asked.loader_pairs,
                num_samples=asked.loader_samples,
                data=asked.data,
                data_root=asked.data_root,
                device=self.device,
                overrides=self.overrides,
                show=show,
            )
            self.results["loader"] = [asdict(row) for row in found]

    @contextmanager
    def _section(self, name: str) -> Iterator[Callable[[float, str], None]]:
        """Around a measurement: a bar, and whether others kept the cores busy meanwhile."""
        strangers, bar = Strangers(), RunBar(f"bench {name}", enabled=True)
        with bar:
            yield bar.show
        cores = strangers.cores()
        contended = cores > BUSY_CORES
        self.results["made"]["sections"][name] = {"foreign_cores": cores, "contended": contended}
        if contended:
            log.warning(
                "%s: contended: others kept %.1f cores busy meanwhile; measure on an idle machine",
                name, cores,
            )  # fmt: skip

    def lines(self) -> Iterator[str]:
        """Write what was asked for; what goes to standard output."""
        from es_repro.bench.document import document

        asked = self.asked
        if asked.json == "-":
            yield json.dumps(self.results, indent=2)
        else:
            yield document(self.results).rstrip()
        if asked.json not in (None, "-"):
            target = Path(asked.json)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_json(target, self.results)
        if getattr(asked, "chart", None) is not None:
            self.draw_chart(asked.chart)

    def draw_chart(self, path: Path) -> None:
        """Write the picture of the steps."""
        from es_repro.bench.chart import chart  # here, with matplotlib, for it takes a second
        from es_repro.report.style import save

        save(chart(self.results), path)

    def write(self, folder: Path) -> None:
        """Write document, results and picture into a folder."""
        from es_repro.bench.document import document

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.md").write_text(document(self.results), encoding="utf-8")
        write_json(folder / "bench.json", self.results)
        self.draw_chart(folder / "bench.png")


def _row(text: str) -> tuple[str, float]:
    """`es:0.5` as a method and its batch ratio."""
    name, _, ratio = text.partition(":")
    try:
        return name, float(ratio) if ratio else BATCH_RATIO
    except ValueError:
        raise ValueError(f"--methods {text}: must be NAME or NAME:RATIO, such as es:0.5") from None


def _everything(asked: argparse.Namespace) -> Iterator[str]:
    asked.out.mkdir(parents=True, exist_ok=True)  # to fail now, not after minutes
    session = Session(asked)
    session.steps()
    session.planning()
    session.draw()
    session.loader()
    session.write(asked.out)
    yield from session.lines()


def _section(measure: Callable[[Session], None], asked: argparse.Namespace) -> Iterator[str]:
    session = Session(asked)
    measure(session)
    yield from session.lines()


def _pairs(asked: argparse.Namespace) -> Iterator[str]:
    lines = measure_all(
        asked.runs,
        asked.name,
        data_root=asked.data_root,
        pairs=asked.pairs,
        again=asked.again,
        every=asked.every,
    )
    yield from lines or ["nothing to measure: no finished run has a contended clock"]


def _accumulation(asked: argparse.Namespace) -> Iterator[str]:
    if asked.threads is not None:
        torch.set_num_threads(asked.threads)
    device = resolve_device(asked.device)
    place = [f"run.device={asked.device}", f"run.data_root={asked.data_root}", *asked.overrides]
    precision = resolve_precision(sample_precision(asked.experiment, place), device)
    overrides = [*place, f"precision={precision}"]
    strangers = Strangers()
    with RunBar("bench accumulation", enabled=True) as bar:
        rows = measure_accumulation(
            asked.experiment,
            asked.micro,
            pairs=asked.pairs,
            device=device,
            overrides=overrides,
            show=bar.show,
        )
    cores = strangers.cores()
    whole, trained, recomputed = sizes(asked.experiment, overrides)
    expected = expected_ratio(whole, trained, recomputed=recomputed)
    about = environment(device, precision, compiled=False) | {
        "command": asked.line, "foreign_cores": cores, "contended": cores > BUSY_CORES,
    }  # fmt: skip
    if asked.json is not None:
        found = {"rows": [asdict(row) for row in rows], "expected_ratio": expected}
        write_json(Path(asked.json), {"made": about, "B": whole, "b": trained, **found})
    busy = f"; contended: others kept {cores:.1f} cores busy" if cores > BUSY_CORES else ""
    where = f"{about['device_name']}, {precision}{busy}"
    yield f"{asked.experiment}: B = {whole}, b = {trained}, {where}"
    yield table(rows, expected)


COMMANDS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "all": _everything,
    "steps": partial(_section, Session.steps),
    "planning": partial(_section, Session.planning),
    "draw": partial(_section, Session.draw),
    "loader": partial(_section, Session.loader),
    "pairs": _pairs,
    "accumulation": _accumulation,
    "advise": advise_lines,
}
