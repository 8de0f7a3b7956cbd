"""Selection inside Lightning's own Trainer: real training of a small model."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from es_repro.integrations.lightning import SelectionData
from es_repro.selection import ProgressScheduler, Selection, create, warmup_polynomial
from tests.ranks import launch
from tests.selection.minimal import LargestLosses

N, C, EPOCHS, B = 90, 3, 5, 16
LINEAR = warmup_polynomial(0.0)

_generator = torch.Generator().manual_seed(0)
DATA = TensorDataset(
    torch.randn(N, 6, generator=_generator), torch.randint(C, (N,), generator=_generator)
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, C))


def losses_of(model, data):
    inputs, labels = data
    logits = model(inputs)
    probabilities = logits.detach().softmax(1)
    signals = {"correct": logits.argmax(1) == labels, "confidence": probabilities.amax(1)}
    return F.cross_entropy(logits, labels, reduction="none"), signals


class Net(LightningModule):
    """As a user writes it."""

    def __init__(self, lr=0.3, scheduler=None):
        super().__init__()
        self.net, self.lr, self.scheduler = network(), lr, scheduler

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        return self.trainer.datamodule.loss(batch)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), self.lr)
        if self.scheduler is None:
            return optimizer
        decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": decay, **self.scheduler}}


class Watch(Callback):
    def __init__(self, stop=None):
        self.rates, self.stop = [], stop

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.stop:
            raise KeyboardInterrupt


def make(method="es", *, schedule=LINEAR, data=DATA, losses=losses_of, **hyper):
    selector = create(method, N, EPOCHS, **hyper) if isinstance(method, str) else method
    made = SelectionData(selector, losses, data, B, schedule=schedule)
    made.trained, reduce = [], selector.reduce
    selector.reduce = lambda index, losses: (
        made.trained.append(index.tolist()), reduce(index, losses))[1]  # fmt: skip
    return made


def fit(data, net=None, *, stop=None, ckpt_path=None, callbacks=(), **options):
    net, watch = Net() if net is None else net, Watch(stop)
    settings = {
        "max_epochs": EPOCHS, "reload_dataloaders_every_n_epochs": 1, "accelerator": "cpu",
        "devices": 1, "logger": False, "enable_checkpointing": bool(callbacks),
        "enable_progress_bar": False, "enable_model_summary": False,
    }  # fmt: skip
    trainer = Trainer(**settings | options, callbacks=[watch, *callbacks])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few workers, the hardware: Lightning's advice
        try:
            trainer.fit(net, datamodule=data, ckpt_path=ckpt_path)
        except (KeyboardInterrupt, SystemExit):
            assert stop is not None
    return net, watch.rates, trainer


def own_loop(method, lr=0.3, **hyper):
    """The same run by Selection, which is the engine's bit for bit."""
    model, trained, rates = network(), [], []
    selector = create(method, N, EPOCHS, **hyper) if isinstance(method, str) else method
    selection = Selection(selector, model, losses_of, DATA, B)
    optimizer = torch.optim.SGD(model.parameters(), lr)
    scheduler = ProgressScheduler(optimizer, LINEAR)
    for epoch in selection.epochs:
        for batch in selection.epoch(epoch):
            scheduler.step(selection.progress, selection.lr_scale)
            rows = selection.pick(batch)
            optimizer.zero_grad()
            selection.objective(rows).backward()
            optimizer.step()
            trained.append(rows.index.tolist())
            rates.append(optimizer.param_groups[0]["lr"])
    return model, trained, rates, selection.selector


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


METHODS = {
    "baseline": ("baseline", {}),
    "es": ("es", {}),
    "eswp": ("eswp", {"annealing_start": 0.2, "annealing_end": 0.2}),  # shrinks and grows again
    "random": ("random", {"annealing_start": 0, "annealing_end": 0.4}),  # grows beyond its first
    "infobatch": ("infobatch", {}),
    "ka": ("ka", {}),
}


@pytest.mark.parametrize("variant", METHODS)
def test_it_trains_on_the_same_rows_at_the_same_rates_as_our_own_loop(variant):
    method, hyper = METHODS[variant]
    model, trained, rates, selector = own_loop(method, **hyper)
    data = make(method, **hyper)
    net, found, trainer = fit(data)
    # The first forward of all looks whether rows stand for themselves, and reduces for their shape.
    assert data.trained[1:] == trained
    assert found == pytest.approx(rates)
    assert trainer.global_step == len(trained)
    torch.testing.assert_close(weights(net), weights(model))
    for name, table in selector._tables.items():
        torch.testing.assert_close(data.selector._tables[name], table, equal_nan=True)


def test_a_selector_of_another_make():
    _, trained, rates, expected = own_loop(LargestLosses(N, EPOCHS))
    data = make(LargestLosses(N, EPOCHS))
    _, found, _ = fit(data)
    assert data.trained[1:] == trained
    assert found == pytest.approx(rates)
    torch.testing.assert_close(data.selector.last, expected.last)


def test_the_table_is_that_of_losses_computed_apart():
    data = make()
    net, _, _ = fit(data, Net(lr=0.0))
    inputs, labels = DATA.tensors
    with torch.no_grad():
        logits = net(inputs)
    for i in range(N):  # id by id
        loss, score = -logits[i].log_softmax(0)[labels[i]].item(), 1 / N
        for _ in range(EPOCHS):
            score = 0.9 * score + 0.1 * loss
        assert data.selector.scores[i].item() == pytest.approx(score, rel=1e-5)


def test_accumulated_batches_share_a_rate():
    data = make("eswp")
    _, rates, trainer = fit(data, accumulate_grad_batches=2)
    assert trainer.global_step == len(rates)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 0.3


@pytest.mark.parametrize("variant", ["es", "eswp", "ka"])
@pytest.mark.parametrize("stop", [3, 6, 16])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, variant, stop):
    method, hyper = METHODS[variant]
    whole = make(method, **hyper)
    net, rates, _ = fit(whole)
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=stop, filename="{step}", save_top_k=-1)
    fit(make(method, **hyper), stop=stop + 1, callbacks=[saver])
    resumed = make(method, seed=9, **hyper)
    again, found, _ = fit(resumed, ckpt_path=tmp_path / f"step={stop}.ckpt")
    assert resumed.trained[1:] == whole.trained[1 + stop :]
    assert found == rates[stop:]
    assert weights(again).equal(weights(net))


def test_the_same_data_module_goes_on_from_a_checkpoint(tmp_path):
    """As in a notebook: interrupted, then fitted again with what is there."""
    whole = make()
    net, rates, _ = fit(whole)
    data = make()
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=3, filename="{step}", save_top_k=-1)
    fit(data, stop=5, callbacks=[saver])
    data.trained.clear()
    again, found, _ = fit(data, ckpt_path=tmp_path / "step=3.ckpt")
    assert data.trained[-len(rates) + 3 :] == whole.trained[4:]  # the first look at it left out
    assert found == rates[3:]
    assert weights(again).equal(weights(net))


@pytest.mark.parametrize("stop", [None, 5])
def test_a_selector_that_was_trained_with_begins_no_other_fit(stop):
    data = make()
    fit(data, stop=stop)
    with pytest.raises(ValueError, match=r"^selector: has been trained with by an earlier fit"):
        fit(data)


class Renamed(SelectionData):
    """Lightning finds a data module's state by the name of its class."""


def test_a_checkpoint_without_the_selector(tmp_path):
    saver = ModelCheckpoint(tmp_path, every_n_train_steps=3, filename="{step}", save_top_k=-1)
    fit(make(), stop=4, callbacks=[saver])
    data = Renamed(create("es", N, EPOCHS), losses_of, DATA, B, schedule=LINEAR)
    with pytest.raises(ValueError, match=r"^ckpt_path: must hold the state of Renamed: .* step 3"):
        fit(data, ckpt_path=tmp_path / "step=3.ckpt")


def rank_of_two_goes_on(folder):
    whole = make(annealing_start=0.0)
    options = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False}
    fit(whole, **options)
    saver = ModelCheckpoint(folder, every_n_train_steps=4, filename="{step}", save_top_k=-1)
    fit(make(annealing_start=0.0), stop=5, callbacks=[saver], **options)
    resumed = make(annealing_start=0.0, seed=9)
    fit(resumed, ckpt_path=f"{folder}/step=4.ckpt", **options)
    return {"whole": whole.trained[5:], "resumed": resumed.trained[1:]}


@pytest.mark.slow
def test_every_rank_goes_on_with_its_own_picks(tmp_path):
    found = launch(rank_of_two_goes_on, tmp_path, str(tmp_path / "checkpoints"))
    for rank in found:
        assert rank["resumed"] == rank["whole"]
    assert found[0]["whole"] != found[1]["whole"]


def rank_of_two():
    data = make(annealing_start=0.2)
    net, rates, _ = fit(data, devices=2, strategy="ddp", use_distributed_sampler=False)
    return {
        "trained": data.trained[1:],
        "tables": data.selector._tables,
        "weights": weights(net),
        "rates": rates,
    }


@pytest.mark.slow
def test_two_ranks(tmp_path):
    first, second = launch(rank_of_two, tmp_path)
    for name, table in first["tables"].items():
        assert table.equal(second["tables"][name]), name
    assert first["weights"].equal(second["weights"])
    _, trained, rates, _ = own_loop("es", annealing_start=0.2)
    assert first["rates"] == pytest.approx(rates)
    steps = zip(trained, first["trained"], second["trained"], strict=True)
    for step, (together, mine, theirs) in enumerate(steps):
        assert not set(mine) & set(theirs)
        if step < 6:  # the first epoch is annealed: all rows, dealt out
            assert sorted(mine + theirs) == sorted(together)


# ---------------------------------------------------------------- a user's mistakes


class Replaced(SelectionData):
    """Hands another loader in."""

    def train_dataloader(self):
        ours = super().train_dataloader()
        return DataLoader(ours.dataset, batch_size=B, shuffle=True, collate_fn=ours.collate_fn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": 3}, r"^max_epochs=3: must be 5, the selector's num_epochs$"),
        (
            {"reload_dataloaders_every_n_epochs": 0},
            r"^reload_dataloaders_every_n_epochs=0: must be 1: Lightning would cut",
        ),
        ({"max_steps": 7}, r"^max_steps=7: must be -1: epochs are planned$"),
        ({"limit_train_batches": 0.5}, r"^limit_train_batches=0.5: must be 1.0: the plan says"),
        (
            {"net": Net(scheduler={"interval": "step"})},
            r"^configure_optimizers='a scheduler by steps': must be without: give SelectionData",
        ),
        (
            {"net": Net(scheduler={})},
            r"^schedule=.*: must be None where the module has a scheduler",
        ),
    ],
)
def test_a_trainer_that_selection_cannot_go_with(options, message):
    with pytest.raises(ValueError, match=message):
        fit(make(), **options)


def test_an_optimizer_without_a_schedule_serves_until_the_plan_scales_its_rate():
    fit(make("es", schedule=None))
    with pytest.raises(ValueError, match=r"^schedule=None: must be given: ka scales the learning"):
        fit(make("ka", schedule=None))


def test_a_sampler_that_was_replaced():
    data = Replaced(create("es", N, EPOCHS), losses_of, DATA, B)
    with pytest.raises(RuntimeError, match=r"^epoch 0, batch 0: .* was its sampler replaced\?"):
        fit(data)


def test_other_mistakes():
    with pytest.raises(
        ValueError, match=r"^num_samples=90: must be 91, the length of the data set"
    ):
        SelectionData(create("es", N, EPOCHS), losses_of, range(91), B)
    with pytest.raises(ValueError, match=r"^nonfinite='skip': must be 'raise': in this loop"):
        SelectionData(create("es", N, EPOCHS, nonfinite="skip"), losses_of, DATA, B)
    scalar = make(losses=lambda model, data: F.cross_entropy(model(data[0]), data[1]))
    with pytest.raises(ValueError, match=r"^losses.shape=\(\): must be \[m\], one loss a sample"):
        fit(scalar)
