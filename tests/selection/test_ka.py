import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import kakurenbo_hidden

from es_repro.selection import create

LOSSES = (0.05, 0.02, 0.30, 0.10, 0.60, 1.2, 0.01, 2.0, 0.08, 0.9)
CORRECT = (1, 1, 1, 1, 0, 0, 1, 0, 1, 1)
CONFIDENCE = (0.95, 0.60, 0.8, 0.9, 0.4, 0.5, 0.99, 0.3, 0.72, 0.45)


def observed(losses=LOSSES, correct=CORRECT, confidence=CONFIDENCE, num_epochs=20, **options):
    selector = create("ka", len(losses), num_epochs, **options)
    signals = {"correct": torch.tensor(correct), "confidence": torch.tensor(confidence)}
    selector.observe(torch.arange(len(losses)), torch.tensor(losses), **signals)
    return selector


def test_low_right_and_sure_samples_are_hidden_and_nobody_moves_up():
    plan = observed().plan_epoch(1)
    assert plan.refresh.tolist() == [0, 6]  # 1 is moved back, 8 is not pulled in
    assert plan.indices.tolist() == [1, 2, 3, 4, 5, 7, 8, 9]
    assert plan.lr_scale == pytest.approx(1 / 0.7)


def test_a_confidence_below_the_threshold_hides_nothing():
    selector = observed(correct=(1,) * 10, confidence=(0.69,) * 10)
    plan = selector.plan_epoch(1)
    assert len(plan.indices) == 10
    assert plan.refresh is None
    sure = observed(correct=(1,) * 10, confidence=(0.7,) * 10)  # equal in float32: sure enough
    assert len(sure.plan_epoch(1).indices) == 7


@pytest.mark.parametrize(
    ("options", "epoch", "factor"),
    [
        ({}, 1, 1 / 0.7),
        ({"lr_scale": "realised"}, 1, 1.25),
        ({"lr_scale": "none"}, 1, 1.0),
        ({"lr_scale_from_epoch": 2}, 1, 1.0),
        ({"lr_scale_from_epoch": 2}, 2, 1 / 0.7),
        ({}, 6, 1 / 0.76),
    ],
)
def test_the_learning_rate_factor(options, epoch, factor):
    assert observed(**options).plan_epoch(epoch).lr_scale == pytest.approx(factor)


def test_the_fraction_decays_at_its_milestones():
    selector = create("ka", 50_000, 200)
    expected = {0: 15000, 59: 15000, 60: 12000, 119: 12000, 120: 9000, 160: 6000, 199: 6000}
    sizes = {epoch: round(selector.cap(epoch) * 50_000) for epoch in expected}
    assert sizes == expected
    n = 1000
    losses, ones = torch.arange(n) / n, torch.ones(n)
    selector = create("ka", n, 200)
    for epoch, hidden in ((1, 300), (60, 240), (120, 180), (160, 120)):
        selector.observe(torch.arange(n), losses, correct=ones, confidence=ones)
        assert selector.plan_epoch(epoch).refresh.tolist() == list(range(hidden))


def test_a_cap_that_rounding_error_misses_still_counts():
    n, ones = 100, torch.ones(100)  # 0.29 * 100 is 28.999999999999996
    selector = create("ka", n, 20, max_fraction=0.29)
    selector.observe(torch.arange(n), torch.arange(n) / n, correct=ones, confidence=ones)
    assert len(selector.plan_epoch(1).refresh) == 29


def test_the_first_epoch_is_full_and_unseen_samples_are_never_hidden():
    selector = create("ka", 10, 20)
    assert len(selector.plan_epoch(0).indices) == 10
    part = torch.arange(2)
    selector.observe(part, torch.rand(2), correct=torch.ones(2), confidence=torch.ones(2))
    assert selector.plan_epoch(1).refresh.tolist() == [0, 1]


def test_refreshed_values_decide_the_next_plan():
    selector = observed()
    hidden = selector.plan_epoch(1).refresh
    worse = {"correct": torch.tensor([1, 0]), "confidence": torch.tensor([0.9, 0.9])}
    selector.observe(hidden, torch.tensor([0.01, 0.02]), **worse)
    assert 6 not in selector.plan_epoch(2).refresh.tolist()


def test_without_refresh_nothing_is_re_scored_and_stale_values_hide_on():
    selector = observed(refresh=False)
    for epoch in (1, 2):
        plan = selector.plan_epoch(epoch)
        assert plan.refresh is None
        assert len(plan.indices) == 8


def test_the_last_epoch_needs_no_refresh():
    assert observed(num_epochs=2).plan_epoch(1).refresh is None


def test_tasks_without_classes():
    assert create("ka", 10, 20).signals == {"correct", "confidence"}
    selector = create("ka", 10, 20, require_prediction=False)
    assert selector.signals == frozenset()
    selector.observe(torch.arange(10), torch.tensor(LOSSES))
    assert selector.plan_epoch(1).refresh.tolist() == [0, 1, 6]


def test_missing_and_misshapen_signals_are_refused():
    selector = create("ka", 10, 20)
    with pytest.raises(ValueError, match=r"^signals=\['correct'\]: must be given with confidence"):
        selector.observe(torch.arange(2), torch.rand(2), correct=torch.ones(2))
    wrong = {"correct": torch.ones(3), "confidence": torch.ones(3)}
    with pytest.raises(ValueError, match=r"^len\(con?[a-z]+\)=3: must be 2, as of the losses$"):
        selector.observe(torch.arange(2), torch.rand(2), **wrong)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.5, 1.0]), st.booleans(), st.floats(0, 1, width=32)),
        min_size=1,
        max_size=40,
    ),
    fraction=st.floats(0, 0.9),
)
@settings(deadline=None)
def test_the_plan_agrees_with_the_reference(rows, fraction):
    losses, correct, confidence = zip(*rows, strict=True)
    selector = observed(losses, correct, confidence, max_fraction=fraction, threshold=0.5)
    plan = selector.plan_epoch(1)
    hidden = kakurenbo_hidden(losses, correct, confidence, fraction, 0.5)
    assert plan.indices.tolist() == [i for i in range(len(rows)) if i not in hidden]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction_milestones": [0.6, 0.3, 0.8]}, r"^fraction_milestones=.*: must be ascending$"),
        ({"fraction_factors": [1.0]}, r"^fraction_factors=\(1.0,\): must be 4 numbers, one more"),
        ({"fraction_milestones": 0.3}, r"^fraction_milestones=0.3: must be a sequence of numbers"),
        ({"lr_scale": "twice"}, r"^lr_scale='twice': must be 'cap' or 'realised' or 'none'$"),
        ({"max_fraction": 1}, r"^max_fraction=1: must be in \[0, 1\)$"),
        ({"lr_scale_from_epoch": -1}, r"^lr_scale_from_epoch=-1: must be an integer >= 0$"),
        ({"refresh": "no"}, r"^refresh='no': must be true or false$"),
    ],
)
def test_bad_values_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        create("ka", 10, 20, **options)
