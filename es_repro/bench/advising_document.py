"""Advice beside the runs that it predicted, as Markdown and for machines. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from es_repro.bench.advising import Compared, Comparison
from es_repro.bench.ratios import Estimate

__all__ = ["GOAL_POINTS", "comparison_document", "comparison_results"]

GOAL_POINTS = 5.0  # hundredths of the baseline's time


def comparison_document(made: Mapping[str, Any], found: Sequence[Comparison]) -> str:
    """All cases.

    Args:
        made: command and machine.
        found: one a loop.
    """
    place = f"{made['device_name']}, {made['threads']} threads, {made['precision']}"
    parts = [
        "# Advice against measured runs",
        f"`{made['command']}` at commit {str(made['commit'] or 'unknown')[:10]}"
        f"{' (with local changes)' if made['dirty'] else ''}; {place}; torch {made['torch']}.",
        "Time of a run relative to the run without selection: *predicted* from timed rounds "
        "before each round of runs (the median over the rounds, and the lowest and highest that "
        f"one said), *measured* on {made['pairs']} whole runs of each method, epoch by epoch in "
        "turn (of each epoch the median over the runs; 95% intervals). *Off* is the difference "
        f"in points, hundredths of the baseline's time; the goal is {GOAL_POINTS:.0f}. Where the "
        "share of trained samples hangs on the losses and was not the cost model's, *share* says "
        "so: the clock is not to blame.",
    ]
    if made["contended"]:
        parts.append(
            f"**Contended**: others kept {made['foreign_cores']:.1f} cores busy; measure again."
        )
    for comparison in found:
        parts += _section(comparison)
    return "\n\n".join(parts) + "\n"


def comparison_results(made: Mapping[str, Any], found: Sequence[Comparison]) -> dict[str, Any]:
    """The same in plain numbers."""
    cases = [
        {
            "case": comparison.case,
            "data": comparison.data,
            "baseline_seconds": comparison.baseline_seconds,
            "rows": [asdict(row) | _judgement(row) for row in comparison.rows],
            "advice": comparison.advice.as_dict(),
        }
        for comparison in found
    ]
    return {"made": dict(made), "goal_points": GOAL_POINTS, "cases": cases}


def _judgement(row: Compared) -> dict[str, Any]:
    return {"points": row.points, "judged": row.judged, "reached": abs(row.points) <= GOAL_POINTS}


def _section(comparison: Comparison) -> list[str]:
    rows = [
        [
            row.method,
            "" if row.batch_ratio is None else f"{row.batch_ratio:g}",
            _interval(row.predicted),
            _interval(row.measured),
            f"{row.ideal:.3f}",
            f"{row.points:+.1f}",
            ("yes" if abs(row.points) <= GOAL_POINTS else "**no**")
            if row.judged
            else f"share: {row.trained_share:.3f}, not {row.expected_share:.3f}",
        ]
        for row in comparison.rows
    ]
    head = ["method", "b/B", "predicted", "measured", "in FLOPs", "off", "within the goal"]
    judged = [abs(row.points) for row in comparison.rows if row.judged]
    worst = f"At most {max(judged):.1f} points off. " if judged else ""
    return [
        f"## {comparison.case}",
        f"{comparison.data}; a run without selection takes {comparison.baseline_seconds:.1f} s. "
        f"{worst}The advice: *{comparison.advice.verdict}*",
        tabulate(rows, head, tablefmt="pipe", disable_numparse=True),
    ]


def _interval(estimate: Estimate) -> str:
    return f"{estimate.median:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
