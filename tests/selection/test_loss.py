import math

import pytest
import torch
from reference import inclusion

from es_repro.selection import create


def test_the_draw_follows_the_current_losses():
    selector, draws = create("loss", 4, 10, batch_ratio=0.5), 10_000
    losses = torch.tensor([1.0, 2, 3, 4])
    hits = sum(selector.select(torch.arange(4), losses).bincount(minlength=4) for _ in range(draws))
    for share, wanted in zip((hits / draws).tolist(), inclusion((1, 2, 3, 4), 2), strict=True):
        # Five sigma: false alarm below 6e-7 an item.
        assert abs(share - wanted) < 5 * math.sqrt(wanted * (1 - wanted) / draws)


def test_it_selects_in_every_epoch_and_remembers_nothing():
    selector = create("loss", 4, 10)
    for epoch in (0, 9):
        assert selector.plan_epoch(epoch).indices.tolist() == [0, 1, 2, 3]
        assert selector.selects_batches
    assert selector.weights is None


def test_permuting_the_batch_permutes_the_law():
    losses, order = torch.tensor([1.0, 5.0, 2.0, 0.5]), torch.tensor([2, 0, 3, 1])
    counts = []
    for permuted in (losses, losses[order]):
        selector = create("loss", 4, 10, batch_ratio=0.5, seed=len(counts))
        picks = [selector.select(torch.arange(4), permuted) for _ in range(4_000)]
        counts.append(torch.cat(picks).bincount(minlength=4) / 4_000)
    # Five sigma of a difference of two shares: false alarm below 6e-7 an item.
    assert ((counts[0][order] - counts[1]).abs() < 5 * math.sqrt(0.5 / 4_000)).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_loss_is_drawn_last(bad):
    selector = create("loss", 4, 10, batch_ratio=0.66, nonfinite="skip")
    for _ in range(20):
        losses = torch.tensor([bad, 0.0, 1.0, 2.0])
        assert selector.select(torch.arange(4), losses).tolist() == [1, 2, 3]
