"""A trial on one workload: everyone tuned, a pilot, a number of seeds said beforehand, the runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from es_repro.judge.arms import Arm, baseline_at, frontier, random_at, short_of
from es_repro.judge.bed import Member, Outcome
from es_repro.judge.pilot import question
from es_repro.judge.planning import LEAST_SEEDS, SeedPlan, plan_seeds
from es_repro.judge.probe import step_ratio
from es_repro.judge.runner import Runner
from es_repro.judge.store import NotKept
from es_repro.judge.tuning import FIRST_TUNING_SEED, USUAL_RATES, Tuned, tune
from es_repro.judge.workloads import Workload

__all__ = ["Effort", "Lane", "NoneLeft", "Trial", "reported_lane", "run_trial"]

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

    def scores(self, workload: Workload) -> np.ndarray:
        """[seeds, examples] float64, larger being better."""
        sign = 1 if workload.larger_is_better else -1
        return sign * self.outcome.scores.astype(np.float64)


def reported_lane(arm: Arm, tuned: Tuned, workload: Workload, seeds: int, runner: Runner) -> Lane:
    """The reported runs of an arm at its rate: seeds from 0, none of which tuned it."""
    members = [Member(seed, tuned.rate) for seed in range(min(seeds, FIRST_TUNING_SEED))]
    return Lane(arm, tuned, runner.outcome(arm, workload, members, "test"))


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
    course = _Course(workload, effort, runner, say)
    judged = course.probe(methods)
    judged = course.tune_all(judged, [*frontier(workload), history])
    controls = course.tune_controls(judged)
    plan = course.plan(judged, controls)
    lanes = course.run(plan)
    return Trial(
        workload, plan, lanes, [arm.name for arm in judged if arm.name in lanes],
        controls["short"], controls["set"], controls["batch"], history.name,
        course.steps, course.refused,
    )  # fmt: skip


Controls = Mapping[str, Mapping[str, str]]  # by kind and method, the control's name


class _Course:
    """A trial as it goes: what a step takes, who is tuned, who was refused and why."""

    def __init__(
        self, workload: Workload, effort: Effort, runner: Runner, say: Callable[[str], None]
    ) -> None:
        self.workload, self.effort, self.runner, self.say = workload, effort, runner, say
        self.steps: dict[str, float] = {}
        self.tuned: dict[str, tuple[Arm, Tuned]] = {}
        self.refused: dict[str, str] = {}

    def probe(self, methods: Sequence[Arm]) -> list[Arm]:
        """Time a step of each, and see at a glance whether it keeps to the contract."""

        def time_step(arm: Arm) -> None:
            self.steps[arm.name] = step_ratio(arm, self.workload, self.runner.device)

        return self._those_left(methods, time_step)

    def tune_all(self, methods: Sequence[Arm], others: Sequence[Arm]) -> list[Arm]:
        """A learning rate for the methods, those left are answered, and for the other arms."""
        arms = len(methods) * ARMS_OF_A_METHOD + len(others)
        self.runner.expect(round(arms * USUAL_RATES * self.effort.tuning_seeds))
        left = self._those_left(methods, self._tune)
        for arm in others:
            self._tune(arm)
        return left

    def tune_controls(self, methods: Sequence[Arm]) -> Controls:
        """Choose each method's controls at equal cost, by what its pilot cost, and tune them."""
        found: dict[str, dict[str, str]] = {"short": {}, "set": {}, "batch": {}}
        for arm in methods:
            pilot = self.tuned[arm.name][1].outcome
            cost = float(pilot.epochs_of_flops.mean()) / self.workload.epochs
            wanted = {
                "short": short_of(cost, self.workload),
                "set": random_at(cost, "set", self.workload),
                "batch": random_at(cost, "batch", self.workload),
            }
            for kind, control in wanted.items():
                if control is not None:
                    self._tune(control)
                    found[kind][arm.name] = control.name
        return found

    def plan(self, methods: Sequence[Arm], controls: Controls) -> SeedPlan:
        """Settle the number of seeds on the pilots, and say it."""
        pilots = {name: found.outcome.scores for name, (_, found) in self.tuned.items()}
        full = baseline_at(1).name
        questions = []  # the primary ones, as `findings.decisions_of` asks them
        for name in (arm.name for arm in methods):
            short = controls["short"][name]
            yardstick = None if short == full else pilots[short]
            questions.append(question(pilots[name], pilots[full], yardstick))
            questions.append(question(pilots[name], pilots[short]))
        others = [arm.name for arm, _ in self.tuned.values() if arm.role != "method"]
        spent = sum(found.runs for _, found in self.tuned.values())
        plan = plan_seeds(
            questions,
            [question(pilots[name], pilots[full])[0] for name in others if name != full],
            examples=self.workload.examples,
            fixed=self.effort.fixed_seeds(self.workload, spent, len(self.tuned)),
            most=self.effort.limit(self.workload),
            wanted=self.effort.resolution,
        )
        self.say(f"{self.workload.name}: {plan.statement(len(self.tuned))}")
        return plan

    def run(self, plan: SeedPlan) -> dict[str, Lane]:
        """The reported runs of every arm, by its name, at its own rate."""
        self.runner.expect(plan.seeds * len(self.tuned))
        lanes: dict[str, Lane] = {}

        def run_one(arm: Arm) -> None:
            tuned = self.tuned[arm.name][1]
            lanes[arm.name] = reported_lane(arm, tuned, self.workload, plan.seeds, self.runner)

        for arm, _ in self.tuned.values():
            self._attempt(arm, run_one)
        return lanes

    def _tune(self, arm: Arm) -> None:
        if arm.name not in self.tuned:
            found = tune(arm, self.workload, self.runner, self.effort.tuning_seeds)
            self.tuned[arm.name] = arm, found

    def _those_left(self, methods: Sequence[Arm], act: Callable[[Arm], None]) -> list[Arm]:
        """Those methods with which it could be done; without any the trial is over.

        Raises:
            NoneLeft: names them all.
        """
        left = [arm for arm in methods if self._attempt(arm, act)]
        if not left:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.refused.items())
            raise NoneLeft(f"no method is left ({reasons})")
        return left

    def _attempt(self, arm: Arm, act: Callable[[Arm], None]) -> bool:
        """Whether it could be done: whatever a method does must not end the trial."""
        try:
            act(arm)
        except (Exception, SystemExit) as error:
            if arm.role != "method" or isinstance(error, NotKept):
                raise
            self.refused[arm.name] = _line(error)
            self.say(f"{self.workload.name}: {arm.name} is not judged: {self.refused[arm.name]}")
        return arm.name not in self.refused


def _line(error: BaseException) -> str:
    """The first line of an error, with its kind where the message alone says little."""
    text = str(error).strip().splitlines()
    kind = type(error).__name__
    if type(error).__module__.startswith("es_repro.judge"):
        return text[0]
    return f"{kind}: {text[0]}" if text else kind
