"""One member of the bed is the engine's run of that seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from es_repro.build import build_engine, build_selector, load_data
from es_repro.judge.asked import selector_arm
from es_repro.judge.bed import Bed, Member
from es_repro.judge.workloads import WORKLOADS, digits_problem
from es_repro.parallel.bystander import Bystander
from es_repro.selection import Selector, create
from tests.selection.minimal import RATIO, LargestLosses

METHODS = ["baseline", "es", "eswp", "loss", "order", "infobatch", "ka", "ucb", "orderdp",
           "random_set", "random_batch"]  # fmt: skip
SEEDS, RATE, EPOCHS = (3, 4, 5), 0.05, 4


def watched(selector, log):
    """The selector, keeping what it planned and picked."""
    plan_epoch, select = selector.plan_epoch, selector.select

    def plan(epoch):
        planned = plan_epoch(epoch)
        log.append(("plan", planned.indices.tolist()))
        return planned

    def pick(index, losses, **signals):
        picked = select(index, losses, **signals)
        log.append(("pick", index[picked].tolist()))
        return picked

    selector.plan_epoch, selector.select = plan, pick
    return selector


def engine_run(config):
    data, log = load_data(config), []
    device = torch.device("cpu")
    selector = watched(build_selector(config, data.num_samples, EPOCHS, device), log)
    engine = build_engine(
        config, data=data, selector=selector, record=Bystander(), device=device, precision="fp32"
    )
    log.clear()  # of the rehearsal
    while not engine.finished:
        engine.train_epoch()
        engine.end_epoch()
    return engine, [entry for i, entry in enumerate(log) if entry not in log[:i]]


def workload_of(data):
    return replace(WORKLOADS["digits"], epochs=EPOCHS, load=lambda _: digits_problem(data))


@pytest.mark.parametrize("method", METHODS)
def test_one_seed_of_the_bed_is_the_engines_run(quick, method):
    overrides = (f"epochs={EPOCHS}", "subset=300", f"optimizer.lr={RATE}", "model.hidden=[64]")
    config = quick(f"method={method}", f"seed={SEEDS[1]}", *overrides)
    engine, theirs = engine_run(config)

    logs = {seed: [] for seed in SEEDS}

    def make(**run):
        return watched(instantiate(config.method)(**run), logs[run["seed"]])

    members = [Member(seed, RATE) for seed in SEEDS]
    bed = Bed(workload_of(load_data(config)), make, members)
    outcome = bed.run()

    assert [entry for i, entry in enumerate(logs[4]) if entry not in logs[4][:i]] == theirs
    ours = bed.models.member(1)
    for mine, parameter in zip(ours, engine.net.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.detach(), rtol=1e-4, atol=1e-6)
    assert outcome.steps[1] == engine.cost.optimizer_steps
    assert round(outcome.trained[1] * 300) == engine.cost.bp_samples
    forwarded = round((outcome.scored[1] + outcome.trained[1]) * 300)
    assert forwarded == engine.cost.forward_samples
    accuracy = 100 * engine.latest["accuracy"]
    assert outcome.scores[1].mean() == pytest.approx(accuracy, abs=1e-4)


class Uneven(Selector):
    """Trains on as many samples as its seed says: members differ in batches and in steps."""

    def _make_plan(self, generator):
        plan = super()._make_plan(generator)
        return replace(plan, indices=plan.indices[: 70 + 40 * self.seed])


def test_members_of_unlike_lengths_are_what_each_is_alone():
    workload = replace(WORKLOADS["digits"], epochs=3)
    members = [Member(seed, 0.1) for seed in range(3)]
    together = Bed(workload, Uneven, members)
    outcome = together.run()
    assert outcome.steps.tolist() == [3 * 2, 3 * 2, 3 * 3]
    for place, member in enumerate(members):
        alone = Bed(workload, Uneven, [member])
        scores = alone.run().scores
        for mine, theirs in zip(together.models.member(place), alone.models.member(0), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)
        assert np.array_equal(scores[0], outcome.scores[place])


def test_a_class_with_the_contract_alone_is_taken():
    workload = replace(WORKLOADS["digits"], epochs=2)
    members = [Member(seed, 0.1) for seed in range(2)]
    outcome = Bed(workload, LargestLosses, members).run()
    assert outcome.scored.tolist() == [2, 2]  # every sample, each epoch
    assert outcome.trained == pytest.approx([2 * RATIO, 2 * RATIO], abs=0.01)
    arm = selector_arm("tests.selection.minimal:LargestLosses", {})
    asked = Bed(workload, arm.make, members).run()
    assert np.array_equal(asked.scores, outcome.scores)


def test_a_member_that_diverges_leaves_the_others_alone():
    workload = replace(WORKLOADS["digits"], epochs=2)

    def make(**run):
        return create("es", **run)

    bed = Bed(workload, make, [Member(0, 0.1), Member(1, 1e9)])
    outcome = bed.run()
    alone = Bed(workload, make, [Member(0, 0.1)]).run()
    assert bed.alive.tolist() == [True, False]
    assert not outcome.scores[1].any()
    assert np.array_equal(outcome.scores[0], alone.scores[0])


def test_where_all_members_diverge_while_they_score_the_runs_end_as_the_worst():
    bed = Bed(replace(WORKLOADS["digits"], epochs=4), lambda **run: create("es", **run),
              [Member(0, 1e9), Member(1, 1e9)])  # fmt: skip
    assert not bed.run().scores.any()
    assert not bed.alive.any()
