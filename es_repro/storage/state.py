"""The state of a run in the middle of it: taken from all ranks, given back to any number."""

from typing import TYPE_CHECKING, Any

from es_repro.costs.counters import Cost
from es_repro.parallel.ranks import Ranks
from es_repro.parallel.sharding import load_model, load_optimizer, whole
from es_repro.process.generators import global_state, load_global_state
from es_repro.selection.exchange import with_own_stream
from es_repro.storage.checkpoint import Checkpoints, read

if TYPE_CHECKING:  # it asks for its own state
    from es_repro.engine import Engine

__all__ = ["engine_state", "load_engine_state", "read_for_all"]


def engine_state(engine: "Engine") -> dict[str, Any]:
    """Everything that the rest of the run depends on, the generators included.

    Called by all ranks. Models, tables and counts are those of the whole run; only the generators
    are each rank's own: rank 0's stand where one process has its own, `ranks` holds the others'.
    """
    ranks, selector = engine.ranks, engine.selector.state_dict()
    own = {
        "generators": global_state(engine.fabric.device),
        "select_stream": selector.get("select_stream"),  # a foreign one may draw by other means
    }
    return {
        "epoch": engine.epoch,
        "position": engine.position,
        "rows": rows_per_step(engine),
        "model": whole(engine.net.state_dict()),
        "optimizer": whole(engine.inner_optimizer.state_dict()),
        "selector": selector,
        "picks": engine.picks.state_dict(),
        "traces": engine.traces.state_dict(),
        "cost": engine.cost.over(ranks).state_dict(),
        "clock": engine.clock.state_dict(),
        "memory": engine.memory.state_dict(),
        "best": engine.best,
        "latest": engine.latest,
        "generators": own["generators"],
        "ranks": ranks.everyones(own)[1:],
    }


def load_engine_state(engine: "Engine", state: dict[str, Any]) -> None:
    """Go on from `state`; the data order is rebuilt from (seed, epoch) and the stored plan.

    The state of another number of ranks serves too: plan, order and global batches are the same.
    A rank that it does not know begins with generators of its own.

    Raises:
        ValueError: it stands within an epoch whose batches these ranks would cut elsewhere, or it
            is another method's.
    """
    ranks = engine.ranks
    selector = state["selector"]
    first = {"generators": state["generators"], "select_stream": selector.get("select_stream")}
    everyones = [first, *state.get("ranks", [])]
    streams = [own["select_stream"] for own in everyones if own["select_stream"] is not None]
    engine.selector.load_state_dict(with_own_stream(selector, ranks.rank, streams))
    engine.epoch, engine.position = state["epoch"], state["position"]
    require_same_cut(engine, state)
    load_model(engine.net, state["model"])
    load_optimizer(engine.inner_optimizer, state["optimizer"])
    engine.picks.load_state_dict(state["picks"])
    engine.traces.load_state_dict(state["traces"])
    engine.cost = Cost(**state["cost"])
    if not ranks.main:  # rank 0 carries what all have counted
        steps = {"optimizer_steps", "selecting_steps"}
        engine.cost = Cost(**{name: state["cost"][name] for name in steps})
    engine.clock.load_state_dict(state["clock"])
    engine.memory.load_state_dict(state["memory"])
    engine.best, engine.latest = state["best"], state["latest"]
    if ranks.rank < len(everyones):
        load_global_state(everyones[ranks.rank]["generators"], engine.fabric.device)


def rows_per_step(engine: "Engine") -> int:
    """Rows of a whole meta-batch over all ranks, in the epoch now planned."""
    return engine.loader.sampler.batch_size * engine.ranks.world_size


def require_same_cut(engine: "Engine", state: dict[str, Any]) -> None:
    """A position within an epoch counts batches, which must be as large as they were."""
    if state["position"] == 0 or "rows" not in state:
        return
    engine.loader.set_epoch(engine.epoch)  # plans nothing anew
    mine = rows_per_step(engine)
    if mine != state["rows"]:
        raise ValueError(
            f"world_size={engine.ranks.world_size}: must be that of the checkpoint, which lies "
            f"within an epoch of steps of {state['rows']} rows; here they have {mine}"
        )


def read_for_all(checkpoints: Checkpoints, ranks: Ranks) -> dict[str, Any] | None:
    """The newest readable state, the same on every rank, or None where there is none.

    Args:
        checkpoints: the run's; rank 0 says which of them is read.
        ranks: all call it.

    Raises:
        CheckpointDamaged: there are files, and rank 0 can read none.
        OSError: another rank cannot see the file.
    """
    found = checkpoints.load_newest() if ranks.main else None
    path = ranks.from_main(lambda: found and found[0])
    if path is None or found is not None:
        return found and found[1]
    return read(path)
