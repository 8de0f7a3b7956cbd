"""A selector with the contract alone, wherever ours are taken."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from test_engine import EPOCHS, B, N, TensorLoader, network
from torch import nn
from torch.utils.data import TensorDataset

from es_repro.selection import (
    EpochPlan,
    PlannedBatchSampler,
    ProgressScheduler,
    Selection,
    create,
    one_cycle,
)
from es_repro.selection.conformance import check
from es_repro.selection.foreign import Foreign, as_selector
from tests.selection.minimal import RATIO, LargestLosses

ROWS = TensorLoader(create("baseline", N, 1))
DATA = TensorDataset(ROWS.inputs, ROWS.labels)


def losses_of(model, data):
    return F.cross_entropy(model(data[0]), data[1], reduction="none")


def train(selection, epochs=None):
    """The ids that were trained on, batch by batch."""
    optimizer = torch.optim.SGD(selection.model.parameters(), 0.2)
    scheduler = ProgressScheduler(optimizer, one_cycle(0.3, 25, 1e4))
    trained = []
    for epoch in selection.epochs if epochs is None else epochs:
        for batch in selection.epoch(epoch):
            scheduler.step(selection.progress, selection.lr_scale)
            rows = selection.pick(batch)
            optimizer.zero_grad()
            selection.objective(rows).backward()
            optimizer.step()
            trained.append(rows.index.tolist())
    return trained


def written_out():
    """The same run without anything of ours but the sampler."""
    selector, model = LargestLosses(N, EPOCHS), network()
    sampler = PlannedBatchSampler(selector, B)
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    scheduler = ProgressScheduler(optimizer, one_cycle(0.3, 25, 1e4))
    trained = []
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        for step, ids in enumerate(sampler):
            scheduler.step((epoch + step / len(sampler)) / EPOCHS)
            batch = DATA[ids]
            with torch.no_grad():
                losses = losses_of(model, batch)
            ids = torch.tensor(ids)
            picked = selector.select(ids, losses)
            optimizer.zero_grad()
            kept = losses_of(model, [part[picked] for part in batch])
            selector.reduce(ids[picked], kept).backward()
            optimizer.step()
            trained.append(ids[picked].tolist())
    return trained, selector, model


def test_it_goes_through_selection_as_through_a_loop_written_out():
    trained, selector, model = written_out()
    selection = Selection(LargestLosses(N, EPOCHS), network(), losses_of, DATA, B)
    assert train(selection) == trained
    assert len(trained[0]) == RATIO * B
    assert selection.selector.last.equal(selector.last)  # its own attributes are in reach
    mine = nn.utils.parameters_to_vector(selection.model.parameters())
    assert mine.equal(nn.utils.parameters_to_vector(model.parameters()))


def test_it_goes_on_from_a_state():
    whole = train(Selection(LargestLosses(N, EPOCHS), network(), losses_of, DATA, B))
    first = Selection(LargestLosses(N, EPOCHS), network(), losses_of, DATA, B)
    trained = train(first, range(2))
    again = Selection(LargestLosses(N, EPOCHS), first.model, losses_of, DATA, B)
    again.load_state_dict(first.state_dict())
    assert again.selector.last.equal(first.selector.last)
    assert trained + train(again) == whole


def test_it_keeps_every_promise_of_the_contract():
    assert check(LargestLosses) == []


def test_the_kit_sees_a_budget_that_wavers_and_one_that_is_not_as_stated():
    class Wavers(LargestLosses):
        turn = 0

        def select(self, index, losses):
            self.turn += 1
            return super().select(index, losses)[: 1 + self.turn % 2]

    class Understates(LargestLosses):
        batch_ratio = RATIO / 2

    for broken in (Wavers, Understates):
        assert "budget" in [failure.promise for failure in check(broken)]


def test_one_of_ours_stays_what_it_is():
    selector = create("es", N, EPOCHS)
    assert as_selector(selector) is selector


def test_copies_and_pickles_are_whole():
    selector = as_selector(LargestLosses(N, EPOCHS))
    for twin in (copy.deepcopy(selector), pickle.loads(pickle.dumps(selector))):
        twin.observe(torch.tensor([3]), torch.tensor([2.0]))
        assert twin.last[3] == 2
        assert selector.last[3] == 0
        assert twin.method_name() == "LargestLosses"


def test_weights_are_the_gradients_of_its_objective():
    class Weighted(LargestLosses):
        def reduce(self, index, losses):
            return (losses * index).mean()

    selector = as_selector(Weighted(N, EPOCHS))
    assert selector.weigh(torch.tensor([1, 4])).tolist() == [1, 4]


def test_what_it_lacks_of_the_contract_is_named():
    class Picks:
        num_samples, num_epochs = N, EPOCHS

        def select(self, index, losses):
            return index

    message = "selector='Picks': must be of a class that has plan_epoch, selects_batches, signals, "
    with pytest.raises(ValueError, match=f"^{message}observe, reduce, check too$"):
        PlannedBatchSampler(Picks(), B)


def test_without_a_state_it_trains_and_cannot_be_saved():
    class Stateless(LargestLosses):
        state_dict = property()  # hasattr is false

    selector = Foreign(Stateless(N, EPOCHS))
    with pytest.raises(ValueError, match=r"^selector='Stateless': must be of a class that has sta"):
        selector.state_dict()


class FirstOfBatch(LargestLosses):
    """Picks without losses, and plans nothing to be scored again, by an empty list."""

    needs_losses = False

    def plan_epoch(self, epoch):
        ids = torch.arange(self.num_samples)
        return EpochPlan(ids, refresh=ids[:0])

    def select(self, index, losses):
        assert losses is None
        return torch.arange(4)


def test_one_that_needs_no_losses_observes_those_of_its_picks():
    selector = FirstOfBatch(N, EPOCHS)
    selection = Selection(selector, network(), losses_of, DATA, B)
    trained = train(selection, epochs=[0])
    seen = sorted(i for ids in trained for i in ids)
    assert len(seen) == 4 * 6
    assert selector.last.nonzero().flatten().tolist() == seen
