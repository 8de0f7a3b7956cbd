"""The rules: how a test of a claim is decided from records. Pure.

Each test answers with two one-sided p-values: of what the claim says, and of what would refute it.
Between the two lies what the runs cannot tell, with the half-width of the interval. A claim with
several tests holds where all hold (the largest p-value decides) and fails where one fails (the
smallest one, times their number).
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from es_repro.report.savings import shared_clock, time_saved
from es_repro.report.specs import OWN_LENGTH
from es_repro.report.tables import comparable
from es_repro.report.verdicts.arms import Records, Values
from es_repro.report.verdicts.claim import (
    Ahead,
    Arm,
    Better,
    Claim,
    LessMemory,
    NotWorse,
    Picture,
    Saves,
    Test,
)
from es_repro.report.verdicts.resolution import printed_difference, printed_memory, printed_saving
from es_repro.statistics import Contrast, contrast

__all__ = ["LEVEL", "Finding", "Gap", "findings", "together"]

LEVEL = 0.95
_LEAST_SEEDS = 2  # of a spread
# `short` trains whole epochs and so misses the method's FLOPs: by up to 5% in the paper's recipes
# (7 epochs for 6.7). A difference that more FLOPs than this share may explain decides nothing.
_EQUAL_COST = 0.06


@dataclass(frozen=True)
class Gap:
    """Why a test cannot be made.

    Args:
        why: in a line.
        begun: something was trained for it, so that "not run" would be wrong.
    """

    why: str
    begun: bool = False


@dataclass(frozen=True)
class Finding:
    """What a test found.

    Args:
        estimate, low, high: of the difference or saving, with its interval; percent (points).
        p_for: that the claim holds; 1 where nothing speaks for it.
        p_against: that it does not.
        test: what was tested, in words.
        seeds: that the interval rests on.
        runs: the finished runs behind it.
        margin: in points, where the claim has one.
        sensitive: false where `short` loses nothing that can be seen.
        by_interval: no p-value was computed: the interval's ends decide.
        device: where time or memory was measured.
        notes: what a reader must know of it.
        barred: why one of the two was not asked (its p-value is 1), where that was so.
    """

    estimate: float
    low: float
    high: float
    p_for: float
    p_against: float
    test: str
    seeds: int
    runs: pd.DataFrame
    margin: float | None = None
    sensitive: bool = True
    by_interval: bool = False
    device: str = ""
    notes: tuple[str, ...] = field(default=())
    barred: str = ""

    @property
    def half_width(self) -> float:
        """The x of "undecided at +-x"."""
        return (self.high - self.low) / 2


def findings(claim: Claim, records: Records) -> list[Finding | Gap]:
    """Every test of a claim, in order; a test against `prefix*` is one a row that starts so."""
    found: list[Finding | Gap] = []
    for test in _spread(claim.tests, records):
        match test:
            case NotWorse():
                found.append(_not_worse(test, records))
            case Ahead():
                found.append(_ahead(test, records))
            case Better():
                found.append(_better(test, records))
            case Saves():
                found.append(_saves(test, records))
            case LessMemory():
                found.append(_less_memory(test, records))
            case Picture():
                found.append(Gap(f"a picture, no number to test: `make {test.make}`"))
    return found


def together(parts: list[Finding]) -> Finding:
    """The claim's finding: its weakest test, with the p-values of all."""
    weakest = max(parts, key=lambda part: (part.p_for, -part.p_against))
    if len(parts) == 1:
        return weakest
    runs = pd.concat([part.runs for part in parts]).drop_duplicates("run")
    against = min(1.0, len(parts) * min(part.p_against for part in parts))
    return Finding(
        weakest.estimate, weakest.low, weakest.high, weakest.p_for, against,
        f"weakest of {len(parts)}: {weakest.test}", weakest.seeds, runs, weakest.margin,
        all(part.sensitive for part in parts), weakest.by_interval, weakest.device,
        tuple(dict.fromkeys(note for part in parts for note in part.notes)), weakest.barred,
    )  # fmt: skip


# ---------------------------------------------------------------- tests


def _not_worse(test: NotWorse, records: Records) -> Finding | Gap:
    rival = test.rival or test.baseline
    arms = _arms(records, test.method, rival, test.baseline, test.short)
    if isinstance(arms, Gap):
        return arms
    samples, notes = _paired(arms)
    name = f"{test.method.row} loses less against {rival.row} than half of {test.short.row}'s loss"
    if len(samples[0]) < _LEAST_SEEDS:
        return _one_seed(name, samples[0] - samples[1], arms, notes)
    difference = contrast((1, -1, 0, 0), samples)
    beyond_margin = contrast((1, -1, 0.5, -0.5), samples)
    loss = contrast((0, 0, 1, -1), samples)
    sensitive = loss.p_above(0) < 1 - LEVEL
    # Where `short` loses nothing that can be seen there is no margin to keep: only a plain loss is
    # evidence, against the claim.
    return _finding(
        difference, name, arms, (*notes, f"{test.short.row} loses {_shown(loss)}"),
        p_for=beyond_margin.p_above(0) if sensitive else 1.0,
        p_against=beyond_margin.p_below(0) if sensitive else difference.p_below(0),
        margin=loss.mean / 2, sensitive=sensitive,
    )  # fmt: skip


def _better(test: Better, records: Records) -> Finding | Gap:
    arms = _arms(records, test.first, test.second)
    if isinstance(arms, Gap):
        return arms
    samples, notes = _paired(arms)
    name = f"{test.first.row} is better than {test.second.row}"
    if len(samples[0]) < _LEAST_SEEDS:
        return _one_seed(name, samples[0] - samples[1], arms, notes)
    least = 0.0
    if records.preset == "paper" and test.cells is not None:
        least = max(printed_difference(*test.cells), 0.0) / 2
    difference = contrast((1, -1), samples)
    return _finding(
        difference, name, arms, notes,
        p_for=difference.p_above(0), p_against=difference.p_below(least), margin=least,
    )  # fmt: skip


def _ahead(test: Ahead, records: Records) -> Finding | Gap:
    """As `_better`, but it cannot hold where the method had more FLOPs, nor fail where less."""
    arms = _arms(records, test.method, test.short)
    if isinstance(arms, Gap):
        return arms
    ours, theirs = (records.values(arm).flops for arm in test.paid)
    if ours is None or theirs is None:
        return Gap(f"no FLOPs of {test.method.row} and {test.short.row} in the records", begun=True)
    samples, notes = _paired(arms)
    share = theirs / ours
    told = f"{test.short.row} had {share:.2f} of the FLOPs of {test.method.row}"
    notes = (*notes, told)
    name = f"{test.method.row} is better than {test.short.row} at its FLOPs"
    if len(samples[0]) < _LEAST_SEEDS:
        return _one_seed(name, samples[0] - samples[1], arms, notes)
    difference = contrast((1, -1), samples)
    found = _finding(
        difference, name, arms, notes,
        p_for=difference.p_above(0), p_against=difference.p_below(0), margin=0.0,
    )  # fmt: skip
    if share < 1 - _EQUAL_COST:
        return replace(found, p_for=1.0, barred=told)
    if share > 1 + _EQUAL_COST:
        return replace(found, p_against=1.0, barred=told)
    return found


def _saves(test: Saves, records: Records) -> Finding | Gap:
    arms = _arms(records, test.method, test.baseline)
    if isinstance(arms, Gap):
        return arms
    method, baseline = arms
    saving = time_saved(method.runs, baseline.runs)
    if saving.value is None:
        return Gap(f"no clocks that compare ({saving.origin or 'none'})", begun=True)
    low, high, how = saving.low, saving.high, "paired steps"
    if saving.origin == "clocks":
        low, high, how = *_clocked(method.runs, baseline.runs), "clocks of the runs"
    wanted = printed_saving(test.cells)
    name = f"{test.method.row} saves {wanted:.3g}% of the time ({how})"
    clock = "paired" if saving.origin == "paired" else "environment"  # need not be one machine
    return _by_interval(name, saving.value, low, high, wanted, arms, clock)


def _less_memory(test: LessMemory, records: Records) -> Finding | Gap:
    arms = _arms(records, test.method, test.baseline)
    if isinstance(arms, Gap):
        return arms
    if not all(values.runs["environment.device"].eq("cuda").all() for values in arms):
        return Gap("a CPU process's memory does not show it", begun=True)
    ours, theirs = (_peak(values.runs) for values in arms)
    if ours is None or theirs is None:
        return Gap("no peak memory in the records", begun=True)
    saved = 100 * (1 - ours / theirs)
    wanted = printed_memory(test.series)
    name = f"{test.method.row}'s peak lies {wanted:.1f}% below {test.baseline.row}'s"
    return _by_interval(name, saved, saved, saved, wanted, arms, "environment")


def _finding(
    difference: Contrast,
    name: str,
    arms: list[Values],
    notes: tuple[str, ...],
    *,
    p_for: float,
    p_against: float,
    margin: float,
    sensitive: bool = True,
) -> Finding:
    low, high = difference.interval(LEVEL)
    seeds = int(difference.dof) + 1
    runs = pd.concat([values.runs for values in arms])
    return Finding(
        difference.mean, low, high, p_for, p_against, name, seeds, runs, margin, sensitive,
        notes=notes,
    )  # fmt: skip


def _one_seed(
    name: str, differences: np.ndarray, arms: list[Values], notes: tuple[str, ...]
) -> Finding | Gap:
    if len(differences) == 0:
        return Gap(f"{name}: no seed is in every arm", begun=True)
    runs = pd.concat([values.runs for values in arms])
    value = float(differences[0])
    return Finding(
        value, -np.inf, np.inf, 1.0, 1.0, name, 1, runs, notes=(*notes, "one seed has no spread")
    )


def _by_interval(
    name: str,
    value: float,
    low: float | None,
    high: float | None,
    wanted: float,
    arms: list[Values],
    measured: str,
) -> Finding:
    """Holds where the interval lies at what the paper prints or above, up to its rounding."""
    runs = pd.concat([values.runs for values in arms])
    low, high = (-np.inf if low is None else low), (np.inf if high is None else high)
    least = wanted - 0.5
    devices = sorted(runs[f"{measured}.device_name"].dropna().unique()) or ["?"]
    seeds = min(values.runs["seed"].nunique() for values in arms)
    return Finding(
        value, low, high, 0.0 if low >= least else 1.0, 0.0 if high < least else 1.0,
        name, seeds, runs, by_interval=True, device=", ".join(devices),
    )  # fmt: skip


# ---------------------------------------------------------------- what the tests take


def _spread(tests: tuple[Test, ...], records: Records) -> list[Test]:
    """A test against `prefix*` becomes one against each such row, but for the method's own."""
    found: list[Test] = []
    for test in tests:
        match test:
            case Better(first, second):
                found += [replace(test, second=other) for other in _others(first, second, records)]
            case NotWorse(method=method, rival=Arm() as rival):
                found += [replace(test, rival=other) for other in _others(method, rival, records)]
            case _:
                found.append(test)
    return found


def _others(own: Arm, meant: Arm, records: Records) -> list[Arm]:
    rows = [row for row in records.rows(meant) if row != own.row or not meant.row.endswith("*")]
    return [replace(meant, row=row) for row in rows] or [meant]


def _arms(records: Records, *arms: Arm) -> list[Values] | Gap:
    """The arms' values; a gap where one has none, or did another work than the second."""
    found = [records.values(arm) for arm in arms]
    for values in found:
        if values.gap:
            return Gap(values.gap, _begun(arms, found))
    for arm, values in zip(arms, found, strict=True):
        for ours, theirs in zip(
            arm.names(records.preset), arms[1].names(records.preset), strict=True
        ):
            one = values.runs[values.runs["experiment"] == ours]
            other = found[1].runs[found[1].runs["experiment"] == theirs]
            label = arms[1].row if arms[1].row in OWN_LENGTH else arm.row
            if not comparable(label, one, other):
                why = f"{arm.row} is not comparable with {arms[1].row}"
                return Gap(f"{why}: another model, data, task, precision or length", begun=True)
    return found


def _begun(arms: tuple[Arm, ...], found: list[Values]) -> bool:
    """Whether anything was trained for the test itself, beside the baseline that serves many."""
    shared = {"baseline"} | OWN_LENGTH
    return any(x.begun for arm, x in zip(arms, found, strict=True) if arm.row not in shared)


def _paired(arms: list[Values]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """The values of the seeds that every arm has, and a note where some lack one."""
    seeds = sorted(set.intersection(*(set(values.by_seed.index) for values in arms)))
    every = set.union(*(set(values.by_seed.index) for values in arms))
    samples = [values.by_seed.reindex(seeds).to_numpy(dtype=np.float64) for values in arms]
    missing = len(every) - len(seeds)
    notes = (f"{missing} of {len(every)} seeds are not in every arm",) if missing else ()
    return samples, notes


def _clocked(method: pd.DataFrame, baseline: pd.DataFrame) -> tuple[float | None, float | None]:
    """The interval of the saving from the clocks: Welch's, of the logarithms of the seconds."""
    shared = shared_clock(method, baseline)
    if shared is None or min(len(shared[0]), len(shared[1])) < _LEAST_SEEDS:
        return None, None
    logarithms = [np.log(seconds.to_numpy()) for seconds in shared]
    found = contrast((1, -1), logarithms, paired=False)
    low, high = found.interval(LEVEL)
    return 100 * (1 - float(np.exp(high))), 100 * (1 - float(np.exp(low)))


def _peak(runs: pd.DataFrame) -> float | None:
    """The largest peak of any kind of epoch, mean over the runs."""
    kinds = [f"memory/{kind}_bytes" for kind in ("plain", "selecting")]
    known = [runs[kind] for kind in kinds if kind in runs]
    peaks = pd.concat(known, axis=1).astype("float64").max(axis=1) if known else pd.Series()
    return None if peaks.isna().all() else float(peaks.mean())


def _shown(found: Contrast) -> str:
    low, high = found.interval(LEVEL)
    return f"{found.mean:+.2f} [{low:+.2f}, {high:+.2f}]"
