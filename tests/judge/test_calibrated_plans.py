"""What plans made on six or eight pilot seeds promise, and what the runs then deliver."""

from dataclasses import dataclass

import numpy as np
import pytest

from es_repro.judge.pilot import Noise, question
from es_repro.judge.planning import LEVEL, POWER, margin_for, plan_seeds
from es_repro.statistics import Design, power

BASELINE = 0.2  # spread over seeds of the baseline and of `short`
SEEDS = 60
# Weights of method, baseline and short in the contrasts of the two primary questions.
LOWER, UPPER, AGAINST_SHORT = (1, -0.5, -0.5), (1, -1.5, 0.5), (1, 0, -1)


@dataclass(frozen=True)
class World:
    """True spreads of the arms over seeds, and the variance of a single row's score in a run."""

    methods: tuple[float, ...]
    controls: tuple[float, ...] = (BASELINE,) * 6
    both: float = 0.0
    pilot_rows: int = 1
    rows: int = 1

    def pilot(self, generator, seeds):
        """Primary questions and the other arms' differences, from one pilot."""

        def arm(spread):
            rows = generator.standard_normal((seeds, self.pilot_rows))
            return spread * generator.standard_normal((seeds, 1)) + self.both**0.5 * rows

        baseline, short = arm(BASELINE), arm(BASELINE)
        questions = []
        for method in (arm(spread) for spread in self.methods):
            questions += [question(method, baseline, short), question(method, short)]
        others = [short, *(arm(spread) for spread in self.controls)]
        return questions, [question(other, baseline)[0] for other in others]

    def variance(self, method, weights):
        """Of a contrast over seeds, where it is reported."""
        arms = [spread**2 + self.both / self.rows for spread in (method, BASELINE, BASELINE)]
        return sum(w**2 * arm for w, arm in zip(weights, arms, strict=True))

    def delivered(self, margin, seeds):
        """The power of the primary questions where nothing else is found, on the average."""
        level = 1 - (1 - LEVEL) / (2 * len(self.methods))

        def one_sided(method, weights):
            design = Design(self.variance(method, weights) ** 0.5, seeds)
            return power(design, "non-inferior", margin=margin, level=level)

        found = []
        for method in self.methods:
            for pair in ((LOWER, UPPER), (AGAINST_SHORT,) * 2):
                found.append(max(0.0, sum(one_sided(method, x) for x in pair) - 1))
        return np.mean(found)

    def best(self, seeds):
        """The resolution that a plan would promise if it knew the spreads."""

        def noise(method, weights):
            return Noise(np.array([self.variance(method, weights)]))

        pairs = ((LOWER, UPPER), (AGAINST_SHORT,) * 2)
        return margin_for(
            [tuple(noise(x, each) for each in pair) for x in self.methods for pair in pairs], seeds
        )


def plans(world, pilot_seeds, count, **asked):
    generator = np.random.default_rng(pilot_seeds)
    return [
        plan_seeds(*world.pilot(generator, pilot_seeds), examples=world.rows, **asked)
        for _ in range(count)
    ]


ONE = World((0.2,))
UNSTABLE = World((1.0,))  # a method that spreads as no other arm does
ALIKE = World((0.2,) * 8)
UNLIKE = World((0.1, 0.1, 0.15, 0.2, 0.2, 0.3, 0.3, 0.9), (0.1, 0.2, 0.2, 0.3, 0.4, 0.2))


@pytest.mark.slow
@pytest.mark.parametrize("pilot_seeds", [6, 8])
@pytest.mark.parametrize(
    ("world", "count"), [(ONE, 300), (UNSTABLE, 300), (ALIKE, 80), (UNLIKE, 80)]
)
def test_the_promise_is_kept_within_5_points_and_is_not_too_coarse(world, count, pilot_seeds):
    """On the average over pilots, whose standard error is 1.5 points at most.

    A bound that holds the largest spread with 80% promises 1.4 to 4 times what could be.
    """
    made = plans(world, pilot_seeds, count, fixed=SEEDS, most=SEEDS, wanted=0.2)
    kept = [world.delivered(plan.resolution, SEEDS) for plan in made]
    assert np.mean(kept) == pytest.approx(POWER, abs=0.05)
    coarse = np.array([plan.resolution for plan in made]) / world.best(SEEDS)
    assert 0.95 < np.mean(coarse) < 1.3


@pytest.mark.slow
@pytest.mark.parametrize("pilot_seeds", [6, 8])
@pytest.mark.parametrize("methods", [1, 8])
def test_fewer_rows_in_the_pilot_do_not_pass_for_spread(methods, pilot_seeds):
    """As on features of CIFAR-10: most of what a pilot sees is the noise of its few rows.

    How much of it is not, so few seeds do not know: up to a tenth more is delivered than promised.
    """
    world = World((BASELINE,) * methods, both=18.0, pilot_rows=400, rows=1_000)
    count = 200 // methods
    made = plans(world, pilot_seeds, count, fixed=SEEDS, most=SEEDS, wanted=0.2)
    kept = [world.delivered(plan.resolution, SEEDS) for plan in made]
    assert POWER - 0.05 < np.mean(kept) < POWER + 0.1
    assert np.mean([plan.resolution for plan in made]) < 1.25 * world.best(SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("pilot_seeds", [6, 8])
def test_no_more_seeds_are_asked_for_than_the_resolution_takes(pilot_seeds):
    made = plans(ALIKE, pilot_seeds, 40, fixed=None, most=2_000, wanted=0.15)
    assert np.mean([ALIKE.delivered(0.15, x.seeds) for x in made]) == pytest.approx(POWER, abs=0.06)
    enough = next(seeds for seeds in range(10, 2_000) if ALIKE.best(seeds) <= 0.15)
    assert np.mean([plan.seeds for plan in made]) < 1.3 * enough


def test_a_method_that_is_the_baseline_bit_for_bit_takes_no_seeds():
    scores = np.random.default_rng(0).normal(90, 1, (6, 50))
    asked = {"fixed": None, "most": 200, "wanted": 0.2}
    plan = plan_seeds([question(scores, scores)] * 2, [], examples=50, **asked)
    assert (plan.seeds, plan.resolution) == (10, 0.0)
