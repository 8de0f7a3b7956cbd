"""Does a selector keep the contract? A kit for methods of one's own, on a CPU, in seconds.

    pytest --pyargs es_repro.selection.conformance --selector es
    pytest --pyargs es_repro.selection.conformance --selector my_module:MySelector

or, without pytest, ``check(MySelector)``, which answers the promises that are broken. What is
checked is the contract alone, through public methods: whether a method is any good is not asked.
"""

import importlib
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from es_repro.selection.base import Selector
from es_repro.selection.conformance import continuity, devices, picking, ranks, refusals
from es_repro.selection.conformance.drive import BrokenPromise, Factory, Promise, own_generators
from es_repro.selection.factory import create, selector_class
from es_repro.selection.foreign import as_selector

__all__ = ["PROMISES", "BrokenPromise", "Factory", "Failure", "check", "keep", "resolve"]

PROMISES: dict[str, Promise] = {
    "plans": picking.plans_are_of_the_data_set,
    "picks": picking.picks_are_positions,
    "budget": picking.budget_is_kept,
    "inputs": picking.inputs_are_left_alone,
    "seeds": picking.seed_alone_decides,
    "global generators": picking.global_generators_are_left_alone,
    "planning again": continuity.planning_again_changes_nothing,
    "state": continuity.state_continues_bit_for_bit,
    "copies": continuity.copies_continue_alike_and_apart,
    "iterators": continuity.iterators_are_fresh,
    "accumulation": ranks.micro_batches_add_up,
    "two ranks": ranks.two_ranks_are_one,
    "no waiting": devices.device_is_not_waited_for,
    "scalar losses": refusals.scalar_losses_are_refused,
    "non-finite losses": refusals.non_finite_losses_are_told,
}


@dataclass(frozen=True)
class Failure:
    """A promise that is not kept, by its name in `PROMISES`, and what was seen instead."""

    promise: str
    message: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.message}"


def check(factory: Factory | str) -> list[Failure]:
    """Hold a selector against every promise of the contract; an empty list: it keeps them all.

    Args:
        factory: a selector class, or whatever builds one from
            ``(num_samples, num_epochs, *, device, seed)``; or its name, as of ``--selector``.

    Raises:
        ValueError: there is no selector of this name.
    """
    factory = resolve(factory) if isinstance(factory, str) else factory
    failures = []
    for name in PROMISES:
        try:
            keep(name, factory)
        except BrokenPromise as error:
            failures.append(Failure(name, str(error)))
    return failures


def keep(promise: str, factory: Factory) -> None:
    """See whether one promise is kept; Python's, NumPy's and torch's generators stay as they are.

    Raises:
        BrokenPromise: it is not, or the selector failed on the way.
    """
    with own_generators():
        try:
            PROMISES[promise](partial(_whole, factory))
        except BrokenPromise:
            raise
        except Exception as error:
            raise BrokenPromise(f"it raised {type(error).__name__}: {error}") from error


def _whole(
    factory: Factory, num_samples: int, num_epochs: int, *, device: torch.device | str, seed: int
) -> Selector:
    return as_selector(factory(num_samples, num_epochs, device=device, seed=seed))


def resolve(selector: str) -> Factory:
    """The factory that a name stands for: a method's, or ``module:attribute``.

    Raises:
        ValueError: there is no such method, module or attribute.
    """
    module_name, colon, attribute = selector.partition(":")
    if not colon:
        selector_class(selector)
        return partial(create, selector)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        factory: Factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"selector={selector!r}: must be a method, or module:attribute ({error})"
        ) from error
    return factory
