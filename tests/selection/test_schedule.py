import math
import pickle

import pytest
import torch

from es_repro.selection import (
    ProgressScheduler,
    constant,
    one_cycle,
    warmup_cosine,
    warmup_polynomial,
)


def optimizer(*rates):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups)


def rates(schedule, progress, lr=0.2, **options):
    sgd = optimizer(lr)
    ProgressScheduler(sgd, schedule).step(progress, **options)
    return sgd.param_groups[0]["lr"]


@pytest.mark.parametrize(
    ("progress", "lr"), [(0, 0.008), (0.15, 0.104), (0.3, 0.2), (0.65, 0.1000004), (1, 8e-7)]
)
def test_one_cycle_by_hand(progress, lr):
    assert rates(one_cycle(0.3, 25, 1e4), progress) == pytest.approx(lr, rel=1e-6)


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (constant(), {0: 1, 0.5: 1, 1: 1}),
        (warmup_cosine(0.1), {0: 0, 0.05: 0.5, 0.1: 1, 0.55: 0.5, 1: 0}),
        (warmup_cosine(0, 0.1), {0: 1, 0.5: 0.55, 1: 0.1}),
        (warmup_polynomial(0.2), {0.1: 0.5, 0.2: 1, 0.6: 0.5, 1: 0}),
        (warmup_polynomial(0, 2, 0.5), {0: 1, 0.5: 0.625, 1: 0.5}),
        (one_cycle(0.0), {0: 1, 1: 1 / 25e4}),
    ],
)
def test_schedules_by_hand(schedule, points):
    for progress, factor in points.items():
        assert schedule(progress) == pytest.approx(factor, abs=1e-9)
    assert pickle.loads(pickle.dumps(schedule))(0.3) == schedule(0.3)


def test_pruned_epochs_have_the_baselines_rate_at_their_start_and_no_jumps():
    schedule, lengths = one_cycle(), (10, 7, 7, 10)
    pruned = [
        rates(schedule, (e + j / length) / 4)
        for e, length in enumerate(lengths)
        for j in range(length)
    ]
    starts = [sum(lengths[:e]) for e in range(4)]
    assert [pruned[i] for i in starts] == [rates(schedule, e / 4) for e in range(4)]
    peak = max(range(len(pruned)), key=pruned.__getitem__)
    assert pruned[: peak + 1] == sorted(pruned[: peak + 1])
    assert pruned[peak:] == sorted(pruned[peak:], reverse=True)


def test_the_epochs_factor_does_not_stay():
    sgd = optimizer(0.2, 0.02)
    scheduler = ProgressScheduler(sgd, constant())
    scheduler.step(0.5, lr_scale=1 / 0.7)
    assert [g["lr"] for g in sgd.param_groups] == pytest.approx([0.285714, 0.0285714], rel=1e-5)
    scheduler.step(0.5)
    assert [g["lr"] for g in sgd.param_groups] == [0.2, 0.02]


def test_a_restored_optimizer_keeps_its_peak():
    sgd = optimizer(0.2)
    ProgressScheduler(sgd, warmup_cosine(0.1)).step(0.9)
    resumed = optimizer(0.2)
    scheduler = ProgressScheduler(resumed, warmup_cosine(0.1))
    resumed.load_state_dict(sgd.state_dict())
    assert resumed.param_groups[0]["lr"] < 0.01
    scheduler.step(0.1)
    assert resumed.param_groups[0]["lr"] == 0.2


def test_rates_that_are_tensors_are_filled():
    lr = torch.tensor(0.2)
    sgd = optimizer(lr)
    ProgressScheduler(sgd, constant()).step(0, lr_scale=0.5)
    assert sgd.param_groups[0]["lr"] is lr
    assert lr.item() == pytest.approx(0.1)


@pytest.mark.parametrize("progress", [-0.1, 1.1, math.nan])
def test_progress_outside_the_run_is_refused(progress):
    with pytest.raises(ValueError, match=r"^progress=.*: must be in \[0, 1\]$"):
        rates(constant(), progress)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: one_cycle(1), r"^pct_start=1: must be in \[0, 1\)$"),
        (lambda: one_cycle(0.3, 0), r"^div_factor=0: must be in \[1, inf\)$"),
        (lambda: warmup_cosine(1.5), r"^warmup=1.5: must be in \[0, 1\)$"),
        (lambda: warmup_cosine(0.1, 2), r"^final_factor=2: must be in \[0, 1\]$"),
        (lambda: warmup_polynomial(0, 0), r"^power=0: must be in \(0, inf\)$"),
    ],
)
def test_bad_values_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
