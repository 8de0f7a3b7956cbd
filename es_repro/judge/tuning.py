"""A learning rate for every arm, by one rule: one grid, extended until the best is interior."""

from collections.abc import Sequence
from dataclasses import dataclass

from es_repro.judge.arms import Arm
from es_repro.judge.bed import Member, Outcome
from es_repro.judge.runner import Runner
from es_repro.judge.workloads import Workload

__all__ = ["FIRST_TUNING_SEED", "USUAL_RATES", "Tuned", "tune"]

# Tuning seeds begin here: no reported seed reaches it.
FIRST_TUNING_SEED = 1_000_000
FIRST_PLACES = (-1, 0, 1)  # powers of two times the workload's rate
USUAL_RATES = 4.5  # that a search tries, on the average: for a progress bar
FARTHEST = 8  # where a search gives up; a run so far out has either stood still or diverged


@dataclass(frozen=True, eq=False)
class Tuned:
    """What tuning an arm found, and what it cost.

    Attributes:
        rate: the best one.
        interior: it has worse neighbours on both sides.
        tried: mean measure by rate.
        outcome: of the tuning seeds at the best rate: the pilot.
        runs: that it took.
        budgets: their FLOPs, in whole budgets of the baseline.
    """

    rate: float
    interior: bool
    tried: dict[float, float]
    outcome: Outcome
    runs: int
    budgets: float


def tune(arm: Arm, workload: Workload, runner: Runner, num_seeds: int) -> Tuned:
    """Find the rate with the best mean on the validation cut.

    Args:
        arm: tuned over its own epochs.
        workload: its rate is where the grid begins.
        runner: makes or finds the runs.
        num_seeds: of each rate, disjoint from all that are reported.
    """
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + num_seeds)
    outcomes: dict[int, Outcome] = {}
    sign = 1 if workload.larger_is_better else -1

    def mean(place: int) -> float:
        return sign * float(outcomes[place].scores.mean())

    def best() -> int:  # of equals the one closest to where the grid began
        return max(outcomes, key=lambda place: (mean(place), -abs(place)))

    wanted: Sequence[int] = FIRST_PLACES
    while wanted:
        members = [Member(seed, workload.rate * 2.0**k) for k in wanted for seed in seeds]
        found = runner.outcome(arm, workload, members, "validation")
        for order, place in enumerate(wanted):
            outcomes[place] = found.part(order * num_seeds, (order + 1) * num_seeds)
        wanted = [k for k in (best() - 1, best() + 1) if k not in outcomes and abs(k) <= FARTHEST]
    spent = sum(float(outcome.epochs_of_flops.sum()) for outcome in outcomes.values())
    return Tuned(
        rate=workload.rate * 2.0 ** best(),
        interior=best() - 1 in outcomes and best() + 1 in outcomes,
        tried={workload.rate * 2.0**k: float(outcomes[k].scores.mean()) for k in sorted(outcomes)},
        outcome=outcomes[best()],
        runs=len(outcomes) * num_seeds,
        budgets=spent / workload.epochs,
    )
