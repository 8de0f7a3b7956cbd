"""One word for a comparison: better, equivalent, worse, insensitive, undecided or identical.

A method that saves compute is compared with the baseline at full cost, and the yardstick is
`short`: the baseline trained to its end at the method's cost. Half of what `short` loses is the
margin: a method within it has won back more than half of what its saving costs. The margin is
measured, too, so it does not stand as a constant: "within it" is tested as a contrast of the three
arms, `method - (baseline + short) / 2 > 0` from below and `method - (3 baseline - short) / 2 < 0`
from above, whose standard error holds the margin's. Where `short` loses nothing that can be seen,
the workload cannot tell a good method from no method: equality is then no merit, and the word is
*insensitive*; only a difference that is seen all the same keeps its name.

With seeds enough, a difference can be seen that is well within the margin. The word is then
*equivalent*: it answers what was asked, and *worse* or *better* would put such a difference beside
one that lies beyond the margin. What was seen is said behind it, with its interval, whichever way
it goes: `equivalent within 0.52, though lower by 0.20 [0.10, 0.30]`.

Two arms that answer the same on every seed were not compared: they are one arm under two names,
such as annealing of 5% and none in a run of six epochs. The word is *identical*.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from es_repro.statistics.contrast import Contrast, contrast
from es_repro.statistics.multiple import holm

__all__ = ["Decision", "Trial", "Word", "decide", "decide_all", "trial"]

Word = Literal["better", "equivalent", "worse", "insensitive", "undecided", "identical"]
Though = Literal["", "lower", "higher"]


@dataclass(frozen=True)
class Trial:
    """What a comparison found; p-values as yet uncorrected.

    Args:
        difference: method minus what it is compared with.
        short_loss: what `short` loses; None: a comparison at equal cost, or with a given margin.
        margin: half of the loss, or the given one.
        p_differs: two-sided, of the difference.
        p_not_inferior: that the method loses less than the margin.
        p_equivalent: that it also gains less than the margin (TOST).
        standard_error: the larger one of those of TOST's two tests.
    """

    difference: Contrast
    short_loss: Contrast | None
    margin: float
    p_differs: float
    p_not_inferior: float
    p_equivalent: float
    standard_error: float


@dataclass(frozen=True)
class Decision:
    """A word, and what it was decided on.

    Args:
        word: the verdict.
        trial: its comparison.
        half_width: of the difference's interval: the x of "undecided at +-x".
        p_differs, p_equivalent: as decided on, corrected where several were decided together.
        though: `lower` or `higher` where it is equivalent, and yet a difference is seen.
    """

    word: Word
    trial: Trial
    half_width: float
    p_differs: float
    p_equivalent: float
    though: Though = ""

    def __str__(self) -> str:
        """Such as `equivalent within 0.52` or `undecided at +-0.80`."""
        more = {
            "equivalent": f" within {self.trial.margin:.2f}",
            "undecided": f" at +-{self.half_width:.2f}",
        }
        return self.word + more.get(self.word, "") + (self._seen if self.though else "")

    @property
    def _seen(self) -> str:
        size = abs(self.trial.difference.mean)
        least, most = size - self.half_width, size + self.half_width
        return f", though {self.though} by {size:.2f} [{least:.2f}, {most:.2f}]"


def trial(
    method: ArrayLike,
    baseline: ArrayLike,
    *,
    short: ArrayLike | None = None,
    margin: float | None = None,
    paired: bool = True,
) -> Trial:
    """Compare two arms.

    Args:
        method: accuracies [seeds], higher is better.
        baseline: what it is compared with [seeds].
        short: the baseline at the method's cost [seeds]; gives the margin.
        margin: a given one, instead of `short`, above 0.
        paired: whether position s is the same seed in every arm.

    Raises:
        ValueError: not exactly one of `short` and `margin`, or arms without two seeds.
    """
    if (short is None) == (margin is None):
        raise ValueError("trial: must have one of short and margin")
    difference = contrast((1, -1), (method, baseline), paired=paired)
    if short is None:
        assert margin is not None  # the line above
        if not margin > 0:
            raise ValueError(f"margin={margin}: must be above 0")
        lower, upper = difference.p_above(-margin), difference.p_below(margin)
        return Trial(
            difference, None, margin, difference.p_differs(), lower, max(lower, upper),
            difference.standard_error,
        )  # fmt: skip
    loss = contrast((1, -1), (baseline, short), paired=paired)
    arms = (method, baseline, short)
    below = contrast((1, -0.5, -0.5), arms, paired=paired)
    above = contrast((1, -1.5, 0.5), arms, paired=paired)
    lower, upper = below.p_above(0), above.p_below(0)
    return Trial(
        difference, loss, loss.mean / 2, difference.p_differs(), lower, max(lower, upper),
        max(below.standard_error, above.standard_error),
    )  # fmt: skip


def decide(one: Trial, level: float = 0.95) -> Decision:
    """The word for a comparison that stands alone."""
    return _decide(one, one.p_differs, one.p_equivalent, level)


def decide_all(trials: Mapping[str, Trial], level: float = 0.95) -> dict[str, Decision]:
    """The words for comparisons decided together: Holm's correction over each kind of claim.

    A false "better" or "worse" among them has a chance of 1 - level, and a false "equivalent" one
    of its own.
    """
    differs = holm([one.p_differs for one in trials.values()])
    equivalent = holm([one.p_equivalent for one in trials.values()])
    return {
        name: _decide(one, float(p), float(q), level)
        for (name, one), p, q in zip(trials.items(), differs, equivalent, strict=True)
    }


def _decide(one: Trial, p_differs: float, p_equivalent: float, level: float) -> Decision:
    alpha = 1 - level
    seen: Though = "" if p_differs >= alpha else "higher" if one.difference.mean > 0 else "lower"
    sensitive = one.short_loss is None or one.short_loss.p_above(0) < alpha
    word: Word = "undecided"
    if one.difference.mean == 0 and one.difference.standard_error == 0:
        word = "identical"
    elif p_equivalent < alpha and sensitive:
        word = "equivalent"
    elif seen:
        word = "better" if seen == "higher" else "worse"
    elif not sensitive:
        word = "insensitive"
    half = one.difference.half_width(level)
    though = seen if word == "equivalent" else ""
    return Decision(word, one, half, p_differs, p_equivalent, though)
