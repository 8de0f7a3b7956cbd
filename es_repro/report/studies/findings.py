"""What a study's records say: of each arm, and of each contrast. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from es_repro.report.runs import diverged
from es_repro.report.studies.study import Study
from es_repro.report.verdicts.arms import Records, Values
from es_repro.report.verdicts.claim import Arm
from es_repro.statistics import Decision, Trial, decide, decide_all, equivalent_gain, trial

__all__ = ["ARMS", "BASELINE", "CONTRASTS", "LEVEL", "Findings", "findings", "unfinished"]

LEVEL = 0.95
_LEAST_SEEDS = 3
_EQUAL_COST = 0.06  # beyond it a gain or a loss is said to be of unequal cost
BASELINE = "baseline"

ARMS = {
    "row": "string", "arm": "string", "seeds": "Int64", "diverged": "Int64", "mean": "Float64",
    "sd": "Float64", "cost": "Float64", "trained": "Float64", "rate": "Float64", "gain": "Float64",
    "gain_low": "Float64", "gain_high": "Float64", "gain_shown": "string", "gap": "string",
}  # fmt: skip
CONTRASTS = {
    "method": "string", "control": "string", "role": "string", "seeds": "Int64",
    "difference": "Float64", "low": "Float64", "high": "Float64", "margin": "Float64",
    "cost_ratio": "Float64", "spread": "Float64",
    "p_differs": "Float64", "p_equivalent": "Float64", "verdict": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """A study as numbers.

    Attributes:
        arms: a line an arm, columns `ARMS`: accuracies in percent, `cost` and `trained` (FLOPs and
            samples back-propagated) as shares of the baseline's, `gap` says why it has no value,
            `diverged`: runs whose loss was not finite, beside the seeds.
        contrasts: a line a contrast that could be made, columns `CONTRASTS`: in points;
            `cost_ratio`: FLOPs of the method over the control's; `spread`: standard deviation over
            seeds of what equivalence is tested on.
        runs: the finished runs behind them.
    """

    arms: pd.DataFrame
    contrasts: pd.DataFrame
    runs: pd.DataFrame


def findings(study: Study, records: Records) -> Findings:
    """Decide a study.

    A method against the baseline is held to half of what its `short` loses; against arms of its
    own cost, to the margin of the plan. Primary contrasts are corrected together by Holm.

    Args:
        study: which one.
        records: the runs.
    """
    found = {row: records.values(Arm((study.experiment,), row)) for row in study.arms}
    there = {row: values for row, values in found.items() if len(values.by_seed) >= _LEAST_SEEDS}
    runs = pd.concat([values.runs for values in found.values()])
    asked = {row: records.asked(Arm((study.experiment,), row)) for row in study.arms}
    failures = {row: int(diverged(mine).sum()) for row, mine in asked.items()}
    arms = pd.DataFrame(
        [_arm(study, row, found, there) | {"diverged": failures[row]} for row in study.arms],
        columns=list(ARMS),
    ).astype(ARMS)
    trials = dict(_trials(study, there))
    primary = {f"{a}/{b}": one for (a, b), one in trials.items() if (a, b) in study.primary}
    corrected = decide_all(primary, LEVEL)
    lines = [
        _contrast(a, b, one, _cost_ratio(there, a, b), corrected.get(f"{a}/{b}"), failures[a])
        for (a, b), one in trials.items()
    ]
    contrasts = pd.DataFrame(lines, columns=list(CONTRASTS)).astype(CONTRASTS)
    return Findings(arms, contrasts, runs)


def unfinished(study: Study, found: Findings) -> str:
    """How far a study is that has fewer seeds than were planned; "" where it has all."""
    seeds = int((found.arms["seeds"] + found.arms["diverged"]).min())  # a failure is an answer, too
    if seeds >= study.seeds:
        return ""
    return (
        f"**Unfinished**: {seeds} of the {study.seeds} planned seeds in every arm. Words and "
        "intervals below are those of a look in between; the last one decides."
    )


def _trials(study: Study, there: dict[str, Values]) -> Iterator[tuple[tuple[str, str], Trial]]:
    """The contrasts whose arms all have values, on the seeds that they share."""
    for method in study.methods:
        short = study.shorts[method]
        wanted = [(BASELINE, (method, BASELINE, short)), (short, (method, short))]
        wanted += [(rival, (method, rival)) for rival in study.rivals.get(method, ())]
        for control, rows in wanted:
            if not set(rows) <= set(there):
                continue
            samples = _paired([there[row] for row in rows])
            if len(samples[0]) < _LEAST_SEEDS:
                continue
            if control == BASELINE:
                yield (method, control), trial(samples[0], samples[1], short=samples[2])
            else:
                yield (method, control), trial(samples[0], samples[1], margin=study.margin)


def _paired(arms: list[Values]) -> list[np.ndarray]:
    seeds = sorted(set.intersection(*(set(values.by_seed.index) for values in arms)))
    return [values.by_seed.reindex(seeds).to_numpy(dtype=np.float64) for values in arms]


def _contrast(
    method: str, control: str, one: Trial, ratio: float, corrected: Decision | None, failures: int
) -> dict[str, object]:
    """A line of the contrasts; `corrected` where it is one of the primary ones."""
    failed = f"; beside it {failures} of its runs diverged" if failures else ""
    decision = corrected or decide(one, LEVEL)
    role = "exploratory" if corrected is None else "primary"
    low, high = one.difference.interval(LEVEL)
    unfair = "" if control == BASELINE else _unfair(decision, ratio)
    return {
        "method": method, "control": control, "role": role, "seeds": int(one.difference.dof) + 1,
        "difference": one.difference.mean, "low": low, "high": high, "margin": one.margin,
        "cost_ratio": ratio, "spread": one.standard_error * (one.difference.dof + 1) ** 0.5,
        "p_differs": decision.p_differs, "p_equivalent": decision.p_equivalent,
        "verdict": f"{decision}{unfair}{failed}",
    }  # fmt: skip


def _cost_ratio(there: dict[str, Values], method: str, control: str) -> float:
    return _mean(there[method], "cost/flops") / _mean(there[control], "cost/flops")


def _unfair(decision: Decision, ratio: float) -> str:
    """What stands behind a word that unequal cost alone could account for."""
    dearer = decision.word == "better" and ratio > 1 + _EQUAL_COST
    cheaper = decision.word == "worse" and ratio < 1 - _EQUAL_COST
    return f", but at {ratio:.2f} of its FLOPs" if dearer or cheaper else ""


def _arm(
    study: Study, row: str, found: dict[str, Values], there: dict[str, Values]
) -> dict[str, object]:
    values = found[row]
    line: dict[str, object] = {"row": row, "arm": study.arms[row], "gap": values.gap}
    line["seeds"] = len(values.by_seed)
    if values.gap:
        return line
    whole = found[BASELINE]
    line |= {"mean": values.by_seed.mean(), "sd": values.by_seed.std(ddof=1)}
    for name, column in (("cost", "cost/flops"), ("trained", "cost/bp_samples")):
        if not whole.gap:
            line[name] = _mean(values, column) / _mean(whole, column)
    line["rate"] = _rate(values)
    return line | (_gain(study, row, there) if row in study.shorts else {})


def _gain(study: Study, row: str, there: dict[str, Values]) -> dict[str, object]:
    """FLOPs that the baseline needs for the arm's accuracy, over the arm's own."""
    budgets = [name for name in (*study.frontier, BASELINE) if name in there]
    if row not in there or len(budgets) < 2 or BASELINE not in budgets:
        return {}
    budgets.sort(key=lambda name: _mean(there[name], "cost/flops"))
    samples = _paired([there[name] for name in (*budgets, row)])
    if len(samples[0]) < _LEAST_SEEDS:
        return {}
    gain = equivalent_gain(
        [_mean(there[name], "cost/flops") for name in budgets], samples[:-1],
        _mean(there[row], "cost/flops"), samples[-1], level=LEVEL,
    )  # fmt: skip
    shown = {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
    return shown | {"gain_shown": str(gain)}


def _mean(values: Values, column: str) -> float:
    return float(values.runs[column].astype("float64").mean())


def _rate(values: Values) -> float | None:
    rates = values.runs["config.optimizer.lr"].dropna().unique()
    return float(rates[0]) if len(rates) == 1 else None
