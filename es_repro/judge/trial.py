"""A trial on one workload: everyone tuned, a pilot, a number of seeds said beforehand, the runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from es_repro.judge.arms import FRONTIER, Arm, baseline_at, frontier, random_at, short_of
from es_repro.judge.bed import Member, Outcome
from es_repro.judge.planning import LEAST_SEEDS, PRIMARY, SeedPlan, plan_seeds
from es_repro.judge.probe import step_ratio
from es_repro.judge.runner import Runner
from es_repro.judge.store import NotKept
from es_repro.judge.tuning import FIRST_TUNING_SEED, USUAL_RATES, Tuned, tune
from es_repro.judge.workloads import Workload

__all__ = ["Effort", "Lane", "NoneLeft", "Trial", "run_trial"]

ARMS_OF_A_METHOD = 3  # itself and its random controls: for a progress bar


class NoneLeft(Exception):
    """Every method was refused before the runs; each was named."""


@dataclass(frozen=True)
class Effort:
    """How much a trial may cost.

    Attributes:
        tuning_seeds: of each learning rate.
        seeds: reported ones, a fixed number; None: as many as `runs` leave, or `resolution` needs.
        most_seeds: never more than so many.
        resolution: wanted, in points of the measure.
        runs: of one workload at digits' price, tuning included; None: no limit.
    """

    tuning_seeds: int
    seeds: int | None
    most_seeds: int
    resolution: float
    runs: int | None = None

    def fixed_seeds(self, workload: Workload, tuning_runs: int, arms: int) -> int | None:
        """The number of seeds, where the pilot has no say in it."""
        if self.seeds is not None or self.runs is None:
            return self.seeds
        left = (round(self.runs / workload.price) - tuning_runs) // arms
        return max(LEAST_SEEDS, min(self.limit(workload), left))

    def limit(self, workload: Workload) -> int:
        """The most seeds that the pilot may ask for."""
        return min(self.most_seeds, workload.most_seeds)


@dataclass(frozen=True, eq=False)
class Lane:
    """One arm's part in a trial: how it was tuned and what it came to."""

    arm: Arm
    tuned: Tuned
    outcome: Outcome

    def cost(self, workload: Workload) -> float:
        """FLOPs, in whole budgets of the baseline."""
        return float(self.outcome.epochs_of_flops.mean()) / workload.epochs


@dataclass(frozen=True, eq=False)
class Trial:
    """What happened on one workload.

    Attributes:
        workload: which.
        plan: seeds and resolution, as stated before the runs.
        lanes: by the arm's name: methods, frontier and controls.
        methods: names of those that were judged, in the order asked for.
        short, random_set, random_batch: by method, the name of its control; absent where there
            is none.
        history: name of the control without history.
        steps: by method, seconds of its step over the baseline's on this machine.
        refused: by method, why it was not judged.
    """

    workload: Workload
    plan: SeedPlan
    lanes: Mapping[str, Lane]
    methods: Sequence[str]
    short: Mapping[str, str]
    random_set: Mapping[str, str]
    random_batch: Mapping[str, str]
    history: str
    steps: Mapping[str, float]
    refused: Mapping[str, str]


def run_trial(
    workload: Workload,
    methods: Sequence[Arm],
    history: Arm,
    effort: Effort,
    runner: Runner,
    say: Callable[[str], None],
) -> Trial:
    """Judge methods on a workload; one that fails is named, and the others go on.

    Args:
        workload: which.
        methods: to be judged.
        history: the control without history, tuned and run like a method.
        effort: how much it may cost.
        runner: makes or finds the runs.
        say: told in one line what is decided before the runs, and who was refused.

    Raises:
        DataNotFound: the workload's data are not here.
        NoneLeft: no method can be judged.
        NotKept: a run could not be written.
    """
    refused: dict[str, str] = {}
    steps: dict[str, float] = {}
    tuned: dict[str, tuple[Arm, Tuned]] = {}

    def attempt(arm: Arm, act: Callable[[], None]) -> bool:
        if arm.name in refused:
            return False
        try:
            act()
        except Exception as error:  # whatever a method does must not end the trial
            if arm.role != "method" or isinstance(error, NotKept):
                raise
            refused[arm.name] = _line(error)
            say(f"{workload.name}: {arm.name} is not judged: {refused[arm.name]}")
        return arm.name not in refused

    def tune_once(arm: Arm) -> None:
        if arm.name not in tuned:
            tuned[arm.name] = arm, tune(arm, workload, runner, effort.tuning_seeds)

    per_arm = USUAL_RATES * effort.tuning_seeds
    runner.expect(round((len(methods) * ARMS_OF_A_METHOD + len(FRONTIER) + 1) * per_arm))
    for arm in methods:

        def look(arm: Arm = arm) -> None:
            steps[arm.name] = step_ratio(arm, workload, runner.device)
            tune_once(arm)

        attempt(arm, look)
    if len(refused) == len(methods):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise NoneLeft(f"no method is left ({reasons})")
    for arm in (*frontier(workload), history):
        tune_once(arm)
    judged = [arm for arm in methods if arm.name not in refused]

    controls: dict[str, dict[str, str]] = {"short": {}, "set": {}, "batch": {}}
    for arm in judged:
        pilot = tuned[arm.name][1].outcome
        cost = float(pilot.epochs_of_flops.mean()) / workload.epochs
        wanted = {
            "short": short_of(cost, workload),
            "set": random_at(cost, "set"),
            "batch": random_at(cost, "batch"),
        }
        for kind, control in wanted.items():
            if control is not None:
                tune_once(control)
                controls[kind][arm.name] = control.name

    plan = plan_seeds(
        [tuned[arm.name][1].outcome.scores for arm in judged],
        [found.outcome.scores for arm, found in tuned.values() if arm.role != "method"],
        tuned[baseline_at(1).name][1].outcome.scores,
        examples=workload.examples,
        contrasts=len(PRIMARY) * len(judged),
        measured=any(name != baseline_at(1).name for name in controls["short"].values()),
        fixed=effort.fixed_seeds(
            workload, sum(found.runs for _, found in tuned.values()), len(tuned)
        ),
        most=effort.limit(workload), wanted=effort.resolution,
    )  # fmt: skip
    say(f"{workload.name}: {plan.statement(len(tuned))}")

    runner.expect(plan.seeds * len(tuned))
    lanes: dict[str, Lane] = {}
    for arm, found in tuned.values():
        members = [Member(seed, found.rate) for seed in range(min(plan.seeds, FIRST_TUNING_SEED))]

        def run(arm: Arm = arm, found: Tuned = found, members: list[Member] = members) -> None:
            outcome = runner.outcome(arm, workload, members, "test")
            lanes[arm.name] = Lane(arm, found, outcome)

        attempt(arm, run)
    return Trial(
        workload, plan, lanes, [arm.name for arm in judged if arm.name in lanes],
        controls["short"], controls["set"], controls["batch"], history.name, steps, refused,
    )  # fmt: skip


def _line(error: Exception) -> str:
    """The first line of an error, with its kind where the message alone says little."""
    text = str(error).strip().splitlines()
    kind = type(error).__name__
    if type(error).__module__.startswith("es_repro.judge"):
        return text[0]
    return f"{kind}: {text[0]}" if text else kind
