"""Selection inside transformers' own Trainer: real training of small models."""

from itertools import chain
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput

from es_repro.integrations.keyed import INDEX
from es_repro.integrations.transformers import ProgressLambdaLR, SelectionMixin
from es_repro.selection import Selection, create
from tests.ranks import launch
from tests.selection.minimal import LargestLosses

N, C, EPOCHS, B = 90, 3, 5, 16


class SelectingTrainer(SelectionMixin, Trainer):
    """As a user writes it."""


class Rows(Dataset):
    def __init__(self, n=N):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(n, 6, generator=generator)
        self.y = torch.randint(C, (n,), generator=generator)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "labels": self.y[i], "unused": "text"}


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, C))

    def forward(self, x, labels=None):
        logits = self.net(x)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


class Sentences(Dataset):
    """Sequences of 3 to 9 tokens."""

    def __init__(self, n=40):
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(3, 10, (n,), generator=generator).tolist()
        self.rows = [torch.randint(1, 20, (k,), generator=generator) for k in lengths]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {"input_ids": self.rows[i]}


def padded(samples):
    rows = [sample["input_ids"] for sample in samples]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def language_model():
    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=20, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=16,
        )
    )  # fmt: skip


class Watch(TrainerCallback):
    """Learning rates before each step, and a stop after some."""

    def __init__(self, stop=None):
        self.rates, self.stop = [], stop

    def on_pre_optimizer_step(self, args, state, control, optimizer, **_):
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_step_end(self, args, state, control, **_):
        control.should_training_stop |= state.global_step == self.stop


def make(tmp_path, method="es", *, model=None, data=None, stop=None, cls=SelectingTrainer, **given):
    own = ("seed", "annealing_start", "annealing_end", "batch_ratio", "prune_ratio", "redraw")
    hyper = {name: given.pop(name) for name in own if name in given}
    data = Rows() if data is None else data
    collator = given.pop("data_collator", None)
    settings = {
        "output_dir": str(tmp_path), "num_train_epochs": EPOCHS, "use_cpu": True, "report_to": [],
        "per_device_train_batch_size": B, "optim": "sgd", "learning_rate": 0.3, "max_grad_norm": 0,
        "disable_tqdm": True, "logging_strategy": "no", "save_strategy": "no", "seed": 0,
    }  # fmt: skip
    watch = Watch(stop)
    trainer = cls(
        model=Classifier() if model is None else model,
        args=TrainingArguments(**settings | given),
        train_dataset=data,
        data_collator=collator,
        selector=create(method, len(data), EPOCHS, **hyper) if isinstance(method, str) else method,
        callbacks=[watch],
    )
    trainer.watch, trainer.trained = watch, []
    reduce = trainer.selector.reduce
    trainer.selector.reduce = lambda index, losses: (
        trainer.trained.append(index.tolist()),
        reduce(index, losses),
    )[1]
    return trainer


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def own_loop(method, **hyper):
    """The same run by Selection, which is the engine's bit for bit."""

    def losses_of(model, batch):
        logits = model(batch["x"]).logits
        signals = {
            "correct": logits.argmax(1) == batch["labels"],
            "confidence": logits.detach().softmax(1).amax(1),
        }
        return F.cross_entropy(logits, batch["labels"], reduction="none"), signals

    model, trained, rates = Classifier(), [], []
    selector = create(method, N, EPOCHS, **hyper) if isinstance(method, str) else method
    selection = Selection(selector, model, losses_of, Rows(), B)
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    for epoch in selection.epochs:
        for batch in selection.epoch(epoch):
            rows = selection.pick(batch)
            rate = 0.3 * (1 - selection.progress) * selection.lr_scale
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            selection.objective(rows).backward()
            optimizer.step()
            trained.append(rows.index.tolist())
            rates.append(rate)
    return SimpleNamespace(model=model, trained=trained, rates=rates, selector=selection.selector)


METHODS = {
    "baseline": ("baseline", {}),
    "es": ("es", {}),
    "eswp": ("eswp", {"annealing_start": 0.2, "annealing_end": 0.2}),  # shrinks and grows again
    "random": ("random", {"annealing_start": 0, "annealing_end": 0.4}),  # grows beyond its first
    "infobatch": ("infobatch", {}),
    "ka": ("ka", {}),
}


@pytest.mark.parametrize("variant", METHODS)
def test_it_trains_on_the_same_rows_at_the_same_rates_as_our_own_loop(tmp_path, variant):
    method, hyper = METHODS[variant]
    trainer, own = make(tmp_path, method, **hyper), own_loop(method, **hyper)
    trainer.train()
    assert trainer.trained == own.trained
    assert trainer.watch.rates == pytest.approx(own.rates)
    assert trainer.state.global_step == len(own.trained)
    torch.testing.assert_close(weights(trainer.model), weights(own.model))
    for name, table in own.selector._tables.items():
        torch.testing.assert_close(trainer.selector._tables[name], table, equal_nan=True)
    # The linear schedule ends at 0, whatever the lengths of the epochs.
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_a_selector_of_another_make(tmp_path):
    own, trainer = own_loop(LargestLosses(N, EPOCHS)), make(tmp_path, LargestLosses(N, EPOCHS))
    trainer.train()
    assert trainer.trained == own.trained
    assert trainer.watch.rates == pytest.approx(own.rates)
    torch.testing.assert_close(trainer.selector.last, own.selector.last)


def evolved(loss, visits, beta2=0.9, n=N):
    score = torch.full_like(loss, 1 / n)
    for _ in range(visits):
        score = beta2 * score + (1 - beta2) * loss
    return score


def test_the_table_is_that_of_losses_computed_apart(tmp_path):
    trainer = make(tmp_path, learning_rate=0.0)
    trainer.train()
    rows = Rows()
    with torch.no_grad():
        logits = trainer.model(rows.x).logits
    for i in range(N):  # id by id
        loss = -logits[i].log_softmax(0)[rows.y[i]]
        assert trainer.selector.scores[i].item() == pytest.approx(
            evolved(loss, EPOCHS).item(), rel=1e-5
        )


def token_losses(model, row):
    with torch.no_grad():
        logits = model(input_ids=row[None]).logits[0]
    return F.cross_entropy(logits[:-1], row[1:], reduction="none")


def test_the_table_of_a_language_model_holds_means_over_tokens(tmp_path):
    data = Sentences()
    trainer = make(
        tmp_path, model=language_model(), data=data, data_collator=padded, learning_rate=0.0,
        per_device_train_batch_size=8, gradient_accumulation_steps=2,
    )  # fmt: skip
    trainer.train()
    for i, row in enumerate(data.rows):
        loss = token_losses(trainer.model, row).mean()
        found = trainer.selector.scores[i].item()
        assert found == pytest.approx(evolved(loss, EPOCHS, n=len(data)).item(), rel=1e-4)


@pytest.mark.parametrize("epoch_selects", [False, True])
def test_accumulated_tokens_are_normalised_over_the_trained_rows(tmp_path, epoch_selects):
    """Two micro-batches: the step is the mean over all tokens of the rows picked, no others."""
    data, model = Sentences(), language_model()
    before, reference = weights(model).clone(), language_model()
    trainer = make(
        tmp_path, model=model, data=data, data_collator=padded, learning_rate=1.0, stop=1,
        lr_scheduler_type="constant", gradient_accumulation_steps=2, per_device_train_batch_size=8,
        annealing_start=0.0 if epoch_selects else 0.4, batch_ratio=0.5,
    )  # fmt: skip
    trainer.train()
    picked = list(chain.from_iterable(trainer.trained))
    assert len(picked) == (8 if epoch_selects else 16)
    losses = []
    for i in picked:
        row = data.rows[i]
        logits = reference(input_ids=row[None]).logits[0]
        losses.append(F.cross_entropy(logits[:-1], row[1:], reduction="none"))
    torch.cat(losses).mean().backward()
    gradient = torch.cat([p.grad.flatten() for p in reference.parameters()])
    torch.testing.assert_close(before - weights(model), gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", ["es", "eswp", "ka"])
@pytest.mark.parametrize("stop", [3, 6, 16])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, variant, stop):
    method, hyper = METHODS[variant]
    options = {"save_strategy": "steps", "save_steps": stop, **hyper}
    whole = make(tmp_path / "whole", method, **hyper)
    whole.train()
    make(tmp_path / "cut", method, stop=stop, **options).train()
    resumed = make(tmp_path / "cut", method, seed=9, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "cut" / f"checkpoint-{stop}"))
    assert resumed.trained == whole.trained[stop:]
    assert resumed.watch.rates == whole.watch.rates[stop:]
    assert weights(resumed.model).equal(weights(whole.model))
    assert resumed.state.global_step == whole.state.global_step


def test_evaluation_is_the_trainers_own(tmp_path):
    trainer = make(tmp_path)
    rows = Rows()
    found = trainer.evaluate(rows)["eval_loss"]
    with torch.no_grad():
        assert found == pytest.approx(F.cross_entropy(trainer.model(rows.x).logits, rows.y).item())


def rank_of_two(folder):
    trainer = make(folder, per_device_train_batch_size=B // 2, annealing_start=0.2)
    trainer.train()
    return {
        "trained": trainer.trained,
        "tables": trainer.selector._tables,
        "weights": weights(trainer.model),
        "lr": trainer.optimizer.param_groups[0]["lr"],
    }


@pytest.mark.slow
def test_two_ranks(tmp_path):
    first, second = launch(rank_of_two, tmp_path, tmp_path / "out")
    for name, table in first["tables"].items():
        assert table.equal(second["tables"][name]), name
    assert first["weights"].equal(second["weights"])
    assert first["lr"] == pytest.approx(0, abs=1e-12)
    whole = make(tmp_path, annealing_start=0.2)
    whole.train()
    steps = zip(whole.trained, first["trained"], second["trained"], strict=True)
    for step, (together, mine, theirs) in enumerate(steps):
        assert not set(mine) & set(theirs)
        if step < 6:  # the first epoch is annealed: all rows, dealt out
            assert sorted(mine + theirs) == sorted(together)


# ---------------------------------------------------------------- a user's mistakes


class Replacing(SelectingTrainer):
    """Hands the Trainer's own loader in."""

    def get_train_dataloader(self):
        return Trainer.get_train_dataloader(self)


class Losing(SelectingTrainer):
    """Calls for our loader, and hands another in."""

    def get_train_dataloader(self):
        super().get_train_dataloader()
        return Trainer.get_train_dataloader(self)


class Shuffling(SelectingTrainer):
    """Keeps our loader's samples, in an order of its own."""

    def get_train_dataloader(self):
        ours = super().get_train_dataloader()
        return torch.utils.data.DataLoader(
            ours.dataset, batch_size=B, shuffle=True, collate_fn=ours.collate_fn
        )


class Scalar(SelectingTrainer):
    def sample_losses(self, outputs, inputs):
        loss = F.cross_entropy(outputs.logits, inputs["labels"])
        return loss, torch.tensor(1), {}


def flipped(samples):
    """Averages each row with the one across from it, as mixup does."""
    batch = torch.utils.data.default_collate([{k: s[k] for k in ("x", "labels")} for s in samples])
    return batch | {"x": (batch["x"] + batch["x"].flip(0)) / 2}


class Contrastive(SelectingTrainer):
    def sample_losses(self, outputs, inputs):
        logits = outputs.logits - outputs.logits.mean(0)
        losses = F.cross_entropy(logits, inputs["labels"], reduction="none")
        return losses, torch.ones_like(losses), {}


def test_rows_that_depend_on_others_may_be_insisted_on(tmp_path):
    settings = TrainingArguments(
        str(tmp_path), num_train_epochs=EPOCHS, use_cpu=True, report_to=[], disable_tqdm=True,
        per_device_train_batch_size=B, save_strategy="no",
    )  # fmt: skip
    selector = create("es", N, EPOCHS)
    trainer = SelectingTrainer(
        model=Classifier(), args=settings, train_dataset=Rows(), data_collator=flipped,
        selector=selector, check_rows=False,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.global_step == EPOCHS * 6


def test_dropout_and_batch_norm_are_no_mixing(tmp_path):
    model = Classifier()
    model.net.insert(1, nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5)))
    trainer = make(tmp_path, model=model)
    trainer.train()
    assert trainer.state.global_step == EPOCHS * 6
    assert model.net[1][0].num_batches_tracked == EPOCHS * 6  # the training passes' alone


@pytest.mark.parametrize("kind", ["regression", None])
def test_several_targets_are_squared_errors_where_the_model_says_so(tmp_path, kind):
    model = Classifier()
    model.config = SimpleNamespace(problem_type=kind)
    trainer = make(tmp_path, model=model)
    logits, labels = torch.randn(4, 3), torch.rand(4, 3)
    sums, counts, _ = trainer.sample_losses({"logits": logits}, {"labels": labels})
    one_by_one = F.mse_loss if kind else F.binary_cross_entropy_with_logits
    torch.testing.assert_close(sums, one_by_one(logits, labels, reduction="none").sum(1))
    assert counts.tolist() == [3.0] * 4  # as the Trainer counts the labels of a step


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_the_objective_of_several_targets_is_the_trainers_own_loss(tmp_path, kind):
    model = Classifier()
    model.config = SimpleNamespace(problem_type=kind)
    trainer = make(tmp_path, "baseline", model=model)
    trainer.selector.plan_epoch(0)
    inputs = {"x": torch.randn(B, 6), "labels": torch.rand(B, 3), INDEX: torch.arange(B)}
    own = F.mse_loss if kind == "regression" else F.binary_cross_entropy_with_logits
    expected = own(model(inputs["x"]).logits, inputs["labels"])
    for counted in (None, inputs["labels"].numel()):  # as the Trainer counts the labels of a step
        trainer.current_gradient_accumulation_steps = 1
        found = trainer.compute_loss(model.train(), dict(inputs), num_items_in_batch=counted)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_steps": 10}, ValueError, r"^max_steps=10: must be -1: epochs are planned$"),
        ({"num_train_epochs": 3}, ValueError, r"^num_train_epochs=3: must be 5, the selector's"),
        ({"cls": Replacing}, RuntimeError, r"^get_train_dataloader: .*loader was replaced$"),
        ({"cls": Losing}, ValueError, r"^batch: must hold 'sample_index', .*replaced"),
        ({"cls": Shuffling}, RuntimeError, r"^epoch 0, batch 0: .* was the sampler .*replaced\?"),
        ({"cls": Scalar}, ValueError, r"^losses.shape=\(\): must be \[m\], one loss a sample"),
        ({"data_collator": flipped}, ValueError, r"^data_collator='function': must be such that"),
        (
            {"cls": Contrastive},
            ValueError,
            r"^sample_losses='Contrastive': must be such that a row",
        ),
        (
            {"method": create("es", N, EPOCHS, nonfinite="skip")},
            ValueError,
            r"^nonfinite='skip': must be 'raise'",
        ),
        ({"data_collator": tuple}, ValueError, r"^data_collator=tuple: must answer a dictionary"),
        (
            {"train_sampling_strategy": "group_by_length"},
            ValueError,
            r"^train_sampling_strategy='group_by_length': must be random",
        ),
    ],
)
def test_a_mistake_is_one_clear_message(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        make(tmp_path, **options).train()


def test_a_schedule_that_is_no_function_of_the_step(tmp_path):
    trainer = make(tmp_path)
    trainer.create_optimizer()
    trainer.lr_scheduler = torch.optim.lr_scheduler.ExponentialLR(trainer.optimizer, 0.9)
    with pytest.raises(ValueError, match=r"^lr_scheduler='ExponentialLR': must be a LambdaLR"):
        trainer.train()


def test_a_data_set_of_another_length(tmp_path):
    with pytest.raises(ValueError, match=r"^num_samples=90: must be 91, the length of train_data"):
        SelectingTrainer(
            model=Classifier(),
            args=TrainingArguments(str(tmp_path), num_train_epochs=EPOCHS, use_cpu=True),
            train_dataset=Rows(91),
            selector=create("es", N, EPOCHS),
        )


def test_a_checkpoint_without_the_selector(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 2}
    make(tmp_path, stop=2, **options).train()
    (tmp_path / "checkpoint-2" / "selection_0.pt").unlink()
    with pytest.raises(ValueError, match=r"^resume_from_checkpoint=.*must hold selection_0.pt"):
        make(tmp_path, **options).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


def test_the_schedules_state_holds_no_code():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.5)
    schedule = ProgressLambdaLR(optimizer, lambda step: 1 - step / 10, 10, lambda: (0.3, 2.0))
    assert schedule.get_last_lr() == pytest.approx([0.7])  # 0.5 * (1 - 0.3) * 2
    assert "_progress" not in schedule.state_dict()
