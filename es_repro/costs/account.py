"""What a run says of itself: the line of an epoch, and its last word."""

from typing import TYPE_CHECKING, Any

from es_repro.costs.counters import effective_sample_size
from es_repro.storage.state import rows_per_step

if TYPE_CHECKING:  # it asks for its own account
    from es_repro.engine import Engine

__all__ = ["costs", "epoch_line", "run_summary"]


def epoch_line(engine: "Engine") -> dict[str, Any]:
    """Metrics, shares and costs at the end of an epoch; closes its counts; called by all ranks."""
    plan, weights = engine.loader.plan, engine.selector.weights
    share = {
        "data/planned_share": len(plan.indices) / engine.loader.num_samples,
        "data/batch_rows": rows_per_step(engine),
        "data/damaged": getattr(engine.loader, "damaged", 0),  # streamed images alone can be
    }
    if engine.skips:
        share["selection/nonfinite"] = int(engine.selector.num_nonfinite)
    if weights is not None:
        share["selection/effective_sample_size"] = effective_sample_size(weights)
    return engine.metrics() | share | engine.picks.epoch_summary(plan) | costs(engine)


def costs(engine: "Engine") -> dict[str, Any]:
    """Counted and timed costs so far, by the record's names; called by all ranks."""
    cost, clock = engine.cost.over(engine.ranks), engine.clock
    counted = {f"cost/{name}": value for name, value in cost.state_dict().items()}
    phases = {f"time/{name}_seconds": value for name, value in clock.seconds.items()}
    return counted | {"time/train_seconds": clock.train_seconds} | phases


def run_summary(engine: "Engine") -> dict[str, Any]:
    """The run's last word: metrics, costs and kinds of steps; called by all ranks."""
    best = {f"{engine.loader.split}/{engine.task.headline}_best": engine.best}
    cost, selecting = engine.cost.over(engine.ranks), engine.cost.selecting_steps
    passes = cost.forward_samples + 2 * cost.bp_samples
    kinds = {
        "cost/flops_per_sample": cost.flops / max(1, passes),
        **{"steps/selecting": selecting, "steps/plain": engine.step - selecting},
        "time/warm_up_seconds": engine.warm_up_seconds,
    }
    noise = engine.picks.summary()
    return engine.metrics() | best | costs(engine) | kinds | noise | engine.memory.summary()
