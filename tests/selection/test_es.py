"""ES: the table by hand, the algebra of Eq. 3.1 and 3.2, annealing, options."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import es_visits, es_weight_unrolled, es_weight_with_differences, inclusion

from es_repro.selection import EvolvedSampling, create

LOSSES = torch.tensor([[2.0, 0.5, 1.0, 0.0], [1.0, 0.5, 2.0, 0.0], [0.5, 0.5, 1.0, 4.0]])
INDEX = torch.arange(4)

# methods.md 7.1: betas, visit, s and w of the samples A, B, C, D.
BY_HAND = [
    ((0.2, 0.9), 1, (0.425, 0.275, 0.325, 0.225), (1.65, 0.45, 0.85, 0.05)),
    ((0.2, 0.9), 2, (0.4825, 0.2975, 0.4925, 0.2025), (0.885, 0.455, 1.665, 0.045)),
    ((0.2, 0.9), 3, (0.48425, 0.31775, 0.54325, 0.58225), (0.4965, 0.4595, 0.8985, 3.2405)),
    ((0.2, 0.8), 1, (0.6, 0.3, 0.4, 0.2), (1.65, 0.45, 0.85, 0.05)),
    ((0.2, 0.8), 2, (0.68, 0.34, 0.72, 0.16), (0.92, 0.46, 1.68, 0.04)),
    ((0.2, 0.8), 3, (0.644, 0.372, 0.776, 0.928), (0.536, 0.468, 0.944, 3.232)),
    ((0.9, 0.9), 3, (0.48425, 0.31775, 0.54325, 0.58225), (0.48425, 0.31775, 0.54325, 0.58225)),
    ((0.2, 0.2), 3, (0.626, 0.498, 1.154, 3.202), (0.626, 0.498, 1.154, 3.202)),
]

finite_losses = st.lists(st.floats(0, 100, width=32), min_size=1, max_size=12)
betas = st.floats(0, 1)


def after(visits, beta1, beta2, **options):
    selector = create("es", 4, 20, beta1=beta1, beta2=beta2, **options)
    for losses in LOSSES[:visits]:
        selector.select(INDEX, losses)
    return selector


def visited(losses, beta1, beta2):
    """One sample's (s, w) after each visit, by the package; s(0) = 1."""
    selector, trace = create("es", 1, 20, beta1=beta1, beta2=beta2), []
    for loss in losses:
        selector.observe(torch.tensor([0]), torch.tensor([loss]))
        trace.append((selector.scores.item(), selector.weights.item()))
    return trace


@pytest.mark.parametrize(("both", "visits", "scores", "weights"), BY_HAND)
def test_scores_and_weights_by_hand(both, visits, scores, weights):
    selector = after(visits, *both)
    assert selector.scores.tolist() == pytest.approx(scores, rel=1e-6)
    assert selector.weights.tolist() == pytest.approx(weights, rel=1e-6)


def test_tables_start_at_one_over_n():
    selector = create("es", 4, 20)
    assert isinstance(selector, EvolvedSampling)
    assert selector.scores.tolist() == selector.weights.tolist() == [0.25] * 4
    assert selector.scores.dtype == selector.weights.dtype == torch.float32


def test_the_draw_follows_the_weights_of_the_same_step():
    """Inclusion at the third visit, b = 2 of 4, against enumeration and the worked numbers."""
    expected = inclusion((0.4965, 0.4595, 0.8985, 3.2405), 2)
    assert expected == pytest.approx([0.29825, 0.27682, 0.52102, 0.90391], abs=1e-5)
    selector, draws = after(2, 0.2, 0.9, batch_ratio=0.5), 10_000
    selector.plan_epoch(5)
    before, hits = selector.state_dict()["tensors"], torch.zeros(4)
    for _ in range(draws):
        hits += selector.select(INDEX, LOSSES[2]).bincount(minlength=4)
        selector.scores.copy_(before["scores"])
    for share, wanted in zip((hits / draws).tolist(), expected, strict=True):
        # Five sigma: false alarm below 6e-7 an item.
        assert abs(share - wanted) < 5 * math.sqrt(wanted * (1 - wanted) / draws)


@given(losses=finite_losses, beta1=betas, beta2=betas)
@settings(deadline=None)
def test_the_package_agrees_with_the_recursion_in_float64(losses, beta1, beta2):
    expected = es_visits(losses, beta1, beta2, 1.0)
    for (s, w), (s_ref, w_ref) in zip(visited(losses, beta1, beta2), expected, strict=True):
        assert s == pytest.approx(s_ref, rel=1e-5, abs=1e-6)
        assert w == pytest.approx(w_ref, rel=1e-5, abs=1e-5)


@given(losses=finite_losses, beta1=betas, beta2=betas, s0=st.floats(0, 10))
@settings(deadline=None)
def test_the_closed_forms_hold_in_float64(losses, beta1, beta2, s0):
    s, w = es_visits(losses, beta1, beta2, s0)[-1]
    exact = {"rel": 1e-12, "abs": 1e-12}
    scale = max(1.0, *losses)
    assert w == pytest.approx(es_weight_unrolled(losses, beta1, beta2, s0), **exact)
    by_differences = es_weight_with_differences(losses, beta1, beta2, s0)
    assert w == pytest.approx(by_differences, rel=1e-12, abs=1e-11 * scale)
    s_before = ([s0] + [pair[0] for pair in es_visits(losses, beta1, beta2, s0)])[-2]
    assert w - s == pytest.approx((beta2 - beta1) * (losses[-1] - s_before), abs=1e-12 * scale)
    assert min([*losses, s0]) - 1e-9 <= w <= max([*losses, s0]) + 1e-9


@given(losses=finite_losses, beta=betas)
@settings(deadline=None, max_examples=30)
def test_special_betas(losses, beta):
    loss_only = visited(losses, 0.0, beta)
    assert [w for _, w in loss_only] == losses  # bit for bit
    assert all(s == w for s, w in visited(losses, beta, beta))
    assert visited(losses, 1.0, 1.0) == [(1.0, 1.0)] * len(losses)
    late = visited(losses, 1.0, beta)
    assert [w for _, w in late] == [1.0] + [s for s, _ in late[:-1]]


@given(loss=st.floats(0.125, 8, width=32), beta1=betas, beta2=betas, visits=st.integers(1, 10))
@settings(deadline=None, max_examples=30)
def test_a_constant_loss_is_approached_geometrically(loss, beta1, beta2, visits):
    w = visited([loss] * visits, beta1, beta2)[-1][1]
    assert w - loss == pytest.approx(beta1 * beta2 ** (visits - 1) * (1 - loss), abs=1e-5)


def test_the_gain_of_the_recursion_on_sinusoids():
    """Amplitude of w on a sinusoidal loss against |H| of the discrete scheme (methods.md 7.2)."""
    for (beta1, beta2), at_pi in (((0.2, 0.9), 0.789474), ((0.2, 0.8), 0.777778), ((0, 0), 1.0)):
        losses = [(-1.0) ** t for t in range(400)]  # frequency pi
        w = [pair[1] for pair in es_visits(losses, beta1, beta2, 0.0)]
        assert abs(w[-1]) == pytest.approx(at_pi, abs=1e-6)
        steady = es_visits([1.0] * 400, beta1, beta2, 0.0)[-1][1]
        assert steady == pytest.approx(1.0, abs=1e-6)  # frequency 0


@pytest.mark.parametrize("beta2", [0.0, 0.3, 1.0])
def test_beta1_zero_draws_what_loss_draws(beta2):
    generator = torch.Generator().manual_seed(0)
    es = create("es", 64, 20, seed=3, beta1=0, beta2=beta2)
    loss = create("loss", 64, 20, seed=3)
    for epoch in (1, 2):
        es.plan_epoch(epoch)
        loss.plan_epoch(epoch)
        for _ in range(5):
            losses = torch.rand(64, generator=generator)
            index = torch.randperm(64, generator=generator)
            assert es.select(index, losses).equal(loss.select(index, losses))


def test_betas_of_one_draw_uniformly():
    selector, draws = create("es", 4, 20, beta1=1, beta2=1, batch_ratio=0.5), 4_000
    selector.plan_epoch(5)
    hits = sum(selector.select(INDEX, LOSSES[0]).bincount(minlength=4) for _ in range(draws))
    assert ((hits / draws - 0.5).abs() < 5 * 0.5 / math.sqrt(draws)).all()  # false alarm < 6e-7


def test_the_scale_of_losses_does_not_matter():
    one, ten = (create("es", 4, 20, seed=1, batch_ratio=0.5) for _ in range(2))
    ten.scores.mul_(1024)
    for selector in (one, ten):
        selector.plan_epoch(3)
    for losses in LOSSES.repeat(20, 1):
        assert one.select(INDEX, losses).equal(ten.select(INDEX, losses * 1024))


@pytest.mark.parametrize(
    ("epochs", "options", "selecting"),
    [
        (20, {}, range(1, 19)),
        (200, {}, range(10, 190)),
        (10, {}, range(1, 9)),  # half an epoch counts as one
        (10, {"annealing_rounding": "floor"}, range(10)),
        (10, {"annealing_rounding": "ceil"}, range(1, 9)),
        (10, {"annealing_start": 0.0, "annealing_end": 0.3}, range(7)),
        (1, {}, range(1)),
    ],
)
def test_annealing_windows(epochs, options, selecting):
    selector = create("es", 4, epochs, **options)
    for epoch in range(epochs):
        assert len(selector.plan_epoch(epoch).indices) == 4
        assert selector.selects_batches == (epoch in selecting)


def test_annealed_epochs_feed_the_table_and_pick_everything():
    selector = create("es", 4, 20)
    selector.plan_epoch(0)
    assert selector.select(INDEX, LOSSES[0]).tolist() == [0, 1, 2, 3]
    assert selector.weights.tolist() == pytest.approx([1.65, 0.45, 0.85, 0.05])


def test_windows_that_meet_warn_once_and_never_select():
    with pytest.warns(UserWarning, match="nothing is ever selected") as warned:
        selector = create("es", 4, 4, annealing_start=0.5, annealing_end=0.5)
    assert len(warned) == 1
    selector.plan_epoch(2)
    assert not selector.selects_batches


def test_batches_too_large_to_pay_warn():
    with pytest.warns(UserWarning, match="scoring pays below 2/3 only"):
        create("es", 4, 20, batch_ratio=0.75)
    create("eswp", 4, 20, batch_ratio=0.75)  # pruning pays for the scoring here
    create("es", 4, 20, batch_ratio=1)


def test_bias_correction_divides_the_history_by_its_share():
    selector = after(3, 0.2, 0.9, bias_correction=True)
    # A: s = 0.4825 after two visits, 0.4825 / (1 - 0.81); w = 0.2 * that + 0.8 * 0.5.
    assert selector.weights[0].item() == pytest.approx(0.2 * 0.4825 / 0.19 + 0.4, rel=1e-5)
    assert selector.scores[0].item() == pytest.approx(0.48425, rel=1e-5)  # s itself stays raw
    first = after(1, 0.2, 0.9, bias_correction=True)
    assert first.weights[0].item() == pytest.approx(1.65)  # nothing to correct yet
    assert after(3, 0.5, 1.0, bias_correction=True).scores.tolist() == [0.25] * 4


def test_short_meta_batches():
    selector = create("es", 50, 20)
    selector.plan_epoch(3)
    for m, b in ((50, 13), (10, 3), (1, 1), (2, 1)):
        assert len(selector.select(torch.arange(m), torch.rand(m))) == b


def test_negative_losses_stay_raw_in_the_table_and_are_drawn_last():
    selector = create("es", 4, 20, beta1=0, beta2=0)
    selector.plan_epoch(3)
    losses = torch.tensor([-1.0, -2.0, 1.0, -3.0])
    assert selector.select(INDEX, losses).tolist() == [2]
    assert selector.weights.tolist() == losses.tolist()


def test_a_bad_loss_comes_after_zero_weights():
    selector = create("es", 4, 20, beta1=0, batch_ratio=0.66, nonfinite="skip")
    selector.plan_epoch(3)
    for _ in range(20):
        losses = torch.tensor([math.nan, 0.0, 1.0, 2.0])
        assert selector.select(INDEX, losses).tolist() == [1, 2, 3]
    assert selector.weights[0].item() == selector.scores[0].item() == 0.25
