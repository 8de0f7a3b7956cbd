"""What goes on: plans asked for again, states, copies, and iterators over one epoch."""

import copy
import pickle

from es_repro.selection.base import Selector
from es_repro.selection.conformance.drive import (
    BATCH,
    EPOCHS,
    SAMPLES,
    Factory,
    all_losses,
    expect,
    meet,
    run_epoch,
    same,
    through_a_file,
    told,
)
from es_repro.selection.sampler import PlannedBatchSampler

__all__ = [
    "copies_continue_alike_and_apart", "iterators_are_fresh", "planning_again_changes_nothing",
    "state_continues_bit_for_bit",
]  # fmt: skip

CUTS = ((0, 1), (EPOCHS // 2, 2), (EPOCHS - 3, None))  # epoch and batch at which a run is cut


def planning_again_changes_nothing(factory: Factory) -> None:
    """`plan_epoch` again for the epoch at hand: the same plan, and nothing is drawn anew."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    for epoch in range(EPOCHS):
        plan = selector.plan_epoch(epoch)
        ids, factors = plan.indices.clone(), (plan.lr_scale, plan.batch_ratio)
        run_epoch(selector, epoch, stop=1)
        before = copy.deepcopy(selector.state_dict())
        again = selector.plan_epoch(epoch)
        expect(again.indices.equal(ids), f"epoch {epoch}: asked again, the plan is another")
        expect((again.lr_scale, again.batch_ratio) == factors, f"epoch {epoch}: other factors")
        expect(same(before, selector.state_dict()), f"epoch {epoch}: asking again moved the state")
        run_epoch(selector, epoch, start=1)


def state_continues_bit_for_bit(factory: Factory) -> None:
    """Saved anywhere and loaded with ``weights_only``, a selector of another seed goes on alike."""
    for epoch, batch in CUTS:
        selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
        for earlier in range(epoch):
            run_epoch(selector, earlier)
        run_epoch(selector, epoch, stop=batch)
        state = selector.state_dict()
        kept, start = through_a_file(state), 0 if batch is None else batch
        resumed = factory(SAMPLES, EPOCHS, device="cpu", seed=99)
        resumed.load_state_dict(through_a_file(state))
        expect(same(kept, resumed.state_dict()), f"epoch {epoch}: the state loaded is another")
        after = epoch if batch is not None else epoch + 1
        trails = [
            [run_epoch(s, e, start=start if e == epoch else 0) for e in range(after, EPOCHS)]
            for s in (selector, resumed)
        ]
        expect(trails[0] == trails[1], f"cut in epoch {epoch}, from there on {told(*trails)}")
        expect(
            same(selector.state_dict(), resumed.state_dict()),
            f"cut in epoch {epoch}: the tables end otherwise",
        )
        expect(same(kept, state), "a state_dict changes while the selector goes on")
    try:
        factory(SAMPLES + 1, EPOCHS, device="cpu", seed=7).load_state_dict(kept)
    except ValueError:
        return
    expect(False, "the state of a data set of another size was loaded without a ValueError")


def copies_continue_alike_and_apart(factory: Factory) -> None:
    """Pickled or deep-copied, both go on alike, and neither moves the other."""
    for clone in (copy.deepcopy, _pickled):
        selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
        for epoch in range(EPOCHS // 2):
            run_epoch(selector, epoch)
        run_epoch(selector, EPOCHS // 2, stop=2)
        twin = clone(selector)
        before = through_a_file(selector.state_dict())
        theirs = [run_epoch(twin, EPOCHS // 2, start=2), run_epoch(twin, EPOCHS // 2 + 1)]
        expect(same(before, selector.state_dict()), "a copy that goes on moves the original")
        ours = [run_epoch(selector, EPOCHS // 2, start=2), run_epoch(selector, EPOCHS // 2 + 1)]
        expect(ours == theirs, f"original and copy: {told(ours, theirs)}")


def iterators_are_fresh(factory: Factory) -> None:
    """An epoch may be iterated as often as a loader likes, also while the selector goes on."""
    selector = factory(SAMPLES, EPOCHS, device="cpu", seed=7)
    sampler = PlannedBatchSampler(selector, BATCH, seed=3)
    earlier: list[tuple[int, list[int], object]] = []
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        plan = selector.plan_epoch(epoch)
        state = copy.deepcopy(selector.state_dict())
        ids, batches = plan.indices.tolist(), list(sampler)
        expect(list(sampler) == batches, f"epoch {epoch}: a second iterator has other batches")
        expect(same(state, selector.state_dict()), f"epoch {epoch}: iterating moved the state")
        for number, batch in enumerate(batches):
            index = plan.indices.new_tensor(batch)
            meet(selector, index, all_losses(epoch)[index])
            if number == len(batches) // 2:
                expect(list(sampler) == batches, f"epoch {epoch}: its batches change half-way")
        expect(plan.indices.tolist() == ids, f"epoch {epoch}: its plan changed in its course")
        for past, planned, kept in earlier:
            now = kept.indices.tolist()  # type: ignore[attr-defined]
            expect(now == planned, f"planning epoch {epoch} changed the plan of epoch {past}")
        earlier.append((epoch, ids, plan))


def _pickled(selector: Selector) -> Selector:
    twin: Selector = pickle.loads(pickle.dumps(selector))
    return twin
