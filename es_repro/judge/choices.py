"""What the paper and the methods' sources leave open: our choice against others, on the bed.

Both sides of a choice are tuned alike and run on the same seeds; the choices of a workload are
decided together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from es_repro.judge.arms import Arm
from es_repro.judge.asked import method_arm, selector_arm
from es_repro.judge.planning import LEVEL
from es_repro.judge.runner import Runner
from es_repro.judge.trial import Effort, reported_lane
from es_repro.judge.tuning import USUAL_RATES, tune
from es_repro.judge.workloads import Workload
from es_repro.selection.infobatch import InfoBatch
from es_repro.statistics import Decision, decide_all, trial

__all__ = ["CHOICES", "Choice", "Decided", "Unscaled", "decide_choices"]


class Unscaled(InfoBatch):
    """InfoBatch without the rescaling that makes its gradient's expectation that of all rows."""

    def _weighted(self, index: Tensor, losses: Tensor) -> Tensor:
        return losses


@dataclass(frozen=True)
class Choice:
    """One open question.

    Attributes:
        question: what is left open, and of which method.
        ours: the default, in words.
        other: the alternative, in words.
        method: of conf/method; its defaults are ours.
        options: of the method, which make it the alternative.
        given: options of both sides, without which the question does not arise.
        selector: `module:Class` that is the alternative, where no option makes it.
    """

    question: str
    ours: str
    other: str
    method: str
    options: Mapping[str, str] = field(default_factory=dict)
    selector: str = ""
    given: Mapping[str, str] = field(default_factory=dict)

    def arms(self) -> tuple[Arm, Arm]:
        """Ours and the other."""
        other = (
            selector_arm(self.selector, {})
            if self.selector
            else method_arm(self.method, {**self.given, **self.options})
        )
        return method_arm(self.method, self.given), other


_NO_ANNEALING = {"annealing_start": "0", "annealing_end": "0"}
CHOICES = (
    Choice("ES: annealing", "5% at each end", "none", "es", _NO_ANNEALING),
    Choice("ES: betas", "(0.2, 0.9)", "(0.5, 0.9)", "es", {"beta1": "0.5"}),
    Choice("ES: betas", "(0.2, 0.9)", "(0.2, 0.8), ESWP's", "es", {"beta2": "0.8"}),
    Choice("ES: betas", "(0.2, 0.9)", "(0.9, 0.9), no differences", "es", {"beta1": "0.9"}),
    # With a whole epoch first none is unseen.
    Choice("ESWP from the first epoch: weight of the unseen", "mean", "literal (1/n)", "eswp",
           {"unseen_weight": "literal"}, given={"annealing_start": "0"}),
    Choice("InfoBatch: rescaling", "1/(1-r)", "none", "infobatch",
           selector=f"{__name__}:{Unscaled.__name__}"),
    Choice("InfoBatch: rescaling", "1/(1-r)", "by the realised share", "infobatch",
           {"exact_rescale": "true"}),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Decided:
    """A choice on one workload.

    Attributes:
        choice: which.
        workload: where.
        seeds: of either side.
        decision: the alternative against ours, in points of the measure, larger being better.
        cost: the alternative's FLOPs over ours.
        rates: learning rates that ours and the alternative were tuned to.
    """

    choice: Choice
    workload: Workload
    seeds: int
    decision: Decision
    cost: float
    rates: tuple[float, float]


def decide_choices(
    workload: Workload,
    effort: Effort,
    runner: Runner,
    say: Callable[[str], None],
    choices: Sequence[Choice] = CHOICES,
) -> list[Decided]:
    """Tune and run both sides of every choice, and decide.

    Args:
        workload: on which.
        effort: how much it may cost; its `resolution` is the margin of equivalence.
        runner: makes or finds the runs.
        say: told the number of seeds before the reported runs.
        choices: to be decided together.

    Raises:
        DataNotFound: the workload's data are not here.
    """
    pairs = [choice.arms() for choice in choices]
    arms = {arm.name: arm for pair in pairs for arm in pair}
    tuning = round(USUAL_RATES * effort.tuning_seeds * len(arms))
    seeds = effort.fixed_seeds(workload, tuning, len(arms)) or effort.limit(workload)
    runner.expect(tuning + seeds * len(arms))
    say(f"{workload.name}: {len(arms)} arms, {seeds} seeds each, {len(pairs)} choices")
    lanes = {}
    for name, arm in arms.items():
        tuned = tune(arm, workload, runner, effort.tuning_seeds)
        lanes[name] = reported_lane(arm, tuned, workload, seeds, runner)
    scores = {name: lane.scores(workload) for name, lane in lanes.items()}
    trials = {
        str(number): trial(scores[other.name], scores[ours.name], margin=effort.resolution)
        for number, (ours, other) in enumerate(pairs)
    }
    decisions = decide_all(trials, LEVEL)
    return [
        Decided(
            choice, workload, seeds, decisions[str(number)],
            lanes[other.name].cost(workload) / lanes[ours.name].cost(workload),
            (lanes[ours.name].tuned.rate, lanes[other.name].tuned.rate),
        )
        for number, (choice, (ours, other)) in enumerate(zip(choices, pairs, strict=True))
    ]  # fmt: skip
