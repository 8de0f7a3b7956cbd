"""The methods that advice is given on: what each would do in a run, and what its choosing costs."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from es_repro.advise.batches import Clock, synchronise
from es_repro.selection import Cost, Selector, create, selector_class, stream

__all__ = ["Candidate", "Choosing", "candidates", "choosing"]

Method = str | tuple[str, Mapping[str, Any]]
PLANNED = 3  # epochs whose planning is timed
LOSS_MEDIAN, LOSS_SIGMA = 0.5, 1.0  # of made losses, log-normal as those of a net that has learned


@dataclass(frozen=True, eq=False)
class Candidate:
    """A method with its hyper-parameters, for a run of this length.

    Attributes:
        selector: of the method.
        cost: of the whole run, in samples, from the method's cost model.
    """

    selector: Selector
    cost: Cost

    @property
    def batch_ratio(self) -> float | None:
        """b/B where less than the whole batch is trained."""
        ratio = self.selector.batch_ratio
        return ratio if ratio is not None and ratio < 1 else None

    @property
    def scores(self) -> bool:
        """Whether its mini-batches are chosen by a scoring pass."""
        return self.batch_ratio is not None and self.cost.forward_only > 0


@dataclass(frozen=True)
class Choosing:
    """Seconds of the selector itself.

    Attributes:
        select: update and choice in a meta-batch.
        observe: update alone, where a whole batch is trained.
        plan: of one epoch.
    """

    select: float
    observe: float
    plan: float


def candidates(
    methods: Sequence[Method],
    ratios: Sequence[float],
    num_samples: int,
    num_epochs: int,
    device: torch.device,
) -> list[Candidate]:
    """A selector for every method that is given whole, and for every ratio of the rest.

    Args:
        methods: names, which are tried at each ratio where the method has one; or (name,
            hyper-parameters), which is tried as it is.
        ratios: b/B.
        num_samples: n.
        num_epochs: E.
        device: where the losses live.

    Raises:
        ValueError: no such method or hyper-parameter.
    """
    found = []
    for method in methods:
        if isinstance(method, str):
            has_ratio = "batch_ratio" in selector_class(method).hyperparameter_names()
            several = [{"batch_ratio": ratio} for ratio in ratios] if has_ratio else [{}]
            named: list[tuple[str, Mapping[str, Any]]] = [(method, own) for own in several]
        else:
            named = [method]
        for name, settings in named:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is dear: the advice says it with numbers
                selector = create(name, num_samples, num_epochs, device=device, **settings)
            cost = type(selector).expected_cost(num_epochs, **selector.hyperparameters)
            found.append(Candidate(selector, cost))
    return found


def choosing(
    selector: Selector, rows: int, rounds: int, device: torch.device, clock: Clock
) -> Choosing:
    """Time a selector that has seen every sample once, in the middle of its run.

    Args:
        selector: moved by this.
        rows: of a meta-batch.
        rounds: calls of each.
        device: where the losses live.
        clock: seconds.
    """
    n, epochs = selector.num_samples, selector.num_epochs
    generator = stream(0, "made losses", 0)
    losses = (LOSS_MEDIAN * (LOSS_SIGMA * torch.randn(n, generator=generator)).exp()).to(device)
    index = torch.randperm(n, generator=generator).to(device)
    signals = {name: torch.ones_like(losses) for name in selector.signals}
    selector.observe(index, losses, **signals)
    index, losses = index[:rows].contiguous(), losses[:rows].contiguous()
    signals = {name: values[:rows] for name, values in signals.items()}

    def seconds(calls: int, work: Any) -> float:  # noqa: ANN401  # any callable of a number
        synchronise(device)
        start = clock()
        for number in range(calls):
            work(number)
        synchronise(device)
        return (clock() - start) / calls

    first = max(0, epochs // 2 - PLANNED // 2)
    planned = min(PLANNED, epochs - first)
    plan = seconds(planned, lambda number: selector.plan_epoch(first + number))
    observe = seconds(rounds, lambda _: selector.observe(index, losses, **signals))
    select = 0.0
    selector.plan_epoch(epochs // 2)
    if selector.selects_batches:
        select = seconds(rounds, lambda _: selector.select(index, losses, **signals))
    return Choosing(select, observe, plan)
