"""Whether a method keeps the selectors' contract, by the conformance kit, kept with the results."""

from collections.abc import Mapping

import torch

from es_repro.judge.arms import Arm
from es_repro.judge.store import Store, content_key
from es_repro.selection import Selector
from es_repro.selection.conformance import PROMISES, check

__all__ = ["broken_promises", "together"]


def broken_promises(arm: Arm, store: Store) -> Mapping[str, str]:
    """What the arm's selector does against the contract, by the promise's name; empty: nothing.

    Args:
        arm: whose selector is asked.
        store: where the answer is kept: it takes a second or two.
    """
    key = content_key({"promises": sorted(PROMISES), "arm": dict(arm.identity)})
    kept = store.read_note(key)
    if kept is None:

        def factory(
            num_samples: int, num_epochs: int, *, device: torch.device | str, seed: int
        ) -> Selector:
            return arm.make(
                num_samples=num_samples, num_epochs=num_epochs, device=device, seed=seed
            )

        kept = {failure.promise: _first_line(failure.message) for failure in check(factory)}
        store.keep_note(key, kept)
    return kept


def together(broken: Mapping[str, str]) -> list[tuple[str, str]]:
    """Promises that were broken in the same way, in one text, and how."""
    ways: dict[str, list[str]] = {}
    for promise, message in broken.items():
        ways.setdefault(message, []).append(promise)
    return [(", ".join(promises), message) for message, promises in ways.items()]


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
