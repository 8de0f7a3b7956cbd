"""The figures that the hot path is meant to reach, against what was measured. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Goal", "goals"]

Measured = Mapping[str, Any]

QUARTER = 0.25  # b/B at which the goals stand
LARGE_STEP_SECONDS = 0.08  # a net that is large enough to matter takes so long on a CPU
SHARE_GOALS = {"cpu": 0.92, "cuda": 0.85}
SET_LEVEL_GOAL = 0.97
OVERHEAD_GOAL = 0.005
PLANNING_GOAL, GROWTH_GOAL, BYTES_GOAL = 0.5, 12.0, 48.0
LOADER_GOAL, END_TO_END_GOAL, FAST_IMAGES = 10.0, 1.3, 5000.0
MILLION, TEN_MILLION = 1_280_000, 10_000_000


@dataclass(frozen=True)
class Goal:
    """One figure: what it is about, the goal in words, what came out, and whether that will do."""

    subject: str
    goal: str
    measured: str
    reached: bool


def goals(results: Measured) -> list[Goal]:
    """The goals that the results say something about.

    Args:
        results: as in bench.json.
    """
    found = _of_steps(results.get("steps", []), results["made"]["device"])
    found += _of_planning({row["num_samples"]: row for row in results.get("planning", [])})
    return found + _of_loading(results.get("loader", []))


def _of_steps(rows: Sequence[Measured], device: str) -> list[Goal]:
    large = [row for row in rows if row["baseline_seconds"] >= LARGE_STEP_SECONDS]
    if device == "cuda":
        large = list(rows)
    shares = {
        f"{row['model']}, {row['method']}": row
        for row in large
        if row["share"] is not None and _stands(row)
    }
    wanted = SHARE_GOALS.get(device, SHARE_GOALS["cpu"])
    found = []
    for name, row in shares.items():
        goal = SET_LEVEL_GOAL if row["level"] == "set" else wanted
        share = row["share"]
        text = f"{share['median']:.3f} [{share['low']:.3f}, {share['high']:.3f}]"
        subject = f"realised share of the ideal saving: {name}"
        found.append(Goal(subject, f">= {goal}", text, share["median"] >= goal))
    selecting = [row for row in large if row["work"]["scored"] and _stands(row)]
    if selecting:
        worst = max(selecting, key=lambda row: float(row["selection_share"]))
        share = worst["selection_share"]
        found.append(
            Goal(
                f"selection overhead, the largest: {worst['model']}, {worst['method']}",
                f"<= {OVERHEAD_GOAL:.1%} of the baseline's step",
                f"{share:.2%}",
                share <= OVERHEAD_GOAL,
            )
        )
    return found


def _stands(row: Measured) -> bool:
    """Whether a goal is meant for this row: scoring methods at a quarter, set level always.

    A random mini-batch scores nothing: its ideal has no scoring pass to be held against.
    """
    scores = bool(row["work"]["scored"]) and abs(row["batch_ratio"] - QUARTER) < 1e-9
    return scores or row["level"] == "set"


def _of_planning(rows: Mapping[int, Measured]) -> list[Goal]:
    million, ten = rows.get(MILLION), rows.get(TEN_MILLION)
    found = []
    if million and million["ratio"]:
        ratio = million["ratio"]["median"]
        goal = f"<= {PLANNING_GOAL} of torch.multinomial's time"
        found.append(
            Goal("planning 1.28 million samples", goal, f"{ratio:.2f}", ratio <= PLANNING_GOAL)
        )
    if million and ten:
        growth = ten["seconds"] / million["seconds"]
        goal = f"<= {GROWTH_GOAL:.0f} times 1.28 million's"
        found.append(
            Goal("planning 10 million samples", goal, f"{growth:.1f}", growth <= GROWTH_GOAL)
        )
    if ten and ten["peak_bytes"] is not None:
        size = ten["peak_bytes"] / ten["num_samples"]
        goal = f"<= {BYTES_GOAL:.0f} bytes a sample beside the table"
        found.append(
            Goal("planning 10 million samples", goal, f"{size:.1f} bytes", size <= BYTES_GOAL)
        )
    beyond = [n for n in rows if n > 2**24]
    if beyond:
        subject = f"planning {min(beyond):,} samples, more than torch.multinomial takes"
        found.append(Goal(subject, "works", f"{rows[min(beyond)]['seconds']:.2f} s", True))
    return found


def _of_loading(rows: Sequence[Measured]) -> list[Goal]:
    alone = [row for row in rows if row["model"] is None]
    trained = [row for row in rows if row["model"] is not None]
    fast = [row for row in trained if row["ours"] > FAST_IMAGES]
    slow = [row for row in trained if row["ours"] <= FAST_IMAGES]
    cases: list[tuple[str, Sequence[Measured], str, Callable[[float], bool]]] = [
        ("loader alone", alone, f">= {LOADER_GOAL:.0f}x", lambda x: x >= LOADER_GOAL),
        (
            "end to end, nets above 5,000 images/s", fast, f">= {END_TO_END_GOAL}x",
            lambda x: x >= END_TO_END_GOAL,
        ),
        ("end to end, slower nets", slow, "never slower", lambda x: x >= 1),
    ]  # fmt: skip
    found = []
    for subject, some, goal, reached in cases:
        if some:
            least = min(float(row["speedup"]["median"]) for row in some)
            found.append(Goal(subject, goal, f"{least:.2f}x at the least", reached(least)))
    return found
