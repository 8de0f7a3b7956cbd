"""Subsets, validation cuts and label noise: laws, seeds and limits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from es_repro.data import DataDamaged
from es_repro.data.cuts import Choice, choose, mislabel, stratified
from es_repro.data.images import Source
from es_repro.selection import stream

DRAWS = 40_000


def source(targets, origin="somewhere"):
    """Every image is one pixel that holds its row number."""
    targets = torch.as_tensor(targets)
    pixels = torch.arange(len(targets), dtype=torch.uint8).view(-1, 1, 1, 1)
    return Source(origin, targets, lambda rows: pixels[rows])


@pytest.fixture
def train():
    return source(torch.arange(100) % 4)


@pytest.fixture
def test():
    return source(torch.arange(12) % 4)


def rows(images):
    return images.images.flatten().tolist()


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.data())
def test_a_stratified_draw_is_proportional_to_within_one(labels, data):
    targets = torch.tensor(labels)
    count = data.draw(st.integers(0, len(labels)))
    drawn = stratified(targets, count, stream(0, "subset", 0))
    assert len(drawn) == count
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    ideal = targets.bincount() * count / len(labels)
    got = targets[drawn].bincount(minlength=len(ideal))
    assert ((got - ideal).abs() < 1).all()


def test_a_stratified_draw_takes_every_sample_equally_often():
    targets, hits, draws = torch.arange(12) % 3, torch.zeros(12), 4000
    for epoch in range(draws):
        hits[stratified(targets, 3, stream(0, "subset", epoch))] += 1
    tolerance = 5 * (0.25 * 0.75 / draws) ** 0.5  # false alarm < 6e-7 per sample
    assert ((hits / draws - 0.25).abs() < tolerance).all()


def test_the_test_split_is_left_alone(train, test):
    kept, held = choose(train, test, Choice(subset=8, label_noise=0.9), num_classes=4)
    assert len(kept) == 8
    assert rows(held) == list(range(12))
    assert torch.equal(held.targets, test.targets)


def test_a_validation_cut_is_not_trained_on_and_has_clean_labels(train, test):
    choice = Choice(split="validation", validation=0.2, label_noise=1.0)
    kept, held = choose(train, test, choice, num_classes=4)
    assert sorted(rows(kept) + rows(held)) == list(range(100))
    assert held.targets.bincount().tolist() == [5] * 4
    assert torch.equal(held.targets, train.targets[rows(held)])
    assert (kept.targets != train.targets[rows(kept)]).all()


def test_the_cut_does_not_depend_on_the_subset(train, test):
    cuts = [
        choose(train, test, Choice(split="validation", subset=subset), num_classes=4)[1]
        for subset in (None, 8, 0.5)
    ]
    assert rows(cuts[0]) == rows(cuts[1]) == rows(cuts[2])


def test_a_sample_keeps_its_label_in_every_subset(train, test):
    whole, _ = choose(train, test, Choice(label_noise=0.5), num_classes=4)
    part, _ = choose(train, test, Choice(label_noise=0.5, subset=40), num_classes=4)
    assert torch.equal(part.targets, whole.targets[rows(part)])
    assert not torch.equal(whole.targets, train.targets)


def test_a_share_is_rounded_half_up_and_counts_as_much_as_a_number(train, test):
    by_share, _ = choose(train, test, Choice(subset=0.125), num_classes=4)  # 12.5 of 100
    by_count, _ = choose(train, test, Choice(subset=13), num_classes=4)
    assert rows(by_share) == rows(by_count)


def test_the_keys_are_the_seeds(train, test):
    def picked(**seeds):
        kept, _ = choose(train, test, Choice(subset=40, label_noise=0.5, **seeds), num_classes=4)
        return rows(kept), kept.targets.tolist()

    assert picked() == picked(subset_seed=0, noise_seed=0)
    assert picked()[0] != picked(subset_seed=1)[0]
    assert picked()[0] == picked(noise_seed=1)[0]
    assert picked()[1] != picked(noise_seed=1)[1]


def test_only_the_chosen_rows_are_decoded(train, test):
    decoded = []

    def decode(rows):
        decoded.append(len(rows))
        return train.decode(rows)

    choose(Source("", train.targets, decode), test, Choice(subset=8), num_classes=4)
    assert decoded == [8]


def test_noise_flips_to_the_other_classes_uniformly():
    noise, num_classes = 0.3, 5
    targets = torch.full((DRAWS,), 2)
    shares = mislabel(targets, noise, num_classes, stream(0, "noise", 0)).bincount() / DRAWS
    expected = torch.tensor([0.075, 0.075, 0.7, 0.075, 0.075])
    tolerance = 5 * (expected * (1 - expected) / DRAWS).sqrt()  # false alarm < 6e-7 per class
    assert ((shares - expected).abs() < tolerance).all()


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_noise_of_none_and_of_all(noise):
    targets = torch.arange(50) % 2
    flipped = mislabel(targets, noise, 2, stream(0, "noise", 0))
    assert torch.equal(flipped, targets if noise == 0 else 1 - targets)


def test_the_samples_with_a_wrong_label_are_known(train, test):
    noisy, held = choose(train, test, Choice(subset=40, label_noise=0.5), num_classes=4)
    assert torch.equal(noisy.corrupted, noisy.targets != train.targets[rows(noisy)])
    assert 0 < int(noisy.corrupted.sum()) < 40
    assert held.corrupted is None
    clean, _ = choose(train, test, Choice(subset=40), num_classes=4)
    assert clean.corrupted is None


def test_more_noise_flips_more_of_the_same():
    targets = torch.arange(200) % 4
    few, many = (mislabel(targets, noise, 4, stream(0, "noise", 0)) for noise in (0.2, 0.6))
    flipped = few != targets
    assert torch.equal(many[flipped], few[flipped])


@pytest.mark.parametrize(
    ("subset", "shown"),
    [(0, "0"), (3, "3"), (101, "101"), (0.0, "0.0"), (0.01, "0.01"), (1.5, "1.5"), (True, "True"),
     (float("nan"), "nan"), ("8", "'8'")],
)  # fmt: skip
def test_a_bad_subset_is_named(train, test, subset, shown):
    allowed = r"a count in \[4, 100\], or a share in \(0, 1\] of at least 4"
    with pytest.raises(ValueError, match=rf"^subset={shown}: must be {allowed}$"):
        choose(train, test, Choice(subset=subset), num_classes=4)


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("split", "train", "'test' or 'validation'"),
        ("validation", 0.0, "in (0, 1)"),
        ("validation", 1.0, "in (0, 1)"),
        ("label_noise", -0.1, "in [0, 1]"),
        ("label_noise", 1.1, "in [0, 1]"),
        ("subset_seed", 0.5, "an integer"),
        ("noise_seed", None, "an integer"),
    ],
)
def test_a_bad_value_is_named(argument, value, allowed):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole line is compared
        Choice(**{argument: value})
    assert str(caught.value) == f"{argument}={value!r}: must be {allowed}"


def test_a_cut_that_leaves_nothing_is_named(train, test):
    choice = Choice(split="validation", validation=0.001)
    with pytest.raises(ValueError, match=r"^validation=0\.001: must be a share that leaves"):
        choose(train, test, choice, num_classes=4)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([], "holds no rows"),
        ([0, 1, 2, 4], "labels run from 0 to 4, not within 0..3"),
        ([-1, 0, 1, 2, 3], "labels run from -1 to 3"),
        ([0, 1, 2, 2], "3 of 4 classes have rows"),
    ],
)
def test_labels_of_another_data_set_are_refused(test, targets, words):
    broken = source(torch.tensor(targets, dtype=torch.int64), "a/train.parquet")
    with pytest.raises(DataDamaged, match=rf"^a/train\.parquet: {words}"):
        choose(broken, test, Choice(), num_classes=4)
