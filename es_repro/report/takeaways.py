"""The head of results/README.md: what studies, the judge and the ledger have decided. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from es_repro.report import markdown
from es_repro.report.studies.deciding import to_decide
from es_repro.report.studies.findings import Findings, unfinished
from es_repro.report.studies.frontier import ALT
from es_repro.report.studies.study import Study
from es_repro.report.studies.written import difference_cell
from es_repro.report.unrun import paper_hours

__all__ = ["takeaways"]

_CONTRAST = ("question", "difference, points", "verdict", "to show equality")
_SOURCES = {
    "runs": "runs of its recipe", "arithmetic": "its own printed numbers", "theory": "computation",
}  # fmt: skip
_JUDGED = {"short": "the baseline of its cost", "random_set": "random samples of its cost"}


def takeaways(
    studies: Iterable[tuple[Study, Findings]],
    card: Mapping[str, Any] | None,
    claims: Sequence[Mapping[str, Any]],
) -> str:
    """What a reader takes home, in Markdown.

    Args:
        studies: those that were run, and what they say.
        card: the judge's, as its JSON.
        claims: of the paper, as the ledger's JSON.
    """
    parts = [part for study, found in studies for part in _study(study, found)]
    if card is not None:
        parts += _judge(card)
    parts += _ledger(claims)
    return "\n\n".join(parts)


def _study(study: Study, found: Findings) -> Iterator[str]:
    yield f"## {study.title}"
    yield from filter(None, [unfinished(study, found)])
    yield f"![{ALT}]({study.name}/frontier.png)"
    primary = found.contrasts[found.contrasts["role"] == "primary"]
    asked = [_contrast(study, found, one) for _, one in primary.iterrows()]
    yield from [markdown.table(_CONTRAST, asked)] if asked else []  # none has two seeds yet
    yield f"All arms and contrasts: [{study.name}]({study.name}/README.md)."


def _contrast(study: Study, found: Findings, one: pd.Series) -> list[str]:
    names = [study.short_name(str(one[end])) for end in ("method", "control")]
    return [
        f"{names[0]} against {names[1]}", difference_cell(one), str(one["verdict"]),
        to_decide(study, found, one),
    ]  # fmt: skip


def _judge(card: Mapping[str, Any]) -> Iterator[str]:
    yield "## The judge's bed"
    seeds = {str(each["seeds"]) for each in card["workloads"]}
    yield (
        f"Every method on small workloads, {' or '.join(sorted(seeds))} seeds each "
        "([card](judge/card.html)): points against controls of its own cost, a baseline's in "
        "whole epochs (above 0: better), with the 95% interval of each alone, and the verdict. "
        "Words of the first table are corrected by Holm within a workload, with the contrasts to "
        "the whole baseline; those of the second are exploratory, uncorrected: of its 56 some are "
        "chance."
    )
    for kind, against in _JUDGED.items():
        heads = [f"against {against}", *(each["title"] for each in card["workloads"])]
        names = dict.fromkeys(m["name"] for each in card["workloads"] for m in each["methods"])
        yield markdown.table(heads, [[name, *_verdicts(card, name, kind)] for name in names])


def _verdicts(card: Mapping[str, Any], name: str, kind: str) -> Iterator[str]:
    for workload in card["workloads"]:
        mine = next((m for m in workload["methods"] if m["name"] == name), None)
        one = mine and mine["controls"].get(kind)
        if not one:
            yield "-"
            continue
        though = f", though {one['though']}" if one["though"] else ""
        yield f"{one['difference']:+.2f} ± {one['half_width']:.2f} {one['word']}{though}"


def _ledger(claims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## The paper's claims"
    counts = []
    for kind, source in _SOURCES.items():
        words = Counter(str(claim["verdict"]) for claim in claims if claim["kind"] == kind)
        each = ", ".join(f"{number} {word}" for word, number in sorted(words.items()))
        counts.append(f"{source}: {each}" if words else "")
    hours = sum(each for item, each in paper_hours().items() if item != "noise")  # noise is ours
    yield (
        f"Claims decided by {'; by '.join(filter(None, counts))} ([ledger](verdicts.md)). "
        f"The paper's own recipes would take about {hours:.0f} hours of one H100 (estimated)."
    )
