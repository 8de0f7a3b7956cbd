"""What every selector promises, whatever its method."""

import copy
import io
import math
import pickle
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import VARIANTS, run_epoch, signals_of

from es_repro.selection import EpochPlan, Selector, count, create, selector_class

SAMPLES, EPOCHS = 100, 10


def build(variant, n=SAMPLES, epochs=EPOCHS, **options):
    name, hyperparameters = VARIANTS[variant]
    return create(name, n, epochs, **{"seed": 7, **hyperparameters, **options})


def saved(selector):
    """The state after a trip through a file that may hold no code."""
    file = io.BytesIO()
    torch.save(selector.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def same(left, right):
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(
            left.nan_to_num(nan=-1.0), right.nan_to_num(nan=-1.0)
        )
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return left == right


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


def test_plans_hold_distinct_ids_of_the_data_set(variant):
    selector = build(variant)
    for epoch in range(EPOCHS):
        plan = selector.plan_epoch(epoch)
        assert isinstance(plan, EpochPlan)
        assert plan.indices.dtype == torch.int64
        assert plan.indices.device.type == "cpu"
        ids = plan.indices.tolist()
        assert 1 <= len(ids) == len(set(ids))
        assert set(ids) <= set(range(SAMPLES))
        if plan.refresh is not None:
            assert set(ids) | set(plan.refresh.tolist()) == set(range(SAMPLES))
        run_epoch(selector, epoch)


def test_the_first_and_the_last_epoch_of_annealed_methods_are_full(variant):
    selector = build(variant)
    if hasattr(selector, "selecting_epochs") and selector.selecting_epochs.start > 0:
        for epoch in (0, EPOCHS - 1):
            plan = selector.plan_epoch(epoch)
            assert plan.indices.tolist() == list(range(SAMPLES))
            assert plan.batch_ratio == 1.0
            assert not selector.selects_batches


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_positions_are_distinct_ascending_and_as_many_as_asked(data):
    variant = data.draw(st.sampled_from(sorted(VARIANTS)))
    selector = build(variant)
    selector.plan_epoch(data.draw(st.integers(0, EPOCHS - 1)))
    m = data.draw(st.integers(1, 40))
    values = st.one_of(st.floats(0, 10, width=32), st.just(0.0), st.just(math.nan))
    losses = torch.tensor(data.draw(st.lists(values, min_size=m, max_size=m)))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    index = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(m))[:m]
    positions = selector.select(index, losses.to(dtype), **signals_of(selector, losses))
    selecting = selector.selects_batches
    expected = count(selector.batch_ratio, m) if selecting else m
    assert positions.dtype == torch.int64
    assert positions.tolist() == sorted(set(positions.tolist()))
    assert len(positions) == expected
    assert 0 <= positions[0] <= positions[-1] < m


def test_planning_again_draws_nothing_anew(variant):
    selector, losses = build(variant), torch.rand(16)
    run_epoch(selector, 0)
    plan = selector.plan_epoch(1)
    selector.select(torch.arange(16), losses, **signals_of(selector, losses))
    state = saved(selector)
    again = selector.plan_epoch(1)
    assert again.indices.equal(plan.indices)
    assert same(state, selector.state_dict())
    resumed = build(variant, seed=99)
    resumed.load_state_dict(state)
    after = resumed.plan_epoch(1)
    assert after.indices.equal(plan.indices)
    assert (after.lr_scale, after.batch_ratio) == (plan.lr_scale, plan.batch_ratio)
    assert (after.refresh is None) == (plan.refresh is None)
    assert same(state, resumed.state_dict())


def test_a_resumed_selector_continues_bit_for_bit(variant):
    """Interrupted in the middle of an epoch; the new one was built with another seed."""
    selector = build(variant)
    for epoch in range(3):
        run_epoch(selector, epoch)
    run_epoch(selector, 3, stop=2)
    resumed = build(variant, seed=99)
    resumed.load_state_dict(saved(selector))
    for continued in (selector, resumed):
        continued.trail = [run_epoch(continued, 3, start=2)]
        continued.trail += [run_epoch(continued, epoch) for epoch in range(4, EPOCHS)]
    assert selector.trail == resumed.trail
    assert same(selector.state_dict(), resumed.state_dict())


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_continue_alike_and_apart(variant, clone):
    selector = build(variant)
    run_epoch(selector, 0)
    run_epoch(selector, 1, stop=2)
    twin = clone(selector)
    before = saved(selector)
    trail = run_epoch(twin, 1, start=2)
    assert same(before, selector.state_dict())
    assert run_epoch(selector, 1, start=2) == trail
    assert same(selector.state_dict(), twin.state_dict())


def test_a_state_is_a_snapshot(variant):
    selector = build(variant)
    state = selector.state_dict()
    kept = copy.deepcopy(state)
    run_epoch(selector, 0)
    assert same(state, kept)


def test_global_generators_are_left_alone(variant):
    before = torch.get_rng_state(), random.getstate()
    selector = build(variant)
    for epoch in range(3):
        run_epoch(selector, epoch)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_the_seed_alone_decides(variant):
    first, second = build(variant), build(variant)
    torch.manual_seed(1)
    trail = [run_epoch(first, epoch) for epoch in range(4)]
    torch.manual_seed(2)
    assert [run_epoch(second, epoch) for epoch in range(4)] == trail


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"n": 90}, r"^num_samples=90: must be 100, as in the saved state$"),
        ({"epochs": 9}, r"^num_epochs=9: must be 10, as in the saved state$"),
        ({"nonfinite": "skip"}, r"^nonfinite='skip': must be 'raise', as in the saved state$"),
    ],
)
def test_a_state_of_another_run_is_refused_and_changes_nothing(variant, other, message):
    state = build(variant).state_dict()
    selector = build(variant, **other)
    before = selector.state_dict()
    with pytest.raises(ValueError, match=message):
        selector.load_state_dict(state)
    assert same(before, selector.state_dict())


def test_a_state_of_another_method_or_setting_is_refused():
    with pytest.raises(ValueError, match=r"^method='order': must be 'loss', as in the saved state"):
        build("order").load_state_dict(build("loss").state_dict())
    with pytest.raises(ValueError, match=r"^beta1=0.3: must be 0.2, as in the saved state$"):
        build("es", beta1=0.3).load_state_dict(build("es").state_dict())


def test_a_damaged_state_is_refused(variant):
    selector = build(variant)
    for damaged in (
        {},
        {**selector.state_dict(), "tensors": {}},
        {**selector.state_dict(), "x": 1},
    ):
        with pytest.raises(ValueError, match=r"^state"):
            selector.load_state_dict(damaged)


def test_reduce_divides_by_the_number_of_rows_and_carries_gradients(variant):
    selector = build(variant)
    selector.plan_epoch(0)
    losses = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    objective = selector.reduce(torch.arange(3), losses)
    assert objective.item() == 3.0
    objective.backward()
    assert losses.grad.tolist() == pytest.approx([1 / 3] * 3)


def test_reduce_is_bit_identical_to_the_mean_where_nothing_is_weighted(variant):
    selector, losses = build(variant), torch.rand(77)
    selector.plan_epoch(0)
    assert selector.reduce(torch.arange(77), losses).equal(losses.mean())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_losses_stop_the_run_at_the_next_check(variant, bad):
    selector = build(variant)
    run_epoch(selector, 1)
    selector.plan_epoch(2)
    index = torch.tensor([5, 17, 30, 41])
    losses = torch.tensor([1.0, bad, 2.0, bad])
    selector.check()
    for rows in (torch.ones(4), losses, losses * 0 + bad):
        selector.select(index, rows, **signals_of(selector, rows))
    with pytest.raises(FloatingPointError, match=r"\[17, 41\] \(epoch 2, batch 1 of it; 6 in all"):
        selector.check()
    selector.check()  # forgotten


def test_skipped_losses_leave_the_tables_as_they_were(variant):
    selector = build(variant, nonfinite="skip")
    run_epoch(selector, 0)
    selector.plan_epoch(1)
    index, losses = torch.arange(4), torch.full((4,), math.nan)
    before = {name: table.clone() for name, table in selector._tables.items()}
    selector.select(index, losses, **signals_of(selector, losses))
    for name, table in selector._tables.items():
        assert same(before[name], table), name
    selector.check()
    assert selector.num_nonfinite.item() == 4


def test_a_short_bad_batch_after_a_long_one_names_its_own_ids_alone():
    selector = create("es", 100, 10)
    bad = torch.full((12,), math.nan)
    selector.observe(torch.arange(12), bad)
    with pytest.raises(FloatingPointError, match=r"\[0, 1, 2, 3, 4, 5, 6, 7, \.\.\.\]"):
        selector.check()
    selector.observe(torch.tensor([50]), bad[:1])
    with pytest.raises(FloatingPointError, match=r"\[50\]"):
        selector.check()


def test_negative_losses_can_be_refused():
    for name in ("loss", "order", "infobatch", "ka", "ucb", "es", "eswp"):
        selector = create(name, 10, 10, negative="error")
        losses = torch.tensor([1.0, -1.0])
        selector.observe(torch.arange(2), losses, **signals_of(selector, losses))
        with pytest.raises(ValueError, match=r"^losses: must be >= 0 .*\[1\]"):
            selector.check()


def test_a_scalar_loss_is_refused_with_the_cure(variant):
    selector = build(variant)
    for call in (selector.select, selector.observe, selector.reduce):
        with pytest.raises(ValueError, match='reduction="none"'):
            call(torch.arange(4), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("index", "losses", "message"),
    [
        (torch.arange(3), torch.rand(4), r"^losses.shape=\(4,\): must be \(3,\)"),
        (torch.arange(4), torch.rand(4, 1), r"^losses.shape=\(4, 1\): must be \[m\]"),
        (
            torch.arange(4).float(),
            torch.rand(4),
            r"^index.dtype=torch.float32: must be torch.int64",
        ),
        (torch.arange(4), torch.arange(4), r"^losses.dtype=torch.int64: must be a float type"),
    ],
)
def test_shapes_and_types_are_checked(variant, index, losses, message):
    with pytest.raises(ValueError, match=message):
        build(variant).observe(index, losses)


@pytest.mark.parametrize("epoch", [-1, EPOCHS, 0.5])
def test_epochs_outside_the_run_are_refused(variant, epoch):
    with pytest.raises(ValueError, match=r"^epoch="):
        build(variant).plan_epoch(epoch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, r"^num_samples=0: must be an integer >= 1$"),
        ({"n": 1.5}, r"^num_samples=1.5: must be an integer >= 1$"),
        ({"epochs": 0}, r"^num_epochs=0: must be an integer >= 1$"),
        ({"seed": "a"}, r"^seed='a': must be an integer$"),
        ({"seed": True}, r"^seed=True: must be an integer$"),
        ({"nonfinite": "stop"}, r"^nonfinite='stop': must be 'raise' or 'skip'$"),
        ({"device": "abacus"}, r"^device='abacus': must be a torch device$"),
        ({"beta3": 1}, r"^beta3=1: must be a hyper-parameter of "),
    ],
)
def test_bad_arguments_are_named(variant, options, message):
    with pytest.raises(ValueError, match=message):
        build(variant, **options)


def test_every_hyper_parameter_is_an_attribute(variant):
    selector = build(variant)
    assert isinstance(selector, Selector)
    assert set(selector.hyperparameters) == set(type(selector).hyperparameter_names())
    rebuilt = {k: v for k, v in selector.hyperparameters.items() if v is not None}
    twin = create(selector.method_name(), SAMPLES, EPOCHS, seed=7, **rebuilt)
    assert same(selector.state_dict(), twin.state_dict())


def test_tables_stay_within_two_floats_and_a_flag():
    for name in ("es", "eswp", "infobatch", "ka", "ucb"):
        selector = create(name, 1000, 10)
        size = sum(t.numel() * t.element_size() for t in selector._tables.values())
        assert size <= 9 * 1000 + 4, name


def test_a_data_set_and_a_run_of_one(variant):
    selector = build(variant, n=1, epochs=1)
    assert run_epoch(selector, 0)[0][0] == [0]


def test_classes_say_what_table_1_needs(variant):
    method = selector_class(VARIANTS[variant][0])
    assert method.level in {"none", "set", "batch", "both"}
    assert isinstance(method.uses_history, bool)
    assert isinstance(method.uses_differences, bool)
    assert method.semantics_version >= 1
