"""The paper's theory as numbers: python -m es_repro.theory (make theory).

Each check says what is claimed, what was computed and whether it holds; some claims are known not
to hold as they are printed, and say so. It knows the selectors and nothing else.
"""

from collections.abc import Iterator

from es_repro.theory.check import Check
from es_repro.theory.filtering import ascent, identity, transfer
from es_repro.theory.weighted_flow import flows

__all__ = ["Check", "checks"]


def checks() -> Iterator[Check]:
    """Every check, in the order of the paper."""
    yield from flows()
    yield from identity()
    yield from transfer()
    yield from ascent()
