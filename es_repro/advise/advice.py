"""What the measurement says about selection in this loop: numbers, and the words for them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from es_repro.advise.predicting import Row

__all__ = ["Advice", "Parts"]

NOTHING = 0.03  # a saving below it is not worth a change of the loop
OVERHEAD = 0.5  # share of a step that does not shrink with its rows, worth a sentence
BOUND = 0.95  # of a step, from which on the loader leaves nothing to save


@dataclass(frozen=True)
class Parts:
    """Seconds of the loop's parts: medians over the rounds, means where batches are fetched.

    Attributes:
        loop: a whole step of the loop as it is, its batch included.
        loader: a batch, when nothing but the loader runs.
        beside: of a whole step, what its batch costs beside the training: waiting, or workers
            that take the training's cores.
        train: forward, backward, update on all rows.
        score: forward without gradient on all rows.
        some: forward, backward, update on b rows, by b/B.
        selecting: scoring all rows, then training on b of them, by b/B.
        memory: peak bytes of a step on CUDA, by b/B, 1.0 being a step without selection.
    """

    loop: float
    loader: float
    beside: float
    train: float
    score: float
    some: dict[float, float]
    selecting: dict[float, float]
    memory: dict[float, int] | None

    @property
    def floor(self) -> float:
        """The least that selection from loaded batches can make of a step's time."""
        return min(1.0, max(self.loader, self.beside) / self.loop)

    def overhead(self, ratio: float) -> float:
        """Share of a training step that stays where b/B of the rows are trained."""
        return (self.some[ratio] / self.train - ratio) / (1 - ratio)

    @property
    def overlapped(self) -> bool:
        """Whether batches are fetched while others are trained on."""
        return self.beside < self.loader / 2


@dataclass(frozen=True)
class Advice:
    """The answer of `advise`; prints as a table.

    Attributes:
        device: where the losses live.
        rounds: timed rounds.
        rows_of_a_batch: B.
        num_samples: n.
        num_epochs: E.
        parts: of the loop, in seconds.
        rows: one a method and batch ratio.
        break_even: the b/B below which a scoring pass pays; None where it never does.
    """

    device: str
    rounds: int
    rows_of_a_batch: int
    num_samples: int
    num_epochs: int
    parts: Parts
    rows: Sequence[Row]
    break_even: float | None

    @property
    def best(self) -> Row | None:
        """The row that scores batches at the least time; where none does, the least of all."""
        scoring = [row for row in self.rows if row.scores]
        return min(scoring or self.rows, key=lambda row: row.time.median, default=None)

    @property
    def bound_by_loader(self) -> bool:
        """Whether selection from loaded batches cannot save a twentieth, whatever it costs."""
        return self.parts.floor >= BOUND

    @property
    def worth_it(self) -> bool:
        """Whether the best row saves anything, beyond noise."""
        best = self.best
        return best is not None and 1 - best.time.high > NOTHING and not self.bound_by_loader

    @property
    def verdict(self) -> str:
        """The answer in a few sentences."""
        return " ".join(_verdict(self))

    def as_dict(self) -> dict[str, Any]:
        """Everything for machines: plain numbers, strings and lists."""
        return asdict(self) | {
            "floor": self.parts.floor,
            "bound_by_loader": self.bound_by_loader,
            "worth_it": self.worth_it,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        return "\n".join(
            [*_heading(self), "", RELATIVE, *_table(self.rows, self.num_epochs), "", self.verdict]
        )


RELATIVE = (
    "A run without selection is 1. Last column: so many epochs without selection take the same "
    "time.\n"
)


def _verdict(advice: Advice) -> Iterator[str]:
    best = advice.best
    if best is None:
        return
    if advice.bound_by_loader:
        yield from _bound(advice.parts)
        return
    if advice.worth_it:
        yield (
            f"Yes, in time: {_name(best)} saves {1 - best.time.median:.0%} of it "
            f"[{1 - best.time.high:.0%}, {1 - best.time.low:.0%}], where FLOPs promise "
            f"{1 - best.ideal:.0%}."
        )
    elif 1 - best.time.median > NOTHING:
        yield (
            f"Not decided: {_name(best)} would take {best.time.median:.2f} of the time, but the "
            f"rounds leave anything from {best.time.low:.2f} to {best.time.high:.2f} open; time "
            "more of them, on an idle machine."
        )
    else:
        which = "the cheapest that scores batches" if best.scores else "the cheapest"
        yield f"No: {which}, {_name(best)}, would take {best.time.median:.2f} of the time."
    yield from _reasons(advice.parts, best)
    if advice.break_even is None:
        yield "A scoring pass does not pay at any b/B; fewer epochs and pruned ones still do."
    elif advice.break_even < 1:
        yield f"A scoring pass pays below b/B = {advice.break_even:.2f} (in FLOPs: 0.67)."
    if best.epochs is not None:
        yield (
            f"A run of {best.epochs} of the {advice.num_epochs} epochs, the schedule compressed, "
            f"saves {1 - best.epochs / advice.num_epochs:.0%}: try that first."
        )


def _bound(parts: Parts) -> Iterator[str]:
    yield (
        f"No: you are bound by the loader. It takes {_time(parts.loader)} a batch, and training on "
        f"it {_time(parts.train)}: whatever still loads whole batches saves "
        f"{1 - parts.floor:.0%} at most."
    )
    yield (
        "More workers, or data decoded once, come first; until then only what loads less saves: "
        "fewer epochs (try that first) and pruned ones."
    )


def _reasons(parts: Parts, best: Row) -> Iterator[str]:
    """What stands between the time and the FLOPs."""
    ratio = best.batch_ratio
    if ratio is not None and parts.overhead(ratio) > OVERHEAD:
        yield (
            f"{ratio:.3g} of the rows cost {parts.some[ratio] / parts.train:.2f} of a whole "
            "batch's training: it is not arithmetic that fills the step; larger batches or "
            "compilation come first."
        )
    if parts.beside > NOTHING * parts.loop:
        yield (
            f"Batches cost {parts.beside / parts.loop:.0%} of the loop beside the training, which "
            "selection does not make cheaper; more workers may."
        )


def _heading(advice: Advice) -> Iterator[str]:
    parts, B = advice.parts, advice.rows_of_a_batch  # noqa: N806  # as the paper calls it
    epoch = parts.loop * advice.num_samples / B
    yield (
        f"{advice.rounds} rounds on {advice.device}; batches of {B} rows, {advice.num_samples:,} "
        f"samples, {advice.num_epochs} epochs"
    )
    yield ""
    run = f"an epoch {_time(epoch)}, the run {_time(epoch * advice.num_epochs)}"
    kind = "behind the training" if parts.overlapped else "on top of the training"
    shares = ", ".join(f"b/B {_ratio(f)}: {s / parts.train:.2f}" for f, s in parts.some.items())
    lines = [
        ("a step of the loop", parts.loop, run),
        ("a batch from the loader", parts.loader, f"when nothing else runs; fetched {kind}"),
        (
            "a batch beside the step",
            parts.beside,
            f"{parts.beside / parts.loop:.0%} of the loop: loading adds it",
        ),
        ("forward, backward, update", parts.train, f"shares of it on b rows: {shares}"),
        ("scoring", parts.score, f"{parts.score / parts.train:.2f} of that (in FLOPs: 0.33)"),
    ]
    for name, seconds, note in lines:
        yield f"  {name:<26} {_time(seconds):>9}   {note}"
    if parts.memory is not None:
        each = (f"b/B {_ratio(f)}: {size / 2**20:,.0f}" for f, size in parts.memory.items())
        yield f"  {'peak memory, MiB':<26} {'':>9}   {', '.join(each)}"


def _table(rows: Sequence[Row], num_epochs: int) -> Iterator[str]:
    yield "  method      b/B    pruned   time of the run       in FLOPs   or the baseline over"
    for row in rows:
        ratio = "" if row.batch_ratio is None else _ratio(row.batch_ratio)
        pruned = "" if row.prune_ratio is None else f"{row.prune_ratio:.2g}"
        time = f"{row.time.median:.3f} [{row.time.low:.3f}, {row.time.high:.3f}]"
        instead = "-" if row.epochs is None else f"{row.epochs} of {num_epochs} epochs"
        start = f"  {row.method:<10}  {ratio:<5}  {pruned:<6}"
        yield f"{start}   {time:<20}  {row.ideal:<8.3f}   {instead}"


def _name(row: Row) -> str:
    return row.method + (f" at b/B {_ratio(row.batch_ratio)}" if row.batch_ratio else "")


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    inverse = 1 / value
    return f"1/{inverse:.0f}" if abs(inverse - round(inverse)) < 1e-9 else f"{value:.3g}"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    for size, unit in ((60, "s"), (3600, "min"), (86400, "h")):
        if seconds < 2 * size:
            return f"{seconds / (size / 60 if size > 60 else 1):.1f} {unit}"
    return f"{seconds / 86400:.1f} days"
