"""The function that advises: is data selection worth it in this loop?"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from es_repro.advise.advice import Advice, Parts
from es_repro.advise.batches import Batches, Clock
from es_repro.advise.candidates import Method, candidates, choosing
from es_repro.advise.loop import Loop, Stateful, loop_of, probe, put_back
from es_repro.advise.measuring import Measured, measure
from es_repro.advise.predicting import break_even, predict, step_ratio
from es_repro.selection import require
from es_repro.selection.batches import take_rows
from es_repro.selection.checks import as_int, as_reals

__all__ = ["METHODS", "RATIOS", "advise", "advise_loop"]

Batch = Any
METHODS = ("es", "eswp", "loss", "order", "random", "infobatch", "ka", "ucb", "orderdp")
RATIOS = (0.5, 0.25, 0.125)  # b/B


def advise(
    step: Callable[[Batch], Tensor],
    loader: Iterable[Batch],
    *,
    num_epochs: int,
    update: Callable[[Tensor], object] | None = None,
    score: Callable[[Batch], Tensor] | None = None,
    take: Callable[[Batch, Tensor], Batch] = take_rows,
    restore: Sequence[Stateful] = (),
    methods: Sequence[Method] = METHODS,
    ratios: Sequence[float] = RATIOS,
    num_samples: int | None = None,
    rounds: int = 30,
    warmup: int = 3,
    show: Callable[[float, str], None] = lambda *_: None,
    clock: Clock = time.perf_counter,
) -> Advice:
    """Time a training loop's parts in turn and predict what each method would make of a run.

    It costs about five steps a round. The loop is taken as it is: no ids are needed for it. Call
    it where training would begin; with `restore`, what the steps move comes out as it was::

        advice = advise(
            lambda batch: cross_entropy(model(batch[0]), batch[1], reduction="none"),
            loader,
            num_epochs=30,
            update=lambda loss: (loss.backward(), optimizer.step(), optimizer.zero_grad()),
            restore=[model, optimizer],
        )
        print(advice)

    Args:
        step: a batch -> its losses [m], one a sample, with gradient.
        loader: of whole batches; iterated several times, and left alone where it is a generator.
        num_epochs: E, of the run that is thought about: annealing depends on it.
        update: loss -> backward and whatever follows; backward alone where nothing is given.
        score: a batch -> its losses [m] as a scoring pass would find them, if not as `step` does.
        take: (batch, rows [b] int64) -> the batch of these rows.
        restore: model, optimizer, scaler: whatever has a state and is moved.
        methods: names, each tried at all of `ratios` where it has a b/B; or pairs of a name and
            its hyper-parameters, each tried as it is.
        ratios: b/B, in (0, 1).
        num_samples: n; None: as many as the loader says.
        rounds: that are timed.
        warmup: rounds before them, for what compiles, allocates or tunes itself.
        show: called with the share done and what is being timed.
        clock: in seconds; tests bring their own.

    Raises:
        ValueError: the loop is not one that can be advised on; the message names why.
    """
    loop = loop_of(step, update, take, score)
    with put_back(restore):
        return advise_loop(
            loop, loader, num_epochs=num_epochs, methods=methods, ratios=ratios,
            num_samples=num_samples, rounds=rounds, warmup=warmup, show=show, clock=clock,
        )  # fmt: skip


def advise_loop(
    loop: Loop,
    loader: Iterable[Batch],
    *,
    num_epochs: int,
    methods: Sequence[Method] = METHODS,
    ratios: Sequence[float] = RATIOS,
    num_samples: int | None = None,
    rounds: int = 30,
    warmup: int = 3,
    show: Callable[[float, str], None] = lambda *_: None,
    clock: Clock = time.perf_counter,
) -> Advice:
    """The same for a loop that is in its parts already: accumulation, passes of its own.

    Args:
        loop: its parts.
        loader: as of `advise`, like the rest.
        num_epochs: E.
        methods: what is tried.
        ratios: b/B.
        num_samples: n.
        rounds: timed.
        warmup: before them.
        show: progress.
        clock: in seconds.

    Raises:
        ValueError: as of `advise`.
    """
    num_epochs = as_int("num_epochs", num_epochs, minimum=1)
    rounds = as_int("rounds", rounds, minimum=5)
    warmup = as_int("warmup", warmup, minimum=1)
    ratios = as_reals("ratios", ratios, "(0, 1)")
    require(len(ratios) > 0, "ratios", list(ratios), "at least one b/B")
    batches = Batches(loader, rounds, clock)
    rows, device = probe(loop, batches.fetch())
    n = _num_samples(loader, rows) if num_samples is None else num_samples
    tried = candidates(methods, ratios, as_int("num_samples", n, minimum=1), num_epochs, device)
    wanted = {x.batch_ratio for x in tried if x.batch_ratio is not None} | set(ratios)
    measured = measure(
        loop, batches, sorted(wanted, reverse=True), rounds=rounds, warmup=warmup, device=device,
        clock=clock, show=show,
    )  # fmt: skip
    batches.close()
    show(0.95, "the selectors")
    costs = [choosing(x.selector, min(rows, n), rounds, device, clock) for x in tried]
    points = [(f, max((c.select for c in costs), default=0.0)) for f in (*measured.selecting, 1.0)]
    return Advice(
        device=_device_name(device),
        rounds=rounds,
        rows_of_a_batch=rows,
        num_samples=n,
        num_epochs=num_epochs,
        parts=_parts(measured),
        rows=[predict(x, measured, c, n / rows) for x, c in zip(tried, costs, strict=True)],
        break_even=break_even([(f, step_ratio(measured, f, select)) for f, select in points]),
    )


def _parts(measured: Measured) -> Parts:
    def middle(seconds: Tensor) -> float:
        return float(seconds.quantile(0.5))

    train = middle(measured.train)
    return Parts(
        loop=max(train + measured.beside, measured.fetching.alone),
        loader=measured.fetching.alone,
        beside=measured.beside,
        train=train,
        score=middle(measured.score),
        some={ratio: middle(seconds) for ratio, seconds in measured.some.items()},
        selecting={ratio: middle(seconds) for ratio, seconds in measured.selecting.items()},
        memory=measured.memory,
    )


def _num_samples(loader: object, rows: int) -> int:
    """The length of the loader's data set, or of its batches together."""
    for sized, each in ((getattr(loader, "dataset", None), 1), (loader, rows)):
        try:
            return len(sized) * each  # type: ignore[arg-type]  # a TypeError is an answer too
        except TypeError:
            continue
    raise ValueError("num_samples=None: must be given; the loader does not say how many it has")


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
