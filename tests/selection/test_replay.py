"""Following a trace: bits and picks by hand, and what is refused."""

import io

import pytest
import torch

from es_repro.selection import PlannedBatchSampler, Replay, Trace, create
from es_repro.selection.replay import EpochTrace, pack_bits, unpack_bits

N = 10


def mask(*ids, n=N):
    found = torch.zeros(n, dtype=torch.bool)
    found[list(ids)] = True
    return found


def trace(**changes):
    """Epoch 0: all ten samples whole; epoch 1: of 0, 2, 3, 5, 8, 9 the samples 2, 5, 8."""
    whole = pack_bits(mask(*range(N)))
    weights = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0, 1.0])
    epochs = (
        EpochTrace(whole, whole, ((4, 2), (2, 1))),
        EpochTrace(
            pack_bits(mask(0, 2, 3, 5, 8, 9)),
            pack_bits(mask(2, 5, 8)),
            ((2, 1), (1, 1)),
            lr_scale=1.25,
            weights=weights,
        ),
    )
    facts = {
        "num_samples": N, "num_epochs": 2, "seed": 3, "meta_batch_size": 4, "world_size": 1,
        "method": "made up", "epochs": epochs, "batch_ratio": 0.5,
    }  # fmt: skip
    return Trace(**(facts | changes))


def test_a_sample_is_a_bit():
    # Samples 0, 2 and 3 are bits 1, 4 and 8 of the first byte; sample 8 is bit 1 of the second.
    assert pack_bits(mask(0, 2, 3, 8)).tolist() == [13, 1]
    assert pack_bits(mask(7)).tolist() == [128, 0]
    back = unpack_bits(torch.tensor([13, 1], dtype=torch.uint8), N)
    assert back.nonzero().squeeze(1).tolist() == [0, 2, 3, 8]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 64, 1001])
def test_bits_come_back(n):
    some = torch.rand(n, generator=torch.Generator().manual_seed(n)) < 0.3
    bits = pack_bits(some)
    assert (bits.dtype, len(bits)) == (torch.uint8, -(-n // 8))
    assert torch.equal(unpack_bits(bits, n), some)


def test_an_epoch_is_planned_picked_and_weighed_as_recorded():
    selector = Replay(N, 2, trace=trace())
    assert selector.plan_epoch(0).indices.tolist() == list(range(N))
    assert not selector.selects_batches
    assert not selector.needs_losses

    plan = selector.plan_epoch(1)
    assert plan.indices.tolist() == [0, 2, 3, 5, 8, 9]
    assert (plan.lr_scale, plan.refresh, plan.batch_ratio) == (1.25, None, 1.0)
    assert selector.selects_batches
    first, second = torch.tensor([9, 5, 0, 2]), torch.tensor([8, 3])
    assert selector.select(first, None).tolist() == [1, 3]
    selector.observe(first[[1, 3]], torch.ones(2))
    # With losses given, which it does not need, it picks the same.
    assert selector.select(second, torch.ones(2)).tolist() == [0]
    # Planned ids 0, 2, 3, 5, 8, 9 weigh 1, 2, 1, 2, 1, 1: (2 * 3 + 2 * 5) / 2.
    assert selector.reduce(first[[1, 3]], torch.tensor([3.0, 5.0])) == 8.0
    selector.check()
    with pytest.raises(ValueError, match="step of the epoch=2: must be below 2, the steps of"):
        selector.select(second, None)


def test_a_batch_that_is_observed_in_pieces_is_one_batch():
    selector = Replay(N, 2, trace=trace())
    selector.plan_epoch(1)
    first = torch.tensor([9, 5, 0, 2])
    for piece in first[selector.select(first, None)].split(1):
        selector.observe(piece, torch.ones(1))
    assert selector.select(torch.tensor([8, 3]), None).tolist() == [0]


def test_its_state_goes_on_in_the_middle_of_an_epoch():
    whole, half = Replay(N, 2, trace=trace()), Replay(N, 2, trace=trace())
    for selector in (whole, half):
        selector.plan_epoch(1)
        picked = selector.select(torch.tensor([9, 5, 0, 2]), None)
        selector.observe(torch.tensor([9, 5, 0, 2])[picked], torch.ones(2))
    file = io.BytesIO()
    torch.save(half.state_dict(), file)
    file.seek(0)
    resumed = Replay(N, 2, trace=trace())
    resumed.load_state_dict(torch.load(file, weights_only=True))
    resumed.plan_epoch(1)

    for selector in (whole, resumed):
        assert selector.select(torch.tensor([8, 3]), None).tolist() == [0]
    with pytest.raises(ValueError, match=r"^trace='"):
        Replay(N, 2, trace=trace(seed=4)).load_state_dict(half.state_dict())


def test_rows_that_the_other_run_had_not_picked_are_found_out():
    selector = Replay(N, 2, trace=trace())
    selector.plan_epoch(1)
    selector.select(torch.tensor([9, 5, 0, 3]), None)  # two were picked of another batch
    with pytest.raises(RuntimeError, match="1 rows were trained that the replayed run had not"):
        selector.check()


def test_the_sampler_visits_in_the_trace_s_order():
    sampler = PlannedBatchSampler(Replay(N, 2, trace=trace()), 4, seed=99)
    theirs = PlannedBatchSampler(create("baseline", N, 2), 4, seed=3)
    sampler.set_epoch(0)
    theirs.set_epoch(0)
    assert sampler.indices.tolist() == theirs.indices.tolist()


@pytest.mark.parametrize(
    ("n", "epochs", "batch", "ranks", "message"),
    [
        (9, 2, 4, 1, "replay num_samples=10: must be 9, as of this run"),
        (N, 3, 4, 1, "replay num_epochs=2: must be 3, as of this run"),
        (N, 2, 5, 1, "meta_batch_size=5: must be 4, as of the replayed run, which picked parts"),
        (N, 2, 4, 2, "world_size=2: must be 1, as of the replayed run, which picked parts"),
    ],
)
def test_what_does_not_fit_is_named(n, epochs, batch, ranks, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        PlannedBatchSampler(Replay(n, epochs, trace=trace()), batch, world_size=ranks)


def test_whole_batches_may_be_cut_anew_and_a_short_trace_ends():
    selector = Replay(N, 2, trace=trace(epochs=trace().epochs[:1]))
    sampler = PlannedBatchSampler(selector, 5)
    sampler.set_epoch(0)
    assert [len(ids) for ids in sampler] == [5, 5]
    with pytest.raises(
        ValueError, match=r"^epoch=1: must be below 1, the epochs that the replayed"
    ):
        sampler.set_epoch(1)


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"nonfinite": "skip"}, {"meta_batch_size": 8}, {"num_epochs": 3}]
)
def test_the_fingerprint_is_that_of_what_counts(change):
    assert trace(**change).fingerprint != trace().fingerprint
    assert trace(data="elsewhere", method="another").fingerprint == trace().fingerprint
    whole = trace().epochs[:1]
    cut_anew = trace(epochs=whole, meta_batch_size=5).fingerprint
    assert cut_anew == trace(epochs=whole).fingerprint  # nothing picked in batches


def test_it_is_no_method_and_asks_for_losses_nobody_has():
    with pytest.raises(ValueError, match=r"^method='replay': must be a method"):
        create("replay", N, 2)
    selector = create("es", N, 2)
    selector.plan_epoch(0)
    with pytest.raises(ValueError, match=r"^losses=None: must be "):
        selector.select(torch.arange(3), None)


def test_the_order_of_a_plan_does_not_change_that_of_the_visits():
    first, second = create("baseline", N, 2), create("baseline", N, 2)
    backwards = type(second.plan_epoch(0))(torch.arange(N).flip(0))
    second._make_plan = lambda _: backwards
    second._plan = None
    one, two = (PlannedBatchSampler(x, 4) for x in (first, second))
    one.set_epoch(0)
    two.set_epoch(0)
    assert one.indices.tolist() == two.indices.tolist()
