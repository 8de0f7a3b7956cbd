"""One command of the judge: which workloads, how much effort, and the trials one after another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from es_repro.config import readable
from es_repro.judge.arms import Arm
from es_repro.judge.asked import Asked, method_arm
from es_repro.judge.findings import Finding, findings
from es_repro.judge.runner import Runner
from es_repro.judge.store import Store
from es_repro.judge.trial import Effort, NoneLeft, Trial, run_trial
from es_repro.judge.workloads import WORKLOADS, Workload
from es_repro.process.machine import resolve_device
from es_repro.selection import require
from es_repro.selection.checks import as_int, as_real, one_of

__all__ = ["EVERYONE", "HISTORY", "Session", "Verdict", "judge", "settle", "why_not"]

# What is judged where nothing is asked for: every method, its ablations left out.
EVERYONE = ("es", "eswp", "loss", "order", "infobatch", "ka", "ucb", "orderdp")
HISTORY = "loss_anneal"  # the control without history
RESOLUTION = 0.2  # points: about what published comparisons claim
FEW = 3  # methods that two minutes judge on two workloads; more of them on one
FAST_WORKLOADS = ("digits", "noise")
# About two minutes of one slow core (70 to 90 ms a run on digits).
FAST = Effort(tuning_seeds=6, seeds=None, most_seeds=200, resolution=RESOLUTION, runs=1_200)
FULL = Effort(tuning_seeds=8, seeds=None, most_seeds=200, resolution=RESOLUTION)
# What reading a workload's data and weights raises: missing, damaged, or an extra not installed.
UNREADABLE = (OSError, ValueError, ImportError)
EFFORTS = {"fast": FAST, "full": FULL}


@dataclass(frozen=True, eq=False)
class Session:
    """What a command line comes down to.

    Attributes:
        methods: to be judged.
        history: the control without history.
        workloads: in order.
        effort: of each workload.
        effort_name: fast or full.
        named: whether the workloads were asked for by name: then missing data are an error.
        runner: makes or finds the runs.
    """

    methods: Sequence[Arm]
    history: Arm
    workloads: Sequence[Workload]
    effort: Effort
    effort_name: str
    named: bool
    runner: Runner


@dataclass(frozen=True, eq=False)
class Verdict:
    """The outcome of a session.

    Attributes:
        trials: by workload.
        findings: by workload and method.
        missing: by workload, why it was not tried.
    """

    trials: Mapping[str, Trial]
    findings: Mapping[str, Mapping[str, Finding]]
    missing: Mapping[str, str]


def settle(asked: Asked, root: Path) -> Session:
    """Fill in what was not asked for.

    Args:
        asked: the command line.
        root: of all runs (`RUNS_ROOT`).

    Raises:
        ValueError: a setting that cannot be used, by name.
    """
    settings = asked.settings
    methods = list(asked.arms) or [method_arm(name, {}) for name in EVERYONE]
    name = settings.get("effort", "fast")
    require(name in EFFORTS, "effort", name, one_of(name, list(EFFORTS)))
    effort = EFFORTS[name]
    if "resolution" in settings:
        wanted = as_real("resolution", _number(settings["resolution"]), "(0, inf)")
        effort = replace(effort, resolution=wanted, runs=None)
    if "seeds" in settings:
        seeds = as_int("seeds", _number(settings["seeds"]), minimum=2)
        effort = replace(effort, seeds=seeds, most_seeds=max(seeds, effort.most_seeds))
    default = tuple(WORKLOADS) if name == "full" else FAST_WORKLOADS[: 1 + (len(methods) <= FEW)]
    chosen = settings["workload"].split(",") if "workload" in settings else default
    for workload in chosen:
        require(workload in WORKLOADS, "workload", workload, one_of(workload, list(WORKLOADS)))
    if effort.runs is not None:
        effort = replace(effort, runs=effort.runs // min(len(chosen), len(FAST_WORKLOADS)))
    device = resolve_device(settings.get("device", "cpu"))
    return Session(
        methods, method_arm(HISTORY, {}), [WORKLOADS[x] for x in chosen], effort, name,
        "workload" in settings, Runner(Store(root / "judge"), device),
    )  # fmt: skip


def judge(session: Session, say: Callable[[str], None]) -> Verdict:
    """Try every workload; one whose data are missing or damaged is named, and the others go on.

    Raises:
        OSError, ValueError, ImportError: that of a workload that was asked for by name.
    """
    trials: dict[str, Trial] = {}
    missing: dict[str, str] = {}
    for workload in session.workloads:
        why = why_not(workload, session, say)
        if not why:
            try:
                trials[workload.name] = run_trial(
                    workload, session.methods, session.history, session.effort, session.runner, say
                )
            except NoneLeft as error:
                why = str(error)
        if why:
            missing[workload.name] = why
            say(f"{workload.name}: not tried: {why}")
    return Verdict(trials, {name: findings(each) for name, each in trials.items()}, missing)


def why_not(workload: Workload, session: Session, say: Callable[[str], None]) -> str:
    """Read what it is trained and measured on, or make it; answers why it cannot be, else "".

    Raises:
        OSError, ValueError, ImportError: the reason, of a workload that was asked for by name.
    """
    try:
        if workload.prepare is not None:
            workload.prepare(say, session.runner.show)
        for split in ("test", "validation"):
            workload.problem(split)
    except UNREADABLE as error:
        if session.named:
            raise
        return readable(error)
    return ""


def _number(text: str) -> float | str:
    """A number, or the text as it stands, for the check that names it."""
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value
