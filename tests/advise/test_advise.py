"""Loops of known costs: what is predicted of them can be worked out by hand."""

import json
import warnings

import pytest
import torch

from es_repro.advise import advise
from tests.advise.made import Clock, Loader, Net, advised

ANNEALED = 0.1  # of 20 epochs, one at either end
INFOBATCH = 1 - 0.5 * 0.7 * 17 / 20  # prunes in 17 epochs of 20


def es_time(selecting):
    return ANNEALED + (1 - ANNEALED) * selecting


def times(advice, method="es"):
    return {row.batch_ratio: row.time.median for row in advice.rows if row.method == method}


def test_a_loop_of_arithmetic_alone_saves_what_flops_promise():
    advice = advised(step=0.3, load=0.0, methods=("es", "infobatch", "ka", "random"))

    for row in advice.rows:
        assert row.time.median == pytest.approx(row.ideal)
        assert row.time.low == pytest.approx(row.time.high)
    assert times(advice) == pytest.approx({f: es_time(1 / 3 + f) for f in (0.5, 0.25, 0.125)})
    assert times(advice, "infobatch")[None] == pytest.approx(INFOBATCH)
    assert times(advice, "random")[0.25] == pytest.approx(es_time(0.25))
    assert advice.break_even == pytest.approx(2 / 3)
    assert advice.parts.train == pytest.approx(0.3)
    assert advice.parts.score == pytest.approx(0.1)
    assert advice.parts.loop == pytest.approx(0.3)
    assert advice.worth_it
    assert "Yes" in advice.verdict


def test_a_loader_slower_than_its_model_is_the_bound():
    # One worker, two batches ahead: 100 ms a batch, 40 ms a step; every loop runs at 100 ms.
    advice = advised(step=0.04, load=0.1, ahead=2, methods=("es", "infobatch", "random"))

    assert advice.parts.loader == pytest.approx(0.1)
    assert advice.parts.loop == pytest.approx(0.1)
    assert advice.parts.beside == pytest.approx(0.06)
    assert times(advice) == pytest.approx({0.5: 1.0, 0.25: 1.0, 0.125: 1.0})
    # What loads fewer rows saves all the same.
    assert times(advice, "infobatch")[None] == pytest.approx(INFOBATCH)
    assert times(advice, "random")[0.25] == pytest.approx(es_time(0.25))
    assert advice.bound_by_loader
    assert not advice.worth_it
    assert advice.break_even is None
    assert advice.verdict.startswith("No: you are bound by the loader.")


def test_what_no_fetching_can_have_cost_is_not_put_down_to_it():
    # The first step after each fetch takes 30 ms more; the fetch itself takes 1 ms.
    clock = Clock()
    net = Net(clock, 0.1 / 32)

    class Waking(Loader):
        def __iter__(self):
            for batch in super().__iter__():
                clock.slow = 0.03
                yield batch

    def step(batch):
        clock.spend(clock.slow)
        clock.slow = 0.0
        return net.step(batch)

    advice = advise(step, Waking(clock, 0.001), num_epochs=20, update=net.update, clock=clock)

    assert advice.parts.train == pytest.approx(0.3)
    assert advice.parts.beside == pytest.approx(0.001)


def test_selection_makes_a_hidden_loader_the_bound():
    # Hidden behind steps of 300 ms, 200 ms a batch is the least that any of them can take.
    advice = advised(step=0.3, load=0.2, ahead=2)

    assert advice.parts.beside == pytest.approx(0.0, abs=1e-9)
    assert times(advice)[0.5] == pytest.approx(es_time(5 / 6))
    assert times(advice)[0.25] == pytest.approx(es_time(2 / 3))
    assert times(advice)[0.125] == pytest.approx(es_time(2 / 3))
    assert advice.parts.floor == pytest.approx(2 / 3)
    assert advice.parts.overlapped
    assert advice.worth_it


def test_a_loop_that_waits_for_each_batch_saves_on_its_training_alone():
    advice = advised(step=0.1, load=0.1)

    assert advice.parts.beside == pytest.approx(0.1)
    assert not advice.parts.overlapped
    assert times(advice)[0.25] == pytest.approx(es_time((0.1 + 0.1 * 7 / 12) / 0.2))
    assert advice.break_even == pytest.approx(2 / 3)
    assert "50% of the loop beside the training" in advice.verdict


def test_batches_that_come_unevenly_count_by_their_mean():
    advice = advised(step=0.1, load=0.1, jitter=0.5)

    assert advice.parts.loader == pytest.approx(0.1)
    assert advice.parts.beside == pytest.approx(0.1)


def test_overhead_that_does_not_shrink_with_the_rows_leaves_nothing():
    advice = advised(step=0.003, fixed=0.3, load=0.0)

    assert min(times(advice).values()) > 1.2
    assert advice.break_even is None
    assert all(row.epochs is None for row in advice.rows if row.method == "es")
    assert advice.verdict.startswith(
        "No: the cheapest that scores batches, es at b/B 1/8, would take 1.29 of"
    )
    assert "larger batches" in advice.verdict


def test_half_of_overhead_moves_the_break_even():
    # A step of 0.1 + 0.2 x its share of the rows: scoring 0.1, so f pays below 0.5.
    advice = advised(step=0.2, fixed=0.1, load=0.0)

    assert advice.break_even == pytest.approx(0.5)


def test_the_time_is_told_in_epochs():
    # Seconds that add up without rounding: 62.5 epochs are a tie.
    advice = advised(step=0.375, load=0.0, methods=[("es", {"batch_ratio": 0.25})], num_epochs=100)

    [row] = advice.rows
    assert row.time.median == pytest.approx(0.1 + 0.9 * 7 / 12)
    assert row.epochs == 63  # half up
    assert "A run of 63 of the 100 epochs, the schedule compressed, saves 37%" in advice.verdict
    assert "try that first" in advice.verdict
    assert "63 of 100 epochs" in str(advice)


def test_pruning_and_other_methods_settings_enter_by_the_cost_model():
    settings = {"batch_ratio": 0.25, "prune_ratio": 0.5, "annealing_start": 0, "annealing_end": 0}
    hiding = {"fraction_milestones": [], "fraction_factors": [1]}
    advice = advised(step=0.3, load=0.0, methods=[("eswp", settings), ("ka", hiding)])

    assert [row.time.median for row in advice.rows] == pytest.approx([0.5 * 7 / 12, 0.7 + 0.1])
    assert advice.rows[0].hyperparameters["prune_ratio"] == 0.5


def test_noise_widens_the_interval():
    clock = Clock()
    net = Net(clock, 0.01)
    pace = iter(1 + 0.2 * torch.rand(10_000, generator=torch.Generator().manual_seed(0)))

    def step(batch):
        net.row = 0.01 * float(next(pace))
        return net.step(batch)

    advice = advise(
        step, Loader(clock, 0.0), num_epochs=20, update=net.update, methods=["es"], clock=clock
    )
    for row in advice.rows:
        assert row.time.low < row.time.median < row.time.high
        assert row.time.median == pytest.approx(row.ideal, rel=0.05)


def test_too_much_noise_decides_nothing():
    # Two batches of five cost more to score than selection saves.
    clock = Clock()
    net = Net(clock, 0.01)
    loader = [torch.full((32,), 1.0 + (number % 5 < 2)) for number in range(41)]

    def score(batch):
        clock.spend(0.8 if batch[0] > 1 else 0.0)
        return batch

    advice = advise(
        net.step, loader, num_epochs=20, update=net.update, score=score, methods=["loss"],
        ratios=[0.25], rounds=10, clock=clock,
    )  # fmt: skip
    [row] = advice.rows
    dear = 0.25 + 0.8 / 0.96
    assert (row.time.low, row.time.high) == pytest.approx((0.25, dear))
    assert not advice.worth_it
    assert advice.verdict.startswith("Not decided: loss at b/B 1/4 would take 0.25 of the time")


def test_what_the_steps_move_is_put_back():
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout())
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loader = [torch.rand(16, 4) for _ in range(6)]
    generator = torch.get_rng_state()

    def update(loss):
        loss.backward()
        optimizer.step()

    advise(
        lambda batch: model(batch).square().mean(1), loader, num_epochs=2, update=update,
        restore=[model, optimizer], rounds=5, warmup=1,
    )  # fmt: skip
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert optimizer.state_dict()["state"] == {}
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(generator, torch.get_rng_state())


def test_everything_is_there_for_machines():
    advice = advised(step=0.3, load=0.0, methods=("es", "ka"))
    found = json.loads(json.dumps(advice.as_dict()))

    assert found["worth_it"] is True
    assert found["break_even"] == pytest.approx(2 / 3)
    assert found["rows"][1]["time"]["median"] == pytest.approx(advice.rows[1].time.median)
    assert found["num_samples"] == 40 * 32
    assert found["parts"]["memory"] is None


def test_dear_ratios_are_told_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advice = advised(step=0.3, load=0.0, methods=["es"], ratios=[0.9])

    assert times(advice)[0.9] > 1


@pytest.mark.parametrize("batches", [5, 6, 11])
def test_short_epochs_of_a_loader_that_runs_ahead_are_enough(batches):
    clock = Clock()
    net, loader = Net(clock, 0.01), Loader(clock, 0.01, batches=batches, ahead=8)
    advice = advise(
        net.step, loader, num_epochs=20, update=net.update, methods=["es"], rounds=5, clock=clock
    )
    assert times(advice) == pytest.approx({f: es_time(1 / 3 + f) for f in (0.5, 0.25, 0.125)})


def test_a_loader_with_workers_of_its_own():
    data = torch.utils.data.TensorDataset(torch.rand(60, 4))
    loader = torch.utils.data.DataLoader(data, batch_size=8, num_workers=2, shuffle=True)
    advice = advise(
        lambda batch: good_step(batch[0]).mean(1), loader, num_epochs=5, rounds=5, warmup=1
    )
    assert (advice.num_samples, advice.rows_of_a_batch) == (60, 8)


def good_step(batch):
    return batch * torch.ones(1, requires_grad=True)


BATCHES = [torch.rand(8) for _ in range(40)]


@pytest.mark.parametrize(
    ("step", "loader", "more", "line"),
    [
        (lambda batch: good_step(batch).mean(), BATCHES, {}, r"losses.shape=\(\): must be \[m\]"),
        (lambda _: 1.0, BATCHES, {}, "losses=float: must be a tensor"),
        (lambda batch: batch * 2, BATCHES, {}, "losses.grad_fn=None: must carry a gradient"),
        (good_step, [], {}, "loader: must hold batches; it is empty"),
        (good_step, iter(BATCHES), {}, "loader='list_iterator': must be iterable repeatedly"),
        (good_step, BATCHES[:12], {}, "rounds=30: must be at most 12, the batches that the loader"),
        (good_step, [torch.rand(1)] * 40, {}, "rows of a batch=1: must be at least 2"),
        (good_step, BATCHES, {"take": lambda batch, _: batch}, "rows of half a batch=8: must be 4"),
        (good_step, BATCHES, {"rounds": 1}, "rounds=1: must be an integer >= 5"),
        (good_step, BATCHES, {"ratios": [0.5, 1.5]}, r"ratios=\[0.5, 1.5\]: must be a sequence"),
        (good_step, BATCHES, {"ratios": []}, r"ratios=\[\]: must be at least one b/B"),
        (good_step, BATCHES, {"methods": ["ess"]}, "method='ess': must be a method"),
        (good_step, BATCHES, {"num_epochs": 0}, "num_epochs=0: must be an integer >= 1"),
    ],
)
def test_what_a_user_got_wrong_is_one_line(step, loader, more, line):
    with pytest.raises(ValueError, match=line) as raised:
        advise(step, loader, **{"num_epochs": 5, **more})
    assert "\n" not in str(raised.value)


def test_a_batch_that_cannot_be_taken_apart_is_one_line():
    class Odd:
        def __init__(self, x):
            self.x = x

    loader = [Odd(torch.rand(8)) for _ in range(40)]
    with pytest.raises(ValueError, match=r"batch=Odd: must be of tensors.*pass take="):
        advise(lambda batch: good_step(batch.x), loader, num_epochs=5)
    advice = advise(
        lambda batch: good_step(batch.x), loader, num_epochs=5, methods=["es"],
        take=lambda batch, rows: Odd(batch.x[rows]),
    )  # fmt: skip
    assert advice.rows_of_a_batch == 8


def test_a_loader_that_does_not_say_how_many_is_asked_to():
    class Endless:
        def __iter__(self):
            while True:
                yield torch.rand(8)

    with pytest.raises(ValueError, match="num_samples=None: must be given"):
        advise(good_step, Endless(), num_epochs=5)
    advice = advise(good_step, Endless(), num_epochs=5, num_samples=100, rounds=5, methods=["es"])
    assert advice.num_samples == 100
