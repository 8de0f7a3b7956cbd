"""Prop. 2.1 and B.1: gradient flow on losses weighted by themselves, on convex problems.

L is the mean loss, p = loss / sum of losses, D the squared distance of the start from a minimiser
at which every loss is 0, Delta by how much weighting beats the mean at least (`margin`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from es_repro.theory.check import FLOAT64, Check

__all__ = ["Flow", "flow", "flows", "margin"]

Losses = Callable[[Tensor], Tensor]  # parameters [d] -> losses [n], convex, all 0 at one point


def margin(losses: Tensor) -> Tensor:
    """Delta of Prop. 2.1 for losses [n]: by how much weighting by loss beats the mean at least.

    (smallest loss above the mean - largest other one) * sum over those above of (p - 1/n), with
    p = loss / sum of losses; 0 where no loss is above the mean.
    """
    above = losses > losses.mean()
    if not bool(above.any()):
        return losses.new_zeros(())
    gap = losses[above].min() - losses[~above].max()
    share = losses / losses.sum() - 1 / len(losses)
    return gap * share[above].sum()


@dataclass(frozen=True)
class Flow:
    """What a flow did, a value a step: [steps] each."""

    mean_loss: Tensor
    margin: Tensor
    slope: Tensor  # d/ds of the squared distance to the minimiser
    squared_step: Tensor  # what an Euler step adds to that distance
    weighted_loss: Tensor
    distance: float  # squared, at the start


def flow(
    losses: Losses, start: Tensor, minimiser: Tensor, *, step: float, steps: int, weighted: bool
) -> Flow:
    """Integrate theta' = -sum of p grad l by Euler; p = loss / sum of losses, or 1/n.

    Args:
        losses: parameters [d] -> [n].
        start: [d] float64.
        minimiser: [d], where every loss is 0.
        step: of the integration.
        steps: how many.
        weighted: by loss, or uniformly.
    """
    theta, lines = start.clone(), []
    for _ in range(steps):
        theta.requires_grad_(True)
        values = losses(theta)
        fixed = values.detach()
        p = fixed / fixed.sum() if weighted else torch.full_like(fixed, 1 / len(fixed))
        (gradient,) = torch.autograd.grad((p * values).sum(), theta)
        theta = theta.detach()
        lines.append([
            fixed.mean(), margin(fixed), -2 * gradient @ (theta - minimiser),
            (step * gradient).square().sum(), (p * fixed).sum(),
        ])  # fmt: skip
        theta = theta - step * gradient
    mean, above, slope, added, weighed = torch.tensor(lines, dtype=torch.float64).T
    distance = float((start - minimiser).square().sum())
    return Flow(mean, above, slope, added, weighed, distance)


def _problems() -> Iterator[tuple[str, Losses, Tensor, Tensor, float]]:
    """Name, losses, start, minimiser, step: three convex problems with a common minimiser."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    design, truth = normal(20, 30), normal(30)
    target = design @ truth
    start = normal(30)
    # The minimisers form a space: the one nearest to the start is where the flow ends.
    nearest = start + torch.linalg.pinv(design) @ (target - design @ start)
    yield (
        "least squares, n = 20, d = 30",
        lambda theta: (design @ theta - target).square() / 2, start, nearest, 2e-3,
    )  # fmt: skip
    roots, common = normal(12, 6, 6), normal(6)
    yield (
        "12 quadratics with a common minimiser",
        lambda theta: (roots @ (theta - common)).square().sum(dim=1) / 2, normal(6), common, 2e-3,
    )  # fmt: skip
    points, direction = normal(40, 5), normal(5)
    signs = (points @ direction).sign()
    points = points + 0.5 * signs[:, None] * direction  # a gap, so that a short vector separates
    separator = direction / (signs * (points @ direction)).min()  # every margin is 1 or more there
    yield (
        "squared hinge on 40 separable points",
        lambda theta: (1 - signs * (points @ theta)).clamp(min=0).square() / 2,
        normal(5), separator, 4e-3,
    )  # fmt: skip


def flows() -> Iterator[Check]:
    """Prop. 2.1 and B.1 on three problems."""
    source = "Prop. 2.1, B.1"
    for name, losses, start, minimiser, step in _problems():
        steps = 1500
        found = flow(losses, start, minimiser, step=step, steps=steps, weighted=True)
        plain = flow(losses, start, minimiser, step=step, steps=steps, weighted=False)
        slack = -2 * (found.mean_loss + found.margin) - found.slope
        yield Check(
            source, f"B.4 ({name}): d/ds of the squared distance <= -2 (L + Delta)",
            f"smallest slack over {steps:,} steps: {float(slack.min()):.2e}",
            bool((slack >= -FLOAT64 * found.slope.abs().max()).all()),
        )  # fmt: skip
        excess = found.weighted_loss - found.mean_loss - found.margin
        yield Check(
            source, f"B.5 ({name}): the loss weighted by loss exceeds the mean by Delta > 0",
            f"smallest excess over Delta: {float(excess.min()):.2e}; "
            f"Delta from {float(found.margin.max()):.3g} to {float(found.margin.min()):.3g}",
            bool((excess >= -FLOAT64).all()) and bool((found.margin > 0).all()),
        )  # fmt: skip
        time = step * torch.arange(1, steps + 1, dtype=torch.float64)
        bound = (found.distance + found.squared_step.cumsum(0)) / (2 * time)
        bound = bound - step * found.margin.cumsum(0) / time
        average = step * found.mean_loss.cumsum(0) / time
        lowest = found.mean_loss.cummin(0).values
        share = float(found.squared_step.sum() / found.distance)
        yield Check(
            source,
            f"B.3 ({name}): mean over [0, s] of L, and so its minimum, <= D/(2s) - mean of Delta",
            f"at s = {float(time[-1]):.3g}: {float(average[-1]):.4g} <= {float(bound[-1]):.4g} "
            f"({100 * share:.1g}% of D added for Euler's steps); L at the end "
            f"{float(found.mean_loss[-1]):.3g}, uniform flow {float(plain.mean_loss[-1]):.3g}",
            bool((average <= bound + FLOAT64).all()) and bool((lowest <= average).all()),
        )  # fmt: skip
        yield Check(
            source, f"as printed ({name}): the bound at s holds for every s0 in [0, s]",
            f"s0 = 0: L = {float(found.mean_loss[0]):.4g}, bound {float(bound[-1]):.4g}",
            float(found.mean_loss[0]) <= float(bound[-1]), expected=False,
        )  # fmt: skip
