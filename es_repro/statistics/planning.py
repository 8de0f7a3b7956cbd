"""What a number of seeds can decide, before the runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

__all__ = [
    "Claim", "Design", "detectable", "power", "resolution", "seeds_for_power",
    "seeds_for_resolution",
]  # fmt: skip

# What a planned test would claim: unequal (two-sided); not below -margin; within +-margin (TOST).
Claim = Literal["differs", "non-inferior", "equivalent"]

_MOST_SEEDS = 1_000_000
_QUANTILES = 1_000  # of the spread that an experiment will happen to find


@dataclass(frozen=True)
class Design:
    """A comparison of two arms.

    Args:
        standard_deviation: paired: of the differences seed by seed; else: of an arm's values.
        seeds: in each arm, two or more.
        paired: whether the arms share their seeds.
    """

    standard_deviation: float
    seeds: int
    paired: bool = True

    def __post_init__(self) -> None:
        if self.seeds < 2 or not self.standard_deviation >= 0:
            raise ValueError(f"{self}: must have two seeds or more and a spread of 0 or more")

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return (self.seeds - 1) * (1 if self.paired else 2)

    @property
    def standard_error(self) -> float:
        """Of the difference of the arms' means."""
        return self.standard_deviation * ((1 if self.paired else 2) / self.seeds) ** 0.5


def resolution(design: Design, level: float = 0.95) -> float:
    """Half-width of the interval of the difference: the x of "undecided at +-x"."""
    return float(stats.t.ppf((1 + level) / 2, design.dof)) * design.standard_error


def detectable(design: Design, level: float = 0.95, wanted_power: float = 0.8) -> float:
    """The smallest true difference that the two-sided test finds with this power."""
    low, high = 0.0, 100 * max(resolution(design, level), np.finfo(float).tiny)
    for _ in range(60):
        middle = (low + high) / 2
        enough = power(design, "differs", effect=middle, level=level) >= wanted_power
        low, high = (low, middle) if enough else (middle, high)
    return high


def power(
    design: Design,
    claim: Claim,
    *,
    effect: float = 0.0,
    margin: float = 0.0,
    level: float = 0.95,
) -> float:
    """The chance that the planned test makes its claim.

    Exact for normal values: the mean's law is averaged over the law of the spread that will be
    found (chi-square, by its quantiles), so that it also holds where a TOST cannot be significant
    for a large spread, which the usual noncentral-t formula misses.

    Args:
        design: arms and seeds.
        claim: what is tested, at 1 - level; one-sided tests at 1 - level each.
        effect: the true difference.
        margin: of "non-inferior" and "equivalent", at least 0.
        level: of confidence.
    """
    error = design.standard_error
    if error == 0:
        inside = {
            "differs": effect != 0, "non-inferior": effect > -margin,
            "equivalent": abs(effect) < margin,
        }  # fmt: skip
        return float(inside[claim])
    shares = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    found = error * np.sqrt(stats.chi2.ppf(shares, design.dof) / design.dof)
    if claim == "differs":
        reach = stats.t.ppf((1 + level) / 2, design.dof) * found
        chance = stats.norm.sf((reach - effect) / error) + stats.norm.cdf((-reach - effect) / error)
    else:
        reach = stats.t.ppf(level, design.dof) * found
        chance = stats.norm.sf((reach - margin - effect) / error)
        if claim == "equivalent":
            chance = chance - stats.norm.sf((margin - reach - effect) / error)
    return float(np.maximum(chance, 0).mean())


def seeds_for_resolution(
    standard_deviation: float, wanted: float, *, paired: bool = True, level: float = 0.95
) -> int:
    """The smallest number of seeds an arm whose interval is no wider than +-`wanted`."""
    if not wanted > 0:
        raise ValueError(f"wanted={wanted}: must be above 0")
    return _smallest(
        lambda n: resolution(Design(standard_deviation, n, paired), level) <= wanted, f"+-{wanted}"
    )


def seeds_for_power(
    standard_deviation: float,
    claim: Claim,
    *,
    effect: float = 0.0,
    margin: float = 0.0,
    paired: bool = True,
    level: float = 0.95,
    wanted_power: float = 0.8,
) -> int:
    """The smallest number of seeds an arm with which the test has this power."""
    return _smallest(
        lambda n: (
            power(
                Design(standard_deviation, n, paired),
                claim, effect=effect, margin=margin, level=level,
            )
            >= wanted_power
        ),
        f"a power of {wanted_power}",
    )  # fmt: skip


def _smallest(enough: Callable[[int], bool], wanted: str) -> int:
    """The smallest n >= 2 that is enough, by doubling and halving."""
    high = 2
    while not enough(high):
        high *= 2
        if high > _MOST_SEEDS:
            raise ValueError(f"{wanted}: no number of seeds up to {_MOST_SEEDS} reaches it")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
