"""The path of a batch, against references written out step by step."""

import copy
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import nn

from es_repro.engine import Engine, Settings
from es_repro.selection import PlannedBatchSampler, create, one_cycle
from es_repro.tasks import Classification

N, C, EPOCHS, B = 90, 3, 4, 16


class TensorLoader:
    """The engine's loader protocol over tensors, without augmentation."""

    split = "test"

    def __init__(self, selector, meta_batch_size=B):
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(N, 1, 4, 4, generator=generator)
        self.labels = torch.randint(C, (N,), generator=generator)
        self.num_samples = N
        self.sampler = PlannedBatchSampler(selector, meta_batch_size)

    plan = property(lambda self: self.sampler.plan)

    def set_epoch(self, epoch):
        self.sampler.set_epoch(epoch)

    def __len__(self):
        return len(self.sampler)

    def batches(self, start=0):
        for ids in list(self.sampler)[start:]:
            yield self._rows(torch.tensor(ids))

    def _rows(self, index):
        return index, self.inputs[index], self.labels[index]

    def rows(self, index):
        return self._rows(index)[1:]

    def visit(self, ids, batch_size):
        yield from (self._rows(some) for some in ids.split(batch_size))

    @property
    def num_evaluated(self):
        return len(self.labels)

    def evaluation(self, batch_size, numbers):
        pairs = zip(self.inputs.split(batch_size), self.labels.split(batch_size), strict=True)
        assert list(numbers) == list(range(-(-len(self.labels) // batch_size)))  # alone: all
        yield from pairs


class Silence:
    """A record that keeps nothing but what was logged."""

    def __init__(self):
        self.lines = []
        self.lease = SimpleNamespace(report=lambda **_: None)
        self.checkpoints = SimpleNamespace(save=lambda *_: None)

    def log(self, kind, **line):
        self.lines.append({"kind": kind, **line})


def network(norm=False):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, C)]
    if norm:
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, C)]
    return nn.Sequential(*layers)


def engine(
    method="es",
    *,
    norm=False,
    lr=0.2,
    loader=TensorLoader,
    task=Classification,
    settings=None,
    **hyper,
):
    selector = create(method, N, EPOCHS, **hyper)
    model = network(norm)
    return Engine(
        fabric=Fabric(accelerator="cpu", devices=1),
        model=model,
        task=task(num_classes=C),
        selector=selector,
        loader=loader(selector),
        optimizer=torch.optim.SGD(model.parameters(), lr, momentum=0.9, fused=True),
        schedule=one_cycle(pct_start=0.3, div_factor=25, final_div_factor=1e4),
        record=Silence(),
        settings=Settings(**({"epochs": EPOCHS, "meta_batch_size": B} | (settings or {}))),
    )


def weights(run):
    return nn.utils.parameters_to_vector(run.net.parameters()).detach()


def reference_run(method, **hyper):
    """The same run as a plain loop: one forward, one backward, torch's own mean."""
    selector = create(method, N, EPOCHS, **hyper)
    loader, model = TensorLoader(selector), network()
    optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9)
    factor = one_cycle(pct_start=0.3, div_factor=25, final_div_factor=1e4)
    for epoch in range(EPOCHS):
        loader.set_epoch(epoch)
        for number, (index, inputs, targets) in enumerate(loader.batches()):
            progress = (epoch + number / len(loader)) / EPOCHS
            if selector.selects_batches:
                with torch.no_grad():
                    losses = F.cross_entropy(model(inputs), targets, reduction="none")
                picked = selector.select(index, losses)
                index, inputs, targets = index[picked], inputs[picked], targets[picked]
            losses = F.cross_entropy(model(inputs), targets, reduction="none")
            if not selector.selects_batches:
                selector.observe(index, losses.detach())
            for group in optimizer.param_groups:
                group["lr"] = 0.2 * factor(progress)
            optimizer.zero_grad()
            selector.reduce(index, losses).backward()
            optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("method", ["baseline", "loss", "order", "es", "eswp", "infobatch", "ucb"])
def test_the_engine_is_the_plain_loop(method):
    run = engine(method)
    run.fit()

    # Not bit for bit: a fused step rounds differently from torch's plain one.
    torch.testing.assert_close(weights(run), reference_run(method), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["baseline", "es", "infobatch"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_micro_batches_add_up_to_one_batch(method, size):
    whole, pieces = engine(method), engine(method, settings={"micro_batch_size": size})
    for run in (whole, pieces):
        run.train_epoch()
        run.epoch, run.position = 1, 0
        run.train_epoch()

    torch.testing.assert_close(weights(whole), weights(pieces), rtol=1e-4, atol=1e-6)


def test_scoring_in_pieces_picks_the_same_rows():
    whole, pieces = engine(), engine(settings={"score_micro_batch": 5})
    for run in (whole, pieces):
        run.fit()

    torch.testing.assert_close(weights(whole), weights(pieces), rtol=1e-4, atol=1e-6)


def test_scoring_changes_nothing_but_the_table():
    run = engine(norm=True)
    run.loader.set_epoch(1)
    _, inputs, targets = next(run.loader.batches())
    before = {name: value.clone() for name, value in run.net.state_dict().items()}
    generator = torch.get_rng_state()

    in_training_mode = run.score(inputs, targets).losses

    assert all(torch.equal(before[name], value) for name, value in run.net.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())
    assert all(module.track_running_stats for module in run.statistics._norms)
    # Train mode: the statistics of the meta-batch, so the loss is that of a training forward.
    expected = F.cross_entropy(run.net(inputs), targets, reduction="none")
    torch.testing.assert_close(in_training_mode, expected)


@pytest.mark.parametrize(
    ("bn_update", "scored", "trained"), [("train", 0, 1), ("score", 1, 0), ("both", 1, 1)]
)
def test_running_statistics_follow_the_pass_that_is_asked_for(bn_update, scored, trained):
    run = engine(norm=True, settings={"bn_update": bn_update}, annealing_start=0, annealing_end=0)
    run.loader.set_epoch(0)
    index, inputs, targets = next(run.loader.batches())
    counter = run.net[1].num_batches_tracked

    run.score(inputs, targets)
    assert counter == scored
    run.train_batch(index, inputs, targets, True)
    assert counter == scored + trained


def test_eval_scoring_uses_the_running_statistics_and_returns_to_training():
    run = engine(norm=True, settings={"score_mode": "eval"})
    run.loader.set_epoch(1)
    _, inputs, targets = next(run.loader.batches())

    losses = run.score(inputs, targets).losses

    assert run.net.training
    assert all(module.training for module in run.net.modules())
    run.net.eval()
    torch.testing.assert_close(losses, F.cross_entropy(run.net(inputs), targets, reduction="none"))


def test_the_learning_rate_follows_progress_when_epochs_shrink_and_grow():
    run = engine("eswp", prune_ratio=0.5, annealing_start=0.25, annealing_end=0.25)
    rates, steps = [], []
    step = run.update

    def spy():
        rates.append(run.inner_optimizer.param_groups[0]["lr"])
        steps.append((run.epoch, run.position, len(run.loader)))
        step()

    run.update = spy
    run.fit()

    factor = one_cycle(pct_start=0.3, div_factor=25, final_div_factor=1e4)
    lengths = [6, 3, 3, 6]  # 90 samples, then 45, in batches of 16
    expected = [(e, j, lengths[e]) for e in range(EPOCHS) for j in range(lengths[e])]
    assert steps == expected
    assert rates == pytest.approx([0.2 * factor((e + j / k) / EPOCHS) for e, j, k in expected])


def test_hidden_samples_are_scored_again_and_the_rate_is_raised():
    run = engine("ka", threshold=0.0, lr=0.5)
    run.fit()

    assert run.cost.bp_samples < EPOCHS * N
    # Each epoch sees every sample once: trained, or re-scored at its end (the last may be spared).
    assert EPOCHS * N - 0.3 * N <= run.cost.forward_samples <= EPOCHS * N


def test_rows_that_are_not_those_of_their_ids_stop_the_run():
    class Shifted(TensorLoader):
        def batches(self, start=0):
            for index, inputs, targets in super().batches(start):
                yield index.roll(1), inputs, targets

    with pytest.raises(RuntimeError, match="step 0: the rows of the batch are not those"):
        engine(loader=Shifted).fit()


def test_a_method_that_needs_what_the_task_cannot_offer_is_refused():
    class Regression(Classification):
        signals = frozenset()

    with pytest.raises(ValueError, match="method='ka': must be one that needs no confidence and"):
        engine("ka", task=Regression)


def test_skipping_a_step_leaves_weights_and_momentum_as_they_were():
    run = engine("baseline", nonfinite="skip")
    run.train_epoch()
    before, momentum = weights(run), str(run.inner_optimizer.state_dict())
    index, inputs, targets = next(run.loader.batches())
    run.train_batch(index, inputs * torch.nan, targets, False)
    run.update()

    assert torch.equal(before, weights(run))
    assert str(run.inner_optimizer.state_dict()) == momentum


def test_a_first_step_that_is_skipped_leaves_the_second_to_be_the_first(monkeypatch):
    """Fused SGD would fill its momentum in the step that it skips, and take what lies there."""
    monkeypatch.setattr(torch, "empty_like", lambda x, **_: torch.full_like(x, 1e30))
    runs = [engine("baseline", nonfinite="skip") for _ in range(2)]
    for run in runs:
        run.loader.set_epoch(0)
    index, inputs, targets = next(runs[0].loader.batches())
    runs[0].train_batch(index, inputs * torch.nan, targets, False)
    runs[0].update()
    for run in runs:
        for _ in range(2):
            run.train_batch(index, inputs, targets, False)
            run.update()
    assert torch.equal(*map(weights, runs))


def test_zeros_for_momentum_change_no_bit_of_a_run():
    plain, skipping = engine("es"), engine("es", nonfinite="skip")
    for run in (plain, skipping):
        run.fit()
    assert torch.equal(weights(plain), weights(skipping))


def test_a_step_that_was_skipped_is_counted_and_left_out_of_the_means():
    class Broken(TensorLoader):
        def batches(self, start=0):
            for number, (index, inputs, targets) in enumerate(super().batches(start)):
                yield index, inputs * torch.nan if number == 4 else inputs, targets

    run = engine("baseline", nonfinite="skip", loader=Broken, settings={"log_every": 3})
    run.fit()
    steps = [line for line in run.record.lines if line["kind"] == "step"]
    assert all(np.isfinite([x["train/objective"], x["train/meta_loss"]]).all() for x in steps)
    epochs = [line for line in run.record.lines if line["kind"] == "epoch"]
    assert [line["selection/nonfinite"] for line in epochs] == [B, 2 * B, 3 * B, 4 * B]


def test_nothing_is_saved_after_a_refresh_of_losses_that_are_not_finite():
    run = engine(
        "ka", max_fraction=0.3, require_prediction=False,
        settings={"log_every": 1, "checkpoint_every_seconds": 0.0},
    )  # fmt: skip
    saved, refresh, before = [], run.refresh, []
    run.record.checkpoints = SimpleNamespace(save=lambda _, step: saved.append(step))

    def broken(plan):
        before.append(len(saved))
        inputs, run.loader.inputs = run.loader.inputs, run.loader.inputs * torch.nan
        refresh(plan)
        run.loader.inputs = inputs

    run.refresh = broken
    with pytest.raises(FloatingPointError, match="non-finite losses"):
        run.fit()
    assert run.loader.plan.refresh is not None
    assert len(saved) == before[-1] > 0
    assert run.position > 0  # the epoch that met them never ended


def test_the_state_of_a_run_in_the_middle_of_an_epoch_continues_bit_for_bit():
    whole = engine("eswp")
    whole.fit()

    first = engine("eswp")
    saved = []

    def save_once():
        if first.step == 8:
            saved.append(torch.save(first.state_dict(), path) or path)
            raise KeyboardInterrupt

    path = io.BytesIO()
    first.after_step = save_once
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    path.seek(0)
    second = engine("eswp")
    second.load_state_dict(torch.load(path, weights_only=True))
    second.fit()

    assert torch.equal(weights(whole), weights(second))
    assert torch.equal(whole.selector.scores, second.selector.scores)
    assert whole.cost == second.cost


@pytest.mark.parametrize(
    ("norm", "mode", "warned"),
    [(True, "train", True), (True, "eval", False), (False, "train", False)],
)
def test_scoring_with_batch_norm_in_pieces_is_warned_of(caplog, norm, mode, warned):
    engine(norm=norm, settings={"score_micro_batch": 4, "score_mode": mode})
    assert ("score_micro_batch=4: this model has batch norm" in caplog.text) is warned


def test_a_training_loss_that_is_not_finite_stops_the_run_though_the_scores_were():
    run = engine("es", annealing_start=0, annealing_end=0)
    forward, calls = run.task.__class__.__call__, []

    class Breaks(run.task.__class__):
        def __call__(self, model, inputs, targets, signals):
            output = forward(self, model, inputs, targets, signals)
            calls.append(model is run.scorer)
            trained = calls.count(False) - 2  # the rehearsal's two passes come first
            losses = output.losses * (torch.nan if not calls[-1] and trained == 6 else 1.0)
            return type(output)(losses, output.scores, output.signals)

    run.task = Breaks(num_classes=C)
    with pytest.raises(FloatingPointError, match=r"^step 5: the training loss is not finite$"):
        run.fit()
    assert run.step == 6  # found at the end of the epoch, before anything was saved


@pytest.mark.parametrize("eval_every", [1, 100])
def test_a_run_by_steps_killed_in_its_last_evaluation_evaluates_when_it_goes_on(eval_every):
    settings = {"max_steps": 10, "checkpoint_every_steps": 5, "eval_every": eval_every}
    whole = engine(settings=settings).fit()
    killed, saved = engine(settings=settings), []
    killed.record.checkpoints.save = lambda state, step: saved.append((step, copy.deepcopy(state)))
    evaluate = killed.evaluate

    def die():
        if killed.finished:
            raise KeyboardInterrupt
        return evaluate()

    killed.evaluate = die
    with pytest.raises(KeyboardInterrupt):
        killed.fit()
    assert saved[-1][0] == 10  # after the last step, before the epoch's end

    again = engine(settings=settings)
    again.load_state_dict(saved[-1][1])
    found = again.fit()
    assert found["test/accuracy"] == whole["test/accuracy"]
    assert found["cost/optimizer_steps"] == 10
    assert [line["epoch"] for line in again.record.lines if line["kind"] == "epoch"] == [2]
    assert again.finished
    assert torch.equal(weights(again), weights(killed))
    steps = again.cost.optimizer_steps
    assert again.fit()["cost/optimizer_steps"] == steps  # nothing is left to do
