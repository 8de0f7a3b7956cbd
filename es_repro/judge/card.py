"""The report card as plain data: what JSON holds, and terminal and page are made of."""

from collections.abc import Mapping
from typing import Any

from es_repro.judge.conduct import broken_promises
from es_repro.judge.findings import Comparison, Finding
from es_repro.judge.planning import LEVEL, POWER
from es_repro.judge.session import Session, Verdict
from es_repro.judge.trial import Lane, Trial
from es_repro.judge.workloads import Workload
from es_repro.process.machine import environment

__all__ = ["card", "method_line"]

CONTROLS = {
    "short": "the baseline at equal cost",
    "random_set": "random samples at equal cost",
    "random_batch": "random rows of each batch at equal cost",
    "history": "the losses at hand alone",
}


def card(session: Session, verdict: Verdict, command: str) -> dict[str, Any]:
    """Everything a reader is told, in JSON's types.

    Args:
        session: what was asked for.
        verdict: what came of it.
        command: how to make the card again.
    """
    store = session.runner.store
    # Not of those that no workload would judge: a slow one would take hours to examine.
    judged = {name for trial in verdict.trials.values() for name in trial.methods}
    conduct = {
        arm.name: dict(broken_promises(arm, store)) for arm in session.methods if arm.name in judged
    }
    about = environment(session.runner.device, "fp32")
    return {
        "command": command,
        "effort": session.effort_name,
        "level": LEVEL,
        "power": POWER,
        "environment": about,
        "controls": CONTROLS,
        "contract": conduct,
        "missing": dict(verdict.missing),
        "workloads": [
            _workload(trial, verdict.findings[name], conduct)
            for name, trial in verdict.trials.items()
        ],
    }


def _workload(
    trial: Trial, found: Mapping[str, Finding], conduct: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    workload, plan = trial.workload, trial.plan
    tunings = [lane.tuned for lane in trial.lanes.values()]
    reported = sum(float(lane.outcome.epochs_of_flops.sum()) for lane in trial.lanes.values())
    return {
        "name": workload.name,
        "title": workload.heading,
        "measure": workload.measure,
        "larger_is_better": workload.larger_is_better,
        "samples": len(workload.problem("test").targets),
        "examples": workload.examples,
        "epochs": workload.epochs,
        "meta_batch_size": workload.meta_batch_size,
        "hidden": list(workload.hidden),
        "fingerprint": workload.problem("test").fingerprint,
        "seeds": plan.seeds,
        "resolution": plan.resolution,
        "statement": plan.statement(len(trial.lanes)),
        "tuning_runs": sum(tuned.runs for tuned in tunings),
        "tuning_budgets": sum(tuned.budgets for tuned in tunings),
        "reported_budgets": reported / workload.epochs,
        "arms": [_arm(lane, workload) for lane in trial.lanes.values()],
        "methods": [
            _method(one, trial, not conduct.get(name)) for name, one in found.items()
        ],
        "refused": dict(trial.refused),
    }  # fmt: skip


def _arm(lane: Lane, workload: Workload) -> dict[str, Any]:
    runs = lane.outcome.scores.mean(1)
    return {
        "name": lane.arm.name,
        "role": lane.arm.role,
        "epochs": lane.arm.epochs(workload),
        "mean": float(runs.mean()),
        "spread": float(runs.std(ddof=1)),
        "cost": lane.cost(workload),
        "steps": float(lane.outcome.steps.mean()),
        "rate": lane.tuned.rate,
        "interior": lane.tuned.interior,
        "tried": {f"{rate:g}": mean for rate, mean in lane.tuned.tried.items()},
    }


def _method(one: Finding, trial: Trial, keeps_contract: bool) -> dict[str, Any]:
    gain = one.gain
    return {
        "name": one.method,
        "line": method_line(one),
        "word": one.baseline.decision.word,
        "verdict": str(one.baseline.decision),
        "baseline": _comparison(one.baseline),
        "controls": {kind: _comparison(each) for kind, each in one.controls.items()},
        "gain": {"text": str(gain), "value": gain.value, "low": gain.low, "high": gain.high},
        "cost": one.cost,
        "mean": one.mean,
        "spread": one.spread,
        "step_ratio": trial.steps[one.method],
        "keeps_contract": keeps_contract,
    }


def _comparison(each: Comparison) -> dict[str, Any]:
    decision = each.decision
    loss = decision.trial.short_loss
    return {
        "control": each.control,
        "word": decision.word,
        "though": decision.though,
        "verdict": str(decision),
        "difference": decision.trial.difference.mean,
        "half_width": decision.half_width,
        "margin": decision.trial.margin,
        "short_loss": None if loss is None else loss.mean,
        "p_differs": decision.p_differs,
        "p_equivalent": decision.p_equivalent,
        "primary": each.primary,
    }


def method_line(one: Finding) -> str:
    """The verdict on a method, in a line."""
    against = one.baseline.decision
    text = f"{one.method}: {against} ({_signed(one.baseline)} against the whole baseline"
    text += f" at {one.cost:.0%} of its FLOPs)"
    if "short" in one.controls:
        decision = one.controls["short"].decision
        word = f"{decision.word}, though {decision.though}," if decision.though else decision.word
        text += f"; {word} against the baseline at equal cost"
        text += f" ({_signed(one.controls['short'])})"
    return text


def _signed(each: Comparison) -> str:
    return f"{each.decision.trial.difference.mean:+.2f} ± {each.decision.half_width:.2f}"
