import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import order_positions

from es_repro.selection import create

INDEX = torch.arange(4)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((0.3, 2.0, 1.0, 0.7), [1, 2]),
        ((1.0, 1.0, 1.0, 1.0), [0, 1]),
        ((0.3, 2.0, 1.0, math.nan), [1, 2]),
        ((0.3, 2.0, 1.0, math.inf), [1, 2]),
        ((math.nan, 2.0, math.nan, math.nan), [0, 1]),
    ],
)
def test_the_largest_losses_by_hand(losses, expected):
    selector = create("order", 4, 10, batch_ratio=0.5, nonfinite="skip")
    assert selector.select(INDEX, torch.tensor(losses)).tolist() == expected


@given(losses=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=40))
@settings(deadline=None)
def test_ties_go_to_the_earlier_position(losses):
    selector = create("order", 40, 10)
    picked = selector.select(torch.arange(len(losses)), torch.tensor(losses))
    assert picked.tolist() == order_positions(losses, len(picked))


def test_nothing_is_random():
    losses = torch.rand(40)
    picks = [
        create("order", 40, 10, seed=seed).select(torch.arange(40), losses) for seed in range(3)
    ]
    assert picks[0].equal(picks[1])
    assert picks[1].equal(picks[2])
