"""The sub-command that holds advice against measured runs."""

import argparse
from collections.abc import Iterator

import torch

from es_repro.bench.advising import CASES, Trial, compare
from es_repro.bench.advising_document import comparison_document, comparison_results
from es_repro.bench.pairs import BUSY_CORES
from es_repro.process.machine import Strangers, environment, resolve_device, resolve_precision
from es_repro.process.progress import RunBar
from es_repro.storage.files import write_json

__all__ = ["advise_lines"]


def advise_lines(asked: argparse.Namespace) -> Iterator[str]:
    """Compare advice with runs, write both down after each case, and answer the document."""
    asked.out.mkdir(parents=True, exist_ok=True)  # to fail now, not after minutes
    overrides = [f"run.device={asked.device}", f"precision={asked.precision}"]
    if asked.threads is not None:
        torch.set_num_threads(asked.threads)  # the runs' own, and said in the document's head
        overrides.append(f"run.threads={asked.threads}")
    trial = Trial(
        pairs=asked.pairs,
        num_samples=asked.samples,
        num_epochs=asked.epochs,
        rounds=asked.rounds,
        data_root=asked.data_root,
        overrides=[*overrides, *asked.overrides],
    )
    device = resolve_device(asked.device)
    precision = resolve_precision(asked.precision, device)
    about = environment(device, precision, compiled=False)
    about |= {"command": asked.line, "pairs": asked.pairs}
    strangers, found, text = Strangers(), [], ""
    with RunBar("bench advise", enabled=True) as bar:
        for case in asked.cases or CASES:
            found.append(compare(case, trial, bar.show))
            cores = strangers.cores()
            made = about | {"foreign_cores": cores, "contended": cores > BUSY_CORES}
            text = comparison_document(made, found)
            (asked.out / "advise.md").write_text(text, encoding="utf-8")
            write_json(asked.out / "advise.json", comparison_results(made, found))
    yield text.rstrip()
