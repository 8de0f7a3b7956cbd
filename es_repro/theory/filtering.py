"""Prop. 3.1, Thm. 3.2, Prop. B.2: what Eq. 3.1 does to a sequence of losses.

Written for losses l(1), l(2), ... of one sample, s(0) the initial score, b1 and b2 the betas.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from es_repro.selection import create
from es_repro.theory.check import FLOAT32, FLOAT64, Check

__all__ = ["ascent", "continuous_gain", "discrete_gain", "identity", "transfer"]

BETAS = ((0.2, 0.9), (0.2, 0.8), (0.5, 0.9), (0.8, 0.9), (0.0, 0.0), (0.9, 0.9), (0.7, 0.3))
PERIODS = (2, 3, 5, 12, 60)  # of the waves, in visits
_COMMON, _SETTLED = 60, 240  # a multiple of all of them; 0.9^240 is 1e-11


def _visits(losses: Tensor, beta1: float, beta2: float) -> Tensor:
    """Weights of the library's selector after each step; losses [t, n] -> [t, n]."""
    steps, samples = losses.shape
    selector = create(
        "es", samples, steps, beta1=beta1, beta2=beta2, batch_ratio=0.5,
        annealing_start=0, annealing_end=0,
    )  # fmt: skip
    index, weights = torch.arange(samples), []
    for step in range(steps):
        selector.plan_epoch(step)
        selector.select(index, losses[step])
        assert selector.weights is not None  # ES keeps them
        weights.append(selector.weights.clone())
    return torch.stack(weights).double()


def _recursion(losses: Tensor, beta1: float, beta2: float, initial: float) -> tuple[Tensor, Tensor]:
    """Eq. 3.1 in float64: weights and scores [t, n]."""
    score, weights, scores = torch.full_like(losses[0], initial), [], []
    for loss in losses:
        weights.append(beta1 * score + (1 - beta1) * loss)
        score = beta2 * score + (1 - beta2) * loss
        scores.append(score)
    return torch.stack(weights), torch.stack(scores)


def _two_sums(losses: Tensor, beta1: float, beta2: float, initial: float) -> tuple[Tensor, Tensor]:
    """Right side of Eq. 3.2 without its remainder, and the remainder R: [t, n] each."""
    sums, remainders = [], []
    for t in range(1, len(losses) + 1):
        past = losses[:t]
        decay = beta2 ** torch.arange(t - 1, -1, -1, dtype=torch.float64)
        averaged = (1 - beta2) * (decay[:, None] * past).sum(dim=0)
        changes = (decay[1:, None] * past.diff(dim=0)).sum(dim=0)
        sums.append(averaged + (beta2 - beta1) * changes)
        remainders.append(
            beta2**t * initial + (beta2 - beta1) * beta2 ** (t - 1) * (past[0] - initial)
        )
    return torch.stack(sums), torch.stack(remainders)


def identity() -> Iterator[Check]:
    """Prop. 3.1."""
    generator = torch.Generator().manual_seed(1)
    losses = torch.rand(40, 50, generator=generator, dtype=torch.float64) * 3
    initial = 1 / losses.shape[1]
    worst, worst_library = 0.0, 0.0
    for beta1, beta2 in BETAS:
        sums, rest = _two_sums(losses, beta1, beta2, initial)
        exact, _ = _recursion(losses, beta1, beta2, initial)
        found = _visits(losses, beta1, beta2)
        worst = max(worst, _distance(exact, sums + rest))
        worst_library = max(worst_library, _distance(found, sums + rest))
    yield Check(
        "Prop. 3.1", "w(t) is the two sums of Eq. 3.2 plus R = b2^t s0 + (b2-b1) b2^(t-1) (l1-s0)",
        f"largest relative error for {len(BETAS)} pairs of betas, 40 steps: {worst:.1e} in "
        f"float64, {worst_library:.1e} for the library's selector (float32)",
        worst < FLOAT64 and worst_library < FLOAT32,
    )  # fmt: skip
    sums, rest = _two_sums(losses, 0.2, 0.9, initial)
    exact, _ = _recursion(losses, 0.2, 0.9, initial)
    share = (rest[9].abs() / exact[9]).mean()
    yield Check(
        "Prop. 3.1", "the remainder O(b2^t) can be left out after 10 visits, betas (0.2, 0.9)",
        f"it is {100 * float(share):.0f}% of w(10) in the mean", float(share) < 0.01,
        expected=False,
    )  # fmt: skip


def continuous_gain(frequency: float, beta1: float, beta2: float) -> float:
    """Thm. 3.2: how much of an oscillation of the loss reaches the weight.

    Args:
        frequency: angular, in radians a step.
        beta1: share of the history in the weight.
        beta2: memory of the average.
    """
    squared, leak = frequency**2, (1 - beta2) ** 2
    gain: float = (((beta2 - beta1) ** 2 * squared + leak) / (squared + leak)) ** 0.5
    return gain


def discrete_gain(frequency: float, beta1: float, beta2: float) -> float:
    """The same for Eq. 3.1 as it is computed: |1 - b1 + b1 (1 - b2) / (z - b2)|, z = e^(i w)."""
    z = complex(torch.polar(torch.tensor(1.0).double(), torch.tensor(frequency).double()).item())
    return abs(1 - beta1 + beta1 * (1 - beta2) / (z - beta2))


def _response(beta1: float, beta2: float) -> Tensor:
    """Amplitude of the library's weights over that of a loss 1 + cos(w t): [periods]."""
    frequency = 2 * torch.pi / torch.tensor(PERIODS, dtype=torch.float64)
    time = torch.arange(1, _SETTLED + _COMMON + 1, dtype=torch.float64)[:, None]
    losses = 1 + torch.cos(frequency * time)
    kept = _visits(losses, beta1, beta2)[_SETTLED:]
    wave = torch.polar(torch.ones_like(losses), -frequency * time)[_SETTLED:]
    ours = ((kept - kept.mean(dim=0)) * wave).mean(dim=0).abs()
    return ours / ((losses[_SETTLED:] - 1) * wave).mean(dim=0).abs()


def transfer() -> Iterator[Check]:
    """Thm. 3.2, and the discrete filter that is computed."""
    source = "Thm. 3.2"
    frequencies = [10 ** (k / 8) for k in range(-24, 25)]
    gains = {b: [continuous_gain(w, *b) for w in frequencies] for b in BETAS}
    yield Check(
        source, "the continuous gain never exceeds 1 and tends to |b2 - b1|",
        f"largest over 49 frequencies and {len(BETAS)} pairs: "
        f"{max(map(max, gains.values())):.6f}; at w = 1000, largest distance from |b2 - b1|: "
        f"{max(abs(g[-1] - abs(b[1] - b[0])) for b, g in gains.items()):.1e}",
        max(map(max, gains.values())) <= 1 + FLOAT64
        and all(abs(g[-1] - abs(b[1] - b[0])) < 1e-3 for b, g in gains.items()),
    )  # fmt: skip
    responses = {b: _response(*b).tolist() for b in BETAS}
    errors = [
        abs(found - discrete_gain(2 * torch.pi / period, *b))
        for b, row in responses.items()
        for period, found in zip(PERIODS, row, strict=True)
    ]
    yield Check(
        source, "Eq. 3.1 as computed has the gain |1 - b1 + b1 (1-b2) / (e^(iw) - b2)|",
        f"the library's selector under waves of {len(PERIODS)} periods, {len(BETAS)} pairs: "
        f"largest error {max(errors):.1e}", max(errors) < FLOAT32,
    )  # fmt: skip
    tops = {b: abs(1 + b[1] - 2 * b[0]) / (1 + b[1]) for b in BETAS}
    worst = max(abs(responses[b][0] - top) for b, top in tops.items())
    yield Check(
        source, "at the highest frequency (period 2) it is |1 + b2 - 2 b1| / (1 + b2)",
        "; ".join(f"{b}: {responses[b][0]:.3f}" for b in BETAS[:4]) + f"; error {worst:.1e}",
        worst < FLOAT32,
    )  # fmt: skip
    low = max(
        abs(continuous_gain(0.01, *b) - discrete_gain(0.01, *b)) for b in BETAS[:4]
    )  # fmt: skip
    yield Check(
        source, "at low frequencies (w = 0.01) the continuous gain is that of Eq. 3.1",
        f"largest difference: {low:.1e}", low < 1e-2,
    )  # fmt: skip
    gaps = {b: tops[b] - abs(b[1] - b[0]) for b in BETAS[:5]}
    yield Check(
        source, "at the highest frequency the continuous limit |b2 - b1| is that of Eq. 3.1",
        "; ".join(f"{b}: {abs(b[1] - b[0]):.3f}, computed {tops[b]:.3f}" for b in gaps),
        max(map(abs, gaps.values())) < FLOAT32, expected=False,
    )  # fmt: skip


def ascent() -> Iterator[Check]:
    """Prop. B.2: the weights as steps of ascent on a reference-corrected loss."""
    generator = torch.Generator().manual_seed(2)
    losses = torch.rand(30, 40, generator=generator, dtype=torch.float64) * 2
    initial = 1 / losses.shape[1]
    worst, worst_library = 0.0, 0.0
    for beta1, beta2 in BETAS:
        exact, scores = _recursion(losses, beta1, beta2, initial)
        found = _visits(losses, beta1, beta2)
        earlier = torch.cat([torch.full_like(losses[:1], initial), scores[:-1]])
        reference = (
            (1 - 2 * beta1 + beta1 * beta2) * losses + beta1 * (1 - beta2) * earlier
        ) / (1 - beta1)  # fmt: skip
        ascended = exact[:-1] + (1 - beta1) * (losses[1:] - reference[:-1])
        worst = max(worst, _distance(exact[1:], ascended))
        worst_library = max(worst_library, _distance(found[1:], ascended))
    yield Check(
        "Prop. B.2", "ascent of size 1 - b1 on loss - reference gives the next w of Eq. 3.1",
        f"largest relative error for {len(BETAS)} pairs of betas (b1 < 1), 30 steps: {worst:.1e} "
        f"in float64, {worst_library:.1e} for the library's selector (float32)",
        worst < FLOAT64 and worst_library < FLOAT32,
    )  # fmt: skip


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())
