"""How often the verdicts err, and whether they find what was promised, on made-up results."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from es_repro.judge.arms import FRONTIER, baseline_at, random_at, short_of
from es_repro.judge.bed import Outcome
from es_repro.judge.findings import decisions_of
from es_repro.judge.pilot import question
from es_repro.judge.planning import SeedPlan, plan_seeds
from es_repro.judge.trial import Lane, Trial
from tests.judge.toy import TOY

SEEDS, EXAMPLES, TRIALS = 20, 60, 200
METHODS = ("one", "two")
SHORT_LOSS = 4.0


def table(generator, mean, seeds=SEEDS, examples=EXAMPLES, by_seed=1.0, by_example=1.0, noise=6.0):
    """[seeds, examples] of an arm: what seeds and examples do to it alone, and the rest."""
    return (
        mean
        + by_seed * generator.standard_normal((seeds, 1))
        + by_example * generator.standard_normal((1, examples))
        + noise * generator.standard_normal((seeds, examples))
    )


def made_up(generator, resolution, short_loss=SHORT_LOSS):
    """A trial whose methods are the whole baseline by another name."""
    workload = replace(TOY, epochs=18)
    short, cost = short_of(0.63, workload).name, 0.63
    sets, batches = (random_at(cost, level, workload).name for level in ("set", "batch"))
    means = {baseline_at(share).name: 90.0 - short_loss * (share < 1) for share in FRONTIER}
    means |= {sets: 90.0, batches: 90.0, "history": 90.0} | dict.fromkeys(METHODS, 90.0)
    lanes = {}
    for name, mean in means.items():
        costs = np.full(SEEDS, 18.0)
        outcome = Outcome(table(generator, mean), 0 * costs, costs, costs, 0.0, 0.0)
        lanes[name] = Lane(SimpleNamespace(name=name), SimpleNamespace(), outcome)
    plan = SeedPlan(SEEDS, resolution, resolution, 2 * len(METHODS), SEEDS, 1.0, 0.0)
    return Trial(
        workload, plan, lanes, METHODS, dict.fromkeys(METHODS, short),
        dict.fromkeys(METHODS, sets), dict.fromkeys(METHODS, batches), "history", {}, {},
    )  # fmt: skip


def test_identical_arms_seldom_get_a_word_that_parts_them():
    """At most 5% of trials may call any method better or worse than the baseline it equals.

    200 trials, so that 10 are expected at most; above 20 has a chance of 0.1%.
    """
    generator, alarms, equal = np.random.default_rng(0), 0, 0
    for _ in range(TRIALS):
        decisions, primary = decisions_of(made_up(generator, 1.0))
        words = [decisions[method, "baseline"].word for method in METHODS]
        assert {(method, "baseline") for method in METHODS} <= primary
        alarms += bool({"better", "worse"} & set(words))
        equal += words.count("equivalent")
    assert alarms <= 20
    assert equal > TRIALS  # short loses 4 points, and that these arms lose none is mostly seen


def test_exploratory_words_err_no_more_than_their_level():
    """Random at equal cost equals the method: 5% each, 400 comparisons, 3.5 standard errors."""
    generator, alarms = np.random.default_rng(1), 0
    for _ in range(TRIALS):
        decisions, _ = decisions_of(made_up(generator, 1.0))
        alarms += sum(decisions[x, "random_set"].word in ("better", "worse") for x in METHODS)
    assert alarms / (2 * TRIALS) < 0.05 + 3.5 * (0.05 * 0.95 / (2 * TRIALS)) ** 0.5


def test_a_plan_asks_for_as_many_seeds_as_the_spread_and_the_family_need():
    generator = np.random.default_rng(3)
    pilot = [table(generator, 90.0, seeds=8, by_example=0.0) for _ in range(3)]

    def plan(wanted, contrasts=1, measured=False, most=500):
        asked = question(pilot[0], pilot[2], pilot[1] if measured else None)
        return plan_seeds(
            [asked] * contrasts, [], examples=EXAMPLES, fixed=None, most=most, wanted=wanted
        )

    plans = [plan(2.0), plan(1.0)]
    assert plans[0].resolution <= 2.0
    assert plans[1].resolution <= 1.0
    assert plans[1].seeds > 2.5 * plans[0].seeds  # four times, less what 10% steps overshoot
    many = plan(2.0, contrasts=16)
    assert many.seeds > 1.3 * plans[0].seeds  # by normal quantiles (4.01 / 2.93) ** 2 = 1.9
    assert plan(2.0, contrasts=16, measured=True).seeds > 1.2 * many.seeds
    assert "on the average over 16 contrasts and corrected for all" in many.statement(3)
    short = plan(0.1, most=12)
    assert short.seeds == 12
    assert "(0.1 was wanted)" in short.statement(3)
