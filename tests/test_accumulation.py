"""Micro-batches: the gradient, the rows and the record of a step do not depend on how it is cut."""

from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from es_repro.costs.account import costs
from es_repro.data.conversations import conversations
from es_repro.data.responses import Draw, Pairs
from es_repro.engine import Engine
from es_repro.models import small_qwen2
from es_repro.selection import PlannedBatchSampler, constant, create
from es_repro.settings import Settings
from es_repro.tasks import Sft
from tests.data.problems import small_chat, sums

N, B, EPOCHS = 64, 32, 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return conversations(Pairs("made", *sums(70)), None, small_chat(cache), Draw(300, N, 4), cache)


def engine(data, method, micro, *, by_length=False, model=None, **hyper):
    torch.manual_seed(0)
    model = model or small_qwen2(width=16, layers=1, heads=2, **data.facts)
    selector = create(method, N, EPOCHS, **hyper)
    return Engine(
        fabric=Fabric(accelerator="cpu", devices=1),
        model=model,
        task=Sft(),
        selector=selector,
        loader=data.loader(PlannedBatchSampler(selector, B), seed=0, device="cpu"),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        schedule=constant(),
        record=SimpleNamespace(log=lambda *_, **__: None),
        settings=Settings(
            epochs=EPOCHS,
            meta_batch_size=B,
            micro_batch_size=micro,
            score_micro_batch=micro,
            group_by_length=by_length,
        ),
    )


def first_step(run, epoch=0):
    """Gradient, picked ids and scores of one step, the optimizer held back."""
    run.epoch, found = epoch, {}
    run.loader.set_epoch(epoch)
    run.update = lambda: found.update(
        gradient=torch.cat([p.grad.flatten() for p in run.net.parameters()])
    )
    count = run.count

    def counted(index, scored, objective, seen):
        found.update(index=index, scores=seen.scores, objective=objective)
        count(index, scored, objective, seen)

    run.count = counted
    batch = next(iter(run.loader.batches()))
    run.train_step(batch, selecting=run.selector.selects_batches, lr_scale=1.0)
    return found | {"meta": batch[0]}


@pytest.mark.parametrize("by_length", [False, True])
@pytest.mark.parametrize("micro", [1, 4, 8])
@pytest.mark.parametrize(
    ("method", "hyper"),
    [("baseline", {}), ("es", {"annealing_start": 0.0}), ("order", {}), ("infobatch", {})],
)
def test_accumulated_gradients_agree(data, method, hyper, micro, by_length):
    whole = first_step(engine(data, method, 32, **hyper))
    found = first_step(engine(data, method, micro, by_length=by_length, **hyper))

    assert torch.equal(found["index"], whole["index"])  # the same rows train, in the same order
    torch.testing.assert_close(found["scores"], whole["scores"])
    torch.testing.assert_close(found["objective"], whole["objective"])
    torch.testing.assert_close(found["gradient"], whole["gradient"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("micro", [1, 4, 32])
@pytest.mark.parametrize("by_length", [False, True])
def test_the_weights_of_infobatch_survive_accumulation(data, micro, by_length):
    run = engine(data, "infobatch", micro, by_length=by_length, prune_ratio=0.5)
    run.loader.set_epoch(0)
    losses = torch.linspace(0.1, 2.0, N)
    run.selector.observe(torch.arange(N), losses)
    found = first_step(run, epoch=1)
    weights = torch.where(losses < losses.mean(), 2.0, 1.0)[found["index"]]  # 1 / (1 - r)
    assert weights.unique().tolist() == [1.0, 2.0]

    inputs, targets = run.loader.rows(found["index"])
    model = run.net
    model.zero_grad()
    by_sample = model(**inputs.fields).sum(1) / targets
    (weights * by_sample).mean().backward()  # by hand: over the number of rows, not of weights
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(found["gradient"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "scoring", "backward"),
    [("baseline", 0, 4), ("es", 4, 1), ("eswp", 4, 1), ("random", 0, 1)],
)
def test_selection_saves_backward_passes_and_the_record_counts_them(
    data, method, scoring, backward
):
    hyper = {"batch_ratio": 0.25, "annealing_start": 0.0, "annealing_end": 0.0}
    run = engine(data, method, 8, **({} if method == "baseline" else hyper))
    found = first_step(run)

    assert costs(run)["cost/scoring_passes"] == scoring  # ceil(B / b_micro)
    assert costs(run)["cost/backward_passes"] == backward  # ceil(b / b_micro)
    assert len(found["index"]) == (32 if method == "baseline" else 8)


def test_warming_up_counts_no_passes(data):
    run = engine(data, "es", 8)
    run.warm_up()
    assert run.cost.scoring_passes == run.cost.backward_passes == 0


class Widths(nn.Module):
    """Notes how wide each micro-batch is, and answers losses that depend on nothing."""

    def __init__(self):
        super().__init__()
        self.bias, self.seen = nn.Parameter(torch.zeros(())), []

    def forward(self, input_ids, attention_mask, labels):
        self.seen.append(tuple(input_ids.shape))
        return self.bias + (labels[:, 1:] != -100).float()


def test_sorting_by_length_leaves_less_padding(data):
    padded = []
    for by_length in (False, True):
        model = Widths()
        run = engine(data, "baseline", 4, by_length=by_length, model=model)
        run.flops = lambda *_: 0
        first_step(run)
        padded.append(sum(rows * width for rows, width in model.seen))
        assert sum(rows for rows, _ in model.seen) == B
    assert padded[1] < padded[0]
