"""The ledger: every claim, the paper's evidence, ours, and the verdict by rule. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from es_repro.report.document import listing
from es_repro.report.specs import Preset
from es_repro.report.verdicts.arms import Records
from es_repro.report.verdicts.claim import Arm, Claim, LessMemory, NotWorse, Picture, Saves, Test
from es_repro.report.verdicts.claims import CLAIMS
from es_repro.report.verdicts.companions import Companions, companions
from es_repro.report.verdicts.computed import arithmetic
from es_repro.report.verdicts.resolution import (
    printed,
    printed_memory,
    printed_saving,
    resolution,
)
from es_repro.report.verdicts.rules import LEVEL, Finding, Gap, findings, together
from es_repro.statistics import holm
from es_repro.theory.check import Check

__all__ = ["COLUMNS", "COMPUTED", "VERDICTS", "ledger"]

# The verdicts on claims that runs decide, and on those that arithmetic and theory decide.
VERDICTS = ("reproduced", "not reproduced", "not decided", "insensitive", "not run")
COMPUTED = ("holds", "does not hold")
COLUMNS = {
    "name": "string", "kind": "string", "claim": "string", "where": "string", "role": "string",
    "paper": "string", "paper_resolution": "string", "verdict": "string", "why": "string",
    "recipe": "string", "elsewhere": "string", "test": "string", "estimate": "Float64",
    "low": "Float64", "high": "Float64", "half_width": "Float64", "margin": "Float64",
    "p_for": "Float64", "p_against": "Float64", "seeds": "Int64", "runs": "string",
    "gain": "Float64", "gain_low": "Float64", "gain_high": "Float64", "gain_shown": "string",
    "controls": "string", "notes": "string",
}  # fmt: skip
_OTHER_RECIPES: tuple[Preset, ...] = ("small", "demo")
_WORDS_ELSEWHERE = {"reproduced": "speaks for it", "not reproduced": "speaks against it"}
_ALL_DIFFER = {  # what runs of one claim may differ in without a word, and should not in silence
    "environment.device_name": "devices", "environment.precision": "precisions",
    "environment.es_repro": "versions of es_repro", "environment.torch": "versions of torch",
}  # fmt: skip


@dataclass(frozen=True)
class _Outcome:
    """A claim on one form of the recipe, before the correction."""

    claim: Claim
    found: Finding | None
    gaps: tuple[Gap, ...]
    official: bool  # every run follows the paper's recipe
    notes: tuple[str, ...]
    beside: Companions


def ledger(
    frame: pd.DataFrame, *, claims: Iterable[Claim] = CLAIMS, checks: Iterable[Check] = ()
) -> pd.DataFrame:
    """Decide every claim.

    Only runs of the paper's recipe decide a claim. Runs of a reduced form of it (`small`, `demo`)
    stand in `elsewhere`, as speaking for or against, and in the numbers where there are no others;
    `recipe` says whose the numbers are.

    Args:
        frame: the tidy frame of `runs.tidy`.
        claims: those that runs decide.
        checks: of the theory, from `es_repro.theory.checks()`; it takes seconds.

    Returns:
        A row a claim, columns `COLUMNS`: kind is runs, arithmetic or theory; estimates, margins and
        widths in points or percent; p-values corrected by Holm, within
        a table, where role is primary.
    """
    claims = list(claims)
    paper = _decided(claims, Records(frame, "paper"))
    others = {preset: _decided(claims, Records(frame, preset)) for preset in _OTHER_RECIPES}
    rows = [
        _row(claim, paper[claim.name], {p: others[p][claim.name] for p in _OTHER_RECIPES})
        for claim in claims
    ]
    rows += [_computed(check, "arithmetic", i) for i, check in enumerate(arithmetic(), start=1)]
    rows += [_computed(check, "theory", i) for i, check in enumerate(checks, start=1)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    texts = [name for name, kind in COLUMNS.items() if kind == "string"]
    return table.fillna(dict.fromkeys(texts, ""))


# ---------------------------------------------------------------- deciding


@dataclass(frozen=True)
class _Decided:
    """An outcome with its word and corrected p-values."""

    outcome: _Outcome
    word: str
    p_for: float | None
    p_against: float | None


def _decided(claims: list[Claim], records: Records) -> dict[str, _Decided]:
    outcomes = {claim.name: _outcome(claim, records) for claim in claims}
    families: dict[str, dict[str, Finding]] = {}
    for name, one in outcomes.items():
        if one.claim.primary and one.found and not one.gaps:
            families.setdefault(one.claim.family, {})[name] = one.found
    corrected: dict[str, tuple[float, float]] = {}
    for found in families.values():
        p_for = holm([x.p_for for x in found.values()])
        p_against = holm([x.p_against for x in found.values()])
        for name, p, q in zip(found, p_for, p_against, strict=True):
            corrected[name] = (float(p), float(q))
    return {name: _word(x, corrected.get(name)) for name, x in outcomes.items()}


def _outcome(claim: Claim, records: Records) -> _Outcome:
    parts = findings(claim, records)
    found = [part for part in parts if isinstance(part, Finding)]
    gaps = tuple(part for part in parts if isinstance(part, Gap))
    whole = together(found) if found else None
    arms = [arm for test in claim.tests for arm in _arms(test)]
    notes = (*(whole.notes if whole else ()), *_conditions(whole),
             *listing(records.listed_of(arms)))  # fmt: skip
    lossless = [test for test in claim.tests if isinstance(test, NotWorse) and test.rival is None]
    beside = companions(lossless[0], records) if len(claim.tests) == len(lossless) == 1 else None
    return _Outcome(claim, whole, gaps, _official(claim, whole), notes, beside or Companions())


def _word(outcome: _Outcome, corrected: tuple[float, float] | None) -> _Decided:
    """The rule. A claim with a test that could not be made can fail, but not hold."""
    found, alpha = outcome.found, 1 - LEVEL
    if found is None:
        begun = any(gap.begun for gap in outcome.gaps)
        pictures = all(isinstance(test, Picture) for test in outcome.claim.tests)
        word = "not decided" if begun or pictures else "not run"
        return _Decided(outcome, word, None, None)
    p_for, p_against = corrected or (found.p_for, found.p_against)
    word = "not decided"
    if p_against < alpha:
        word = "not reproduced"
    elif outcome.gaps:
        word = "not decided"
    elif not found.sensitive:
        word = "insensitive"
    elif p_for < alpha:
        word = "reproduced"
    return _Decided(outcome, word, p_for, p_against)


def _official(claim: Claim, found: Finding | None) -> bool:
    """Whether the runs are the paper's recipe; time and memory also need a GPU to speak of one."""
    if found is None:
        return False
    runs = found.runs
    recipe = runs["config.recipe.paper"].fillna(False).all() and runs["on_test"].all()
    if any(isinstance(test, Saves | LessMemory) for test in claim.tests):
        recipe = recipe and runs["environment.device"].eq("cuda").fillna(False).all()
    return bool(recipe)


def _conditions(found: Finding | None) -> Iterator[str]:
    """What the runs behind a finding differ in, though they are averaged or compared."""
    if found is None:
        return
    for column, words in _ALL_DIFFER.items():
        values = sorted(found.runs[column].fillna("unknown").unique())
        if len(values) > 1:
            yield f"runs of {len(values)} {words}: {', '.join(values)}"
    if found.runs["environment.dirty"].fillna(False).any():
        yield "some runs had local changes to the code"


def _arms(test: Test) -> list[Arm]:
    return [value for value in vars(test).values() if isinstance(value, Arm)]


# ---------------------------------------------------------------- as rows


def _row(claim: Claim, paper: _Decided, others: Mapping[Preset, _Decided]) -> dict[str, object]:
    official = paper.outcome.found is None or paper.outcome.official
    elsewhere = {preset: one for preset, one in others.items() if _has_something(one)}
    if not official:  # the paper's experiment, but changed: another recipe, too
        elsewhere = {"changed": paper, **elsewhere}  # type: ignore[dict-item]
    shown, recipe = paper, "paper" if paper.outcome.found else ""
    if (not official or paper.outcome.found is None) and elsewhere:
        recipe, shown = next(iter(elsewhere.items()))
    word = paper.word if official else "not run"
    return {
        "name": claim.name, "kind": "runs", "claim": claim.sentence, "where": claim.where,
        "role": "primary" if claim.primary else "exploratory",
        "paper": "; ".join(_evidence(claim)), "paper_resolution": _resolution(claim),
        "verdict": word, "why": _why(paper, word), "recipe": recipe,
        "elsewhere": "; ".join(_speaks(preset, one) for preset, one in elsewhere.items()),
        **_numbers(shown),
        "notes": "; ".join([*([claim.remark] if claim.remark else []), *shown.outcome.notes]),
    }  # fmt: skip


def _has_something(one: _Decided) -> bool:
    return one.outcome.found is not None or any(gap.begun for gap in one.outcome.gaps)


def _evidence(claim: Claim) -> list[str]:
    lines = []
    for cell in claim.cells:
        line = printed(cell)
        unit = "" if line["unit"] == "%" else f" {line['unit']}"
        lines.append(f"{cell.shown} {line['printed']}{unit}")
    for test in claim.tests:
        match test:
            case Saves():
                lines.append(f"{printed_saving(test.cells):.3g}% saved")
            case LessMemory():
                lines.append(f"{printed_memory(test.series):.1f}% saved")
    return list(dict.fromkeys(lines))


def _resolution(claim: Claim) -> str:
    if any(isinstance(test, Saves) for test in claim.tests):
        return ""
    found = resolution(claim.cells)
    return "" if found is None else str(found)


def _why(one: _Decided, word: str) -> str:
    outcome = one.outcome
    if word == "not run" and outcome.found is not None:
        return "its runs are not of the paper's recipe"
    if outcome.gaps:
        return outcome.gaps[0].why
    found = outcome.found
    assert found is not None  # neither gap nor finding: no claim is without a test
    if word == "insensitive":
        return "the baseline loses nothing that can be seen at the method's cost"
    if word == "not decided" and found.barred and _seen(found):
        return found.barred
    if word == "not decided":
        return "one seed" if np.isinf(found.half_width) else f"undecided at ±{found.half_width:.2f}"
    return _interval(found) + _though(one)


def _speaks(recipe: str, one: _Decided) -> str:
    found = one.outcome.found
    if found is None:
        return f"{recipe}: nothing to decide from ({one.outcome.gaps[0].why})"
    word = _WORDS_ELSEWHERE.get(one.word, one.word)
    if one.word == "not decided" and found.barred and _seen(found):
        word = f"undecided ({found.barred})"
    elif one.word == "not decided":
        wide = np.isinf(found.half_width)
        word = "undecided" if wide else f"undecided at ±{found.half_width:.2f}"
    return f"{recipe}: {word}: {_interval(found)}{_though(one)}"


def _seen(found: Finding) -> bool:
    """Whether the interval leaves out zero, so that more seeds would not help."""
    return found.low > 0 or found.high < 0


def _interval(found: Finding) -> str:
    interval = "" if np.isinf(found.half_width) else f" [{found.low:+.2f}, {found.high:+.2f}]"
    if found.by_interval:
        return f"{found.estimate:.1f}%{interval} saved on {found.device}"
    return f"{found.estimate:+.2f}{interval}, {found.seeds} seed{'s' if found.seeds > 1 else ''}"


def _though(one: _Decided) -> str:
    """What a claim of losing nothing that holds must not hide: a loss seen within the margin."""
    found = one.outcome.found
    if one.word != "reproduced" or found is None or found.margin is None or found.high >= 0:
        return ""
    return f", a loss that is seen, though within the margin of {found.margin:.2f}"


def _numbers(one: _Decided) -> dict[str, object]:
    found, beside = one.outcome.found, one.outcome.beside
    numbers: dict[str, object] = {"gain_shown": beside.gain_shown, "controls": beside.controls}
    if beside.gain is not None:
        numbers["gain"] = beside.gain.value
        if "[" in beside.gain_shown:
            numbers |= {"gain_low": beside.gain.low, "gain_high": beside.gain.high}
    if found is None:
        return numbers
    finite = not np.isinf(found.half_width)
    numbers |= {
        "test": found.test, "estimate": found.estimate, "margin": found.margin,
        "seeds": found.seeds, "runs": " ".join(sorted(found.runs["run"].dropna().unique())),
        "low": found.low if finite else None, "high": found.high if finite else None,
        "half_width": found.half_width if finite else None,
    }  # fmt: skip
    tested = finite and not found.by_interval
    return numbers | {
        "p_for": one.p_for if tested else None, "p_against": one.p_against if tested else None,
    }  # fmt: skip


def _computed(check: Check, kind: str, number: int) -> dict[str, object]:
    return {
        "name": f"{kind}/{number}", "kind": kind, "claim": check.claim,
        "where": check.source, "verdict": COMPUTED[0 if check.holds else 1], "why": check.computed,
    }  # fmt: skip
