"""What leads README.md and the page: the decisive study where it was run, else Table 2."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from es_repro.report.assembly import Table
from es_repro.report.collection import Drawing
from es_repro.report.firstscreen import FirstScreen, first_screen
from es_repro.report.studies.command import judged, packs
from es_repro.report.studies.findings import Findings
from es_repro.report.studies.leading import screen
from es_repro.report.studies.study import Study
from es_repro.report.unrun import Gap

__all__ = ["head", "studied"]

_LEADING = "cpu_cifar10"


def studied(results: Path) -> Iterator[tuple[Study, Findings]]:
    """Each study with a finished run under RESULTS, and what its records say."""
    for study, frame, _ in packs(results):
        yield study, judged(study, frame)[0]


def head(
    studies: Iterable[tuple[Study, Findings]],
    tables: Sequence[Table],
    drawings: Sequence[Drawing],
    missing: Iterable[Gap],
) -> FirstScreen | None:
    """The head of the results; None where there is nothing to lead with.

    Args:
        studies: those that were run.
        tables: what there is of the paper.
        drawings: likewise.
        missing: what of the paper was not run.
    """
    for study, found in studies:
        if study.name == _LEADING and not found.runs.empty:
            return screen(study, found, missing)
    return first_screen(tables, drawings, missing)
