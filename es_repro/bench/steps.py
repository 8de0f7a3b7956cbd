"""What an epoch of a method costs beside the baseline's: steps taken in turn, in one process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from es_repro.bench.filling import fill_tables
from es_repro.bench.memory import Footprint, footprint
from es_repro.bench.ratios import (
    Estimate,
    Work,
    epoch_ratios,
    estimate,
    ideal_ratio,
    realised_share,
)  # fmt: skip
from es_repro.bench.rigs import Case, DataChoice, bare_engine, compose_case, described, images
from es_repro.bench.stepping import Stepper, paired_seconds
from es_repro.engine import Engine

__all__ = ["Plan", "Row", "measure_rows"]

ANNEALED, SELECTING = 0, 2  # epochs of the run that is stepped through
REPLANNED = (3, 4, 5)  # of the same kind: planning one of them afresh is what is timed
PAPER_EPOCHS = 200  # App. D.3: the run whose saving is predicted


@dataclass(frozen=True)
class Plan:
    """How steps are measured.

    Attributes:
        pairs: measured rounds.
        warmup: rounds before them.
        data: which images.
        num_samples: n, the size of an epoch.
        data_root: where data sets live.
        overrides: of every run, as of `es_repro.train`.
        device: where steps run.
    """

    pairs: int
    warmup: int
    data: DataChoice
    num_samples: int
    data_root: str
    device: torch.device
    overrides: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """A method's selecting epoch beside the baseline's; seconds are medians over the pairs.

    Attributes:
        model, method: as asked for.
        level: of the method: none, set, batch or both.
        meta_batch_size: B.
        batch_ratio: rows trained over rows of the meta-batch B.
        work, baseline_work: of the epoch and of the baseline's, in rows.
        step_ratio: a step over a baseline step.
        epoch_ratio: the epoch, planning and re-scoring included, over the baseline's.
        ideal: the same in FLOPs.
        share: realised share of the ideal saving.
        run_saved: time that a whole run of 200 epochs saves, if all of its epochs realise that
            share of what the cost model says.
        step_seconds, baseline_seconds: of one step.
        plan_seconds, baseline_plan_seconds: of planning one epoch: plan, shuffle, augmentation.
        refresh_seconds: of re-scoring one meta-batch of hidden samples.
        phases: seconds of a step by phase; `other` is what lies between them.
        selection_share: of the baseline's step, spent on update, draw and gathering the rows.
        samples_per_second: of the planned samples, over the whole epoch.
        memory: of a step of this epoch.
        plain_memory: of a step on all B rows: in an annealed epoch, or else the baseline's.
        data: what the images were.
    """

    model: str
    method: str
    level: str
    meta_batch_size: int
    batch_ratio: float
    work: Work
    baseline_work: Work
    step_ratio: Estimate
    epoch_ratio: Estimate
    ideal: float
    share: Estimate | None
    run_saved: Estimate | None
    step_seconds: float
    baseline_seconds: float
    plan_seconds: float
    baseline_plan_seconds: float
    refresh_seconds: float | None
    phases: dict[str, float]
    selection_share: float
    samples_per_second: float
    memory: Footprint
    plain_memory: Footprint
    data: str = ""


def measure_rows(
    cases: Sequence[Case], plan: Plan, show: Callable[[float, str], None] = lambda *_: None
) -> list[Row]:
    """Measure each case against the baseline of its model.

    Args:
        cases: rows; those of one model share the baseline's engine.
        plan: how.
        show: called with the share done and what is being measured.
    """
    rows: list[Row] = []
    plain: Stepper | None = None
    for number, case in enumerate(cases):
        show(number / len(cases), f"{case.model}, {case.method}")
        case = replace(case, overrides=plan.overrides)
        config = compose_case(case)
        if plain is None or case.model != cases[number - 1].model:
            base = compose_case(replace(case, method="baseline"))
            data = images(plan.data, plan.data_root, plan.num_samples, base)
            plain = Stepper(bare_engine(base, data, plan.device), SELECTING)
        engine = bare_engine(config, data, plan.device)
        row = _measure(case, engine, plain, plan)
        rows.append(replace(row, data=described(data)))
    return rows


def _measure(case: Case, engine: Engine, plain: Stepper, plan: Plan) -> Row:
    selector, device = engine.selector, plan.device
    selector.plan_epoch(ANNEALED)
    fill_tables(selector)
    planning = _planning_seconds(plain.engine, engine, plan)
    stepper = Stepper(engine, SELECTING)
    work = _work(stepper)
    pieces: list[Callable[[], None]] = [plain.step, stepper.step]
    if work.refreshed:
        pieces.append(stepper.score)
    base_work = _work(plain)
    stepper.phases.clear()
    seconds = paired_seconds(pieces, plan.pairs, plan.warmup, device)
    middle = np.median(seconds, axis=0)
    phases = _phases(stepper, plan.pairs, float(middle[1]))
    epoch = estimate(epoch_ratios(seconds, work, base_work, planning[1], planning[0]))
    ideal = ideal_ratio(work)
    share = realised_share(epoch, ideal)
    cost = type(selector).expected_cost(PAPER_EPOCHS, **selector.hyperparameters).factor
    refresh = float(middle[2]) if work.refreshed else None
    spent = middle[1] * work.steps + planning[1] + (refresh or 0.0) * work.refreshes
    memory = footprint(stepper)
    return Row(
        model=case.model,
        method=case.method,
        level=selector.level,
        meta_batch_size=engine.settings.meta_batch_size,
        batch_ratio=work.trained / engine.settings.meta_batch_size,
        work=work,
        baseline_work=base_work,
        step_ratio=estimate(seconds[:, 1] / seconds[:, 0]),
        epoch_ratio=epoch,
        ideal=ideal,
        share=share,
        run_saved=None if share is None else share.scaled(1 - cost),
        step_seconds=float(middle[1]),
        baseline_seconds=float(middle[0]),
        plan_seconds=planning[1],
        baseline_plan_seconds=planning[0],
        refresh_seconds=refresh,
        phases=phases,
        selection_share=phases["selection"] / float(middle[0]),
        samples_per_second=float(work.planned / spent),
        memory=memory,
        plain_memory=_plain_memory(stepper, plain),
    )


def _planning_seconds(baseline: Engine, engine: Engine, plan: Plan) -> tuple[float, float]:
    """Median seconds of planning an epoch, the baseline's and the method's."""

    def replan(loader_of: Engine) -> Callable[[], None]:
        turn = iter(range(10**9))
        return lambda: loader_of.loader.set_epoch(REPLANNED[next(turn) % len(REPLANNED)])

    rounds = min(plan.pairs, len(REPLANNED) * 3)
    seconds = paired_seconds([replan(baseline), replan(engine)], rounds, 1, plan.device)
    first, second = np.median(seconds, axis=0)
    baseline.loader.set_epoch(SELECTING)
    return float(first), float(second)


def _work(stepper: Stepper) -> Work:
    """Counted in one step of the engine's own."""
    engine = stepper.engine
    before = replace(engine.cost)
    stepper.step()
    trained = engine.cost.bp_samples - before.bp_samples
    plan = engine.loader.plan
    return Work(
        num_samples=engine.loader.num_samples,
        planned=len(plan.indices),
        batch_rows=engine.loader.sampler.batch_size,
        scored=engine.cost.forward_samples - before.forward_samples - trained,
        trained=trained,
        refreshed=0 if plan.refresh is None else len(plan.refresh),
    )


def _phases(stepper: Stepper, pairs: int, step_seconds: float) -> dict[str, float]:
    measured = stepper.phases[-pairs:]
    names = [name for name in measured[0] if name != "evaluation"]
    found = {name: float(np.median([step[name] for step in measured])) for name in names}
    return found | {"other": max(0.0, step_seconds - sum(found.values()))}


def _plain_memory(stepper: Stepper, baseline: Stepper) -> Footprint:
    annealed = Stepper(stepper.engine, ANNEALED)
    return footprint(baseline if annealed.selecting else annealed)
