"""Selection in a loop of one's own: every method's epoch, resume, ranks, and a user's mistakes."""

import io
import random
from collections import UserDict, namedtuple
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from test_engine import EPOCHS, B, N, TensorLoader, engine, network
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate
from variants import VARIANTS

from es_repro.selection import (
    Indexed,
    IndexedBatch,
    IndexedCollate,
    ProgressScheduler,
    Replay,
    Selection,
    Trace,
    create,
    one_cycle,
)
from es_repro.selection.foreign import as_selector
from es_repro.selection.loop import require_device
from es_repro.selection.replay import EpochTrace, pack_bits
from tests.ranks import launch
from tests.selection.minimal import LargestLosses

ROWS = TensorLoader(create("baseline", N, 1))
DATA = TensorDataset(ROWS.inputs, ROWS.labels)


def losses_of(model, data):
    inputs, labels = data
    logits = model(inputs)
    probabilities = logits.detach().softmax(1)
    signals = {"correct": logits.argmax(1) == labels, "confidence": probabilities.amax(1)}
    return F.cross_entropy(logits, labels, reduction="none"), signals


def build(variant="es", model=None, data=DATA, losses=losses_of, size=B, **options):
    name, hyper = VARIANTS[variant]
    own = {k: options.pop(k) for k in list(options) if k in ("seed",)}
    selector = create(name, N, EPOCHS, **hyper, **own)
    return Selection(selector, model or network(), losses, data, size, **options)


def train(selection, until=None, steps=None, autocast=False):
    """Train as a user does; answers the ids met, those trained on and the learning rates."""
    optimizer = torch.optim.SGD(selection.model.parameters(), 0.2, momentum=0.9, fused=True)
    scheduler = ProgressScheduler(optimizer, one_cycle(0.3, 25, 1e4))
    trail = []
    for epoch in selection.epochs:
        for batch in selection.epoch(epoch):
            scheduler.step(selection.progress, selection.lr_scale)
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                rows = selection.pick(batch)
                loss = selection.objective(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            trail.append(
                (batch.index.tolist(), rows.index.tolist(), optimizer.param_groups[0]["lr"])
            )
            if len(trail) == until:
                return trail
    return trail


def parameters(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_is_the_engine_bit_for_bit(variant, monkeypatch):
    name, hyper = VARIANTS[variant]
    run, trained = engine(name, **hyper), []
    monkeypatch.setattr(
        run,
        "count",
        lambda index, *rest: (trained.append(index.tolist()), type(run).count(run, index, *rest)),
    )
    run.fit()
    selection = build(variant)
    trail = train(selection)
    assert [rows for _, rows, _ in trail] == trained
    assert parameters(selection.model).equal(parameters(run.net))
    for table, value in selection.selector._tables.items():
        assert value.nan_to_num().equal(run.selector._tables[table].nan_to_num()), table


def test_batch_norm_sees_the_training_rows_alone():
    run = engine("es", norm=True)
    run.fit()
    selection = build("es", network(norm=True))
    train(selection)
    for ours, theirs in zip(selection.model.buffers(), run.net.buffers(), strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize("variant", ["ka", "eswp", "random cycle", "baseline"])
@pytest.mark.parametrize("until", [3, 7, 11])
def test_a_run_that_was_cut_goes_on_bit_for_bit(variant, until):
    whole = train(build(variant))
    cut = build(variant)
    train(cut, until=until)
    file = io.BytesIO()
    torch.save(cut.state_dict(), file)
    file.seek(0)
    resumed = build(variant, cut.model, seed=5)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    # Momentum starts anew in the optimizer of this test: ids alone are compared.
    rest = [met for met, _, _ in train(resumed)]
    if variant in {"baseline", "random cycle"}:
        assert rest == [met for met, _, _ in whole[until:]]
    assert resumed.epochs == range(EPOCHS, EPOCHS)
    assert len(rest) >= 1


def test_learning_rates_end_where_they_should():
    for variant in ("baseline", "eswp", "random cycle"):  # whole, shrinking and growing again
        rates = [rate for _, _, rate in train(build(variant))]
        assert rates[0] == pytest.approx(0.2 / 25)
        assert max(rates) > 0.19
        assert rates[-1] < 0.2 / 25 * 0.9


# ---------------------------------------------------------------- batches of any kind

Pair = namedtuple("Pair", "x y")


class Encoding(UserDict):
    """As transformers' BatchEncoding is made."""

    def to(self, device):
        return self


def as_dict(samples):
    inputs, labels = default_collate(samples)
    return {"x": inputs, "y": labels, "scale": 2.0, "names": [str(int(y)) for y in labels]}


COLLATES = {
    "default": (None, lambda d: d),
    "dict": (as_dict, lambda d: (d["x"], d["y"])),
    "encoding": (lambda s: Encoding(as_dict(s)), lambda d: (d["x"], d["y"])),
    "named": (lambda s: Pair(*default_collate(s)), lambda d: (d.x, d.y)),
    "nested": (lambda s: {"in": [default_collate(s)]}, lambda d: d["in"][0]),
}


@pytest.mark.parametrize("kind", COLLATES)
def test_any_collate_fn(kind):
    collate, unpack = COLLATES[kind]
    expected = train(build())
    selection = build(collate_fn=collate, losses=lambda m, d: losses_of(m, unpack(d)))
    assert train(selection) == expected


def test_rows_are_taken_from_everything_in_a_batch():
    batch = IndexedBatch(torch.tensor([7, 3, 5]), Encoding(as_dict([DATA[i] for i in (7, 3, 5)])))
    rows = batch.take(torch.tensor([0, 2]))
    assert rows.index.tolist() == [7, 5]
    assert isinstance(rows.data, Encoding)
    assert rows.data["x"].equal(ROWS.inputs[[7, 5]])
    assert rows.data["scale"] == 2.0
    assert rows.data["names"] == [str(int(ROWS.labels[i])) for i in (7, 5)]
    assert len(batch.data["x"]) == 3
    bad = IndexedBatch(torch.arange(3), {"x": torch.zeros(3, 2), "y": [torch.zeros(4)]})
    with pytest.raises(ValueError, match=r"^len\(batch\['y'\]\[0\]\)=4: must be 3, the rows of"):
        bad.take(torch.tensor([0]))


class Bulk:
    """A data set that fetches many at once, as datasets' do."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        raise AssertionError("one by one")

    def __getitems__(self, ids):
        return [DATA[i] for i in ids]


def test_a_data_set_that_fetches_in_bulk():
    assert train(build(data=Bulk())) == train(build())


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("persistent", [False, True])
def test_workers(persistent, drop_last):
    options = {"num_workers": 2, "persistent_workers": persistent, "drop_last": drop_last}
    trail = train(build("ka", **options))
    assert trail == train(build("ka", drop_last=drop_last))
    assert {len(met) for met, _, _ in trail[:6]} == ({16} if drop_last else {16, 10})


@pytest.mark.slow
def test_spawned_workers():
    options = {"num_workers": 1, "multiprocessing_context": "spawn", "persistent_workers": True}
    assert train(build(collate_fn=as_dict, losses=of_dict, **options)) == train(build())


def of_dict(model, data):
    return losses_of(model, (data["x"], data["y"]))


def test_global_generators_are_left_alone():
    before = torch.get_rng_state()
    train(build("ka"))
    net = network()
    torch.set_rng_state(before)
    train(build("ka", net))
    assert torch.get_rng_state().equal(before)


class Jittered:
    """Rows that draw from every global generator, as augmenting data sets do."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        noise = torch.rand(()) + random.random() + np.random.rand()  # noqa: NPY002 - as users do
        return DATA[i][0] + noise, DATA[i][1]


def test_looking_for_mixed_rows_draws_nothing_from_rows_that_draw():
    after = []
    for check_rows in (True, False):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        first_loss(build(data=Jittered(), collate_fn=default_collate, check_rows=check_rows))
        after.append((torch.rand(()).item(), random.random(), np.random.rand()))  # noqa: NPY002
    assert after[0] == after[1]


def test_the_order_is_that_of_the_selectors_seed():
    ids = [met for met, _, _ in train(build(seed=3))]
    run, met = engine("es", seed=3), []
    run.loader.sampler.seed = 3  # the suite gives both the run's
    for epoch in range(EPOCHS):
        run.loader.set_epoch(epoch)
        met += list(run.loader.sampler)
    assert ids == met
    assert ids != [met for met, _, _ in train(build(seed=4))]


def test_the_plan_after_the_last_epoch_is_its_own():
    selection = build("ka")
    train(selection)
    assert list(selection.epochs) == []
    assert selection.plan is selection.selector.plan_epoch(EPOCHS - 1)
    assert selection.lr_scale == selection.plan.lr_scale


def test_a_method_that_needs_no_losses_gets_no_scoring_pass():
    passes = []

    def counted(model, data):
        passes.append((len(data[0]), torch.is_grad_enabled()))
        return losses_of(model, data)

    trail, steps = train(build()), -(-N // B)
    every, epochs = pack_bits(torch.ones(N, dtype=torch.bool)), []
    for start in range(0, len(trail), steps):
        picked = [ids for _, ids, _ in trail[start : start + steps]]
        trained = torch.zeros(N, dtype=torch.bool)
        trained[[i for ids in picked for i in ids]] = True
        epochs.append(EpochTrace(every, pack_bits(trained), tuple((len(ids), 1) for ids in picked)))
    trace = Trace(N, EPOCHS, 0, B, 1, "es", tuple(epochs), 0.25)
    replay = Replay(N, EPOCHS, trace=trace)
    replayed = Selection(replay, network(), counted, DATA, B, check_rows=False)
    assert train(replayed) == trail
    assert passes == [(len(ids), True) for _, ids, _ in trail]
    assert replay.state_dict()["batch"] == steps  # and every step's losses were observed


# ---------------------------------------------------------------- steps of any kind


def test_pieces_add_up_to_the_batch():
    for variant in ("es", "infobatch"):
        grads = []
        for size in (None, 3):
            selection = build(variant)
            for batch in selection.epoch(1):
                rows = selection.pick(batch)
                for piece in [rows] if size is None else rows.split(size):
                    selection.objective(piece, of=rows).backward()
            grads.append(torch.cat([p.grad.flatten() for p in selection.model.parameters()]))
            assert selection.selector.state_dict()["epoch"] == 1
        torch.testing.assert_close(*grads)


def test_autocast_around_both_passes_keeps_the_gradients():
    selection = build()
    batch = next(selection.epoch(1))
    with torch.autocast("cpu", torch.bfloat16):
        loss = selection.loss(batch)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in selection.model.parameters())
    trail = train(build(), autocast=True)
    assert [met for met, _, _ in trail] == [met for met, _, _ in train(build())]


def test_a_compiled_model():
    torch._dynamo.reset()
    model = torch.compile(network(), backend="eager", dynamic=True)
    assert train(build(model=model)) == train(build())


def rank_of_two(variant):
    dist.init_process_group("gloo")
    model = network()
    selection = build(variant, nn.parallel.DistributedDataParallel(model))
    trail = train(selection)
    found = {
        "trail": [(met, rows) for met, rows, _ in trail],
        "tables": selection.selector._tables,
        "weights": parameters(model),
    }
    dist.destroy_process_group()
    return found


def rank_of_two_goes_on(until, taken_on):
    """Cut after some steps; both ranks go on from the state that one of them took."""
    dist.init_process_group("gloo")
    whole = [rows for _, rows, _ in train(build(model=network()))]
    cut = build(model=network())
    train(cut, until=until)
    states = [None, None]
    dist.all_gather_object(states, cut.state_dict())
    resumed = build(model=cut.model, seed=7)
    resumed.load_state_dict(states[taken_on])
    rest = [rows for _, rows, _ in train(resumed, until=1)]
    dist.destroy_process_group()
    return {"whole": whole[until], "rest": rest[0]}


@pytest.mark.slow
@pytest.mark.parametrize("taken_on", [0, 1])
def test_the_state_of_one_rank_serves_them_all(taken_on, tmp_path):
    found = launch(rank_of_two_goes_on, tmp_path, 8, taken_on)
    for rank in found:
        assert rank["rest"] == rank["whole"]
    assert found[0]["rest"] != found[1]["rest"]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["es", "ka", "random set"])
def test_two_ranks(variant, tmp_path):
    first, second = launch(rank_of_two, tmp_path, variant)
    for name, table in first["tables"].items():
        assert table.nan_to_num().equal(second["tables"][name].nan_to_num()), name
    assert first["weights"].equal(second["weights"])
    one = train(selection := build(variant))
    assert len(one) == len(first["trail"])
    for (met, _, _), (mine, rows), (theirs, _) in zip(
        one, first["trail"], second["trail"], strict=True
    ):
        if variant != "ka":  # whose plans are odd at times: one id then waits for another epoch
            assert sorted(mine + theirs) == sorted(met)
        assert set(rows) <= set(mine)
    if variant == "random set":  # nothing is drawn within batches: two ranks are one process
        torch.testing.assert_close(first["weights"], parameters(selection.model))


# ---------------------------------------------------------------- a user's mistakes


def test_a_state_of_something_else_is_one_clear_message():
    state = build().state_dict()
    state.pop("streams")
    with pytest.raises(
        ValueError, match=r"^state=\['epoch', .*\]: must be of the keys .*'streams'"
    ):
        build().load_state_dict(state)


def poisoned(model, data):
    losses, signals = losses_of(model, data)
    return torch.where(data[1] == 0, losses * torch.nan, losses), signals


@pytest.mark.parametrize("end", [lambda s: train(s), lambda s: (train(s, until=2), s.state_dict())])
def test_a_loss_that_is_not_finite_ends_the_epoch_and_keeps_no_state(end):
    with pytest.raises(FloatingPointError, match=r"^non-finite losses of sample ids \[\d+, "):
        end(build("es", losses=poisoned))


def mixed_up(model, data):
    inputs, labels = data
    share = float(torch.distributions.Beta(0.8, 0.8).sample())
    logits = model(torch.lerp(inputs.flip(0), inputs, share))
    both = [F.cross_entropy(logits, y, reduction="none") for y in (labels, labels.flip(0))]
    return share * both[0] + (1 - share) * both[1]


def mixing_collate(samples):
    inputs, labels = default_collate(samples)
    return (inputs + inputs.flip(0)) / 2, labels


class Iterable(IterableDataset):
    def __len__(self):
        return N

    def __iter__(self):
        return iter(DATA)


class Elsewhere(nn.Linear):
    """A model that says it lies on a device which need not exist."""

    def parameters(self, recurse=True):
        return iter([SimpleNamespace(device=torch.device("cuda", 0))])


def test_tables_on_another_device_than_the_model_are_one_clear_message():
    selection = Selection(create("es", N, 3), Elsewhere(2, 2), losses_of, DATA, B)
    expected = r"^selector.device='cpu': must be cuda, where the model lies: create\(..., device="
    with pytest.raises(ValueError, match=expected):
        selection.begin(0)
    silent = LargestLosses(N, 3)
    del silent.device  # a class need not say where its tables lie
    require_device(as_selector(silent), torch.device("cuda"))
    with pytest.raises(ValueError, match=expected):
        require_device(create("es", N, 3), torch.device("cuda", 1))
    require_device(create("es", N, 3), torch.device("meta"))  # parameters may be made later


def first_loss(selection):
    selection.loss(next(selection.epoch(1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: build(losses=lambda m, d: F.cross_entropy(m(d[0]), d[1])),
            r"^losses.shape=\(\): must be \[m\], .*reduction=\"none\"",
        ),
        (lambda: build(losses=mixed_up), r"^losses_of=.*must be such that .*\(mixup, cutmix"),
        (lambda: build(collate_fn=mixing_collate), r"^collate_fn=.*must be such that .*\(mixup"),
        (
            lambda: build(data=TensorDataset(ROWS.inputs.repeat(2, 1, 1, 1))),
            r"^num_samples=90: must be 180, the length of the data set$",
        ),
        (lambda: build(data=iter(DATA)), r"^dataset='\w+': must be map-style"),
        (lambda: build(data=Iterable()), r"^dataset='Iterable': must be map-style"),
        (
            lambda: Selection(create("es", N, 3, nonfinite="skip"), network(), losses_of, DATA, B),
            r"^nonfinite='skip': must be 'raise': in this loop the optimizer takes the step",
        ),
        (lambda: build(shuffle=True), r"^shuffle=True: must be left out: the plan decides it$"),
        (
            lambda: build("ka", losses=lambda m, d: losses_of(m, d)[0]),
            r"^losses_of: signals=\[\]: must be with confidence, correct too, as ka asks for: "
            r"return losses, \{'confidence': \.\.\.\}$",
        ),
    ],
)
def test_a_mistake_is_one_clear_message(make, message):
    with pytest.raises(ValueError, match=message):
        first_loss(make())


def test_a_loss_over_the_batch_may_be_insisted_on():
    first_loss(build(losses=mixed_up, check_rows=False))


@pytest.mark.parametrize("norm", [False, True])
def test_dropout_and_batch_norm_are_no_mixing(norm):
    model = nn.Sequential(nn.Dropout(0.5), network(norm))
    before = [b.clone() for b in model.buffers()]
    selection = build(model=model)
    selection._check_rows(next(selection.epoch(0)))
    assert all(map(torch.equal, before, model.buffers()))
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([0, 90], r"^index=\[90\]: must be in 0\.\.89, the ids of the data set$"),
        ([-1, 3], r"^index=\[-1\]: must be in 0\.\.89"),
        ([4, 4], r"^index=\[4\]: must be distinct: two rows of the batch have one id$"),
    ],
)
def test_ids_that_cannot_be_right(index, message):
    selection = build()
    batch = IndexedBatch(torch.tensor(index), DATA[:2])
    with pytest.raises(ValueError, match=message):
        selection.loss(batch)


def test_ids_out_of_range_are_named_by_the_selector_too():
    with pytest.raises(ValueError, match=r"^index: must be in 0\.\.9, the ids of the data set"):
        create("es", 10, 10).select(torch.tensor([10]), torch.tensor([1.0]))


def test_a_batch_without_ids():
    selection = build()
    selection.sampler.set_epoch(0)
    with pytest.raises(ValueError, match=r"^batch=tuple: must be an IndexedBatch.*Selection.epoch"):
        selection.loss((ROWS.inputs[:4], ROWS.labels[:4]))


@pytest.mark.parametrize(
    "loader",
    [
        partial(DataLoader, batch_size=B, shuffle=True),
        partial(DataLoader, batch_size=B // 2),
        partial(DataLoader, batch_size=B, sampler=range(20)),
    ],
)
def test_a_sampler_that_was_replaced(loader):
    selection = build()
    selection.loader = loader(Indexed(DATA), collate_fn=IndexedCollate())
    with pytest.raises(RuntimeError, match=r"^epoch 0, batch \d: .* was its sampler replaced\?"):
        train(selection)
