"""One claim of the paper beside its computation."""

from dataclasses import dataclass

__all__ = ["FLOAT32", "FLOAT64", "Check"]

FLOAT32, FLOAT64 = 1e-5, 1e-12  # relative errors that rounding explains


@dataclass(frozen=True)
class Check:
    """One claim beside its computation.

    Args:
        source: where the paper says it.
        claim: what it says.
        computed: what came out, in words and numbers.
        holds: whether the claim holds for these numbers.
        expected: false for a claim known not to hold as printed.
    """

    source: str
    claim: str
    computed: str
    holds: bool
    expected: bool = True

    @property
    def as_expected(self) -> bool:
        """Whether it came out as it should."""
        return self.holds == self.expected

    @property
    def verdict(self) -> str:
        """In words."""
        if self.holds:
            return "holds" if self.expected else "HOLDS, against expectation"
        return "DOES NOT HOLD" if self.expected else "does not hold, as known"
