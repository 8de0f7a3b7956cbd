"""What methods would have picked, from the losses that a run has seen; nothing is trained.

The library's own selectors are shown the recorded losses, batch by batch, each with the same seed
and so with the same random numbers: where two of them differ, their weights do. The losses are
those of the recorded run whatever is picked, so its own training is not told here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from es_repro.report.sheet import Part, Sheet, number
from es_repro.selection import Selector, create, stream

__all__ = ["Candidate", "LossRecord", "candidates", "compared", "sheet"]


@dataclass(frozen=True)
class Candidate:
    """A method that could have picked: how it is called, and how `create` knows it."""

    label: str
    method: str
    options: dict[str, float] = field(default_factory=dict)

    def selector(self, record: "LossRecord", batch_ratio: float) -> Selector:
        """The method for this many samples and epochs, with the record's seed."""
        epochs, n = record.losses.shape
        options: dict[str, Any] = {"batch_ratio": batch_ratio, **self.options}
        return create(self.method, n, epochs, seed=record.seed, **options)


@dataclass(frozen=True, eq=False)
class LossRecord:
    """The losses of one run.

    Attributes:
        losses: [epochs, n] float32, NaN where a sample was not seen.
        meta_batch_size: B.
        seed: of the batches and of all random numbers; the run's.
        about: data and method, in words.
    """

    losses: Tensor
    meta_batch_size: int
    seed: int
    about: str = ""


def candidates(beta1: Iterable[float], beta2: Sequence[float]) -> list[Candidate]:
    """Chance, the methods without history, and ES over a grid of betas, none annealed."""
    plain = {"annealing_start": 0.0, "annealing_end": 0.0}
    references = [
        Candidate("uniform", "es", {"beta1": 1.0, "beta2": 1.0, **plain}),  # all weigh 1/n
        Candidate("Order", "order"),
        Candidate("Loss", "loss"),
    ]
    grid = [
        Candidate(
            f"{'NonDif' if one == two else 'ES'} ({one:g}, {two:g})",
            "es", {"beta1": one, "beta2": two, **plain},
        )
        for one in beta1 for two in beta2
    ]  # fmt: skip
    return references + grid


def compared(
    records: Sequence[LossRecord], methods: Sequence[Candidate], batch_ratio: float
) -> pd.DataFrame:
    """How alike any two methods pick, and how well each weight foretells.

    Args:
        records: one a run; means and spreads are over them.
        methods: in the order of the table.
        batch_ratio: b/B.

    Returns:
        A line a pair: first, second, overlap (share of the picks of one that are the other's),
        overlap_sd, foresight (of the first: rank correlation of its weights with the losses of the
        next epoch, NaN where the weights are all equal), foresight_sd, runs.
    """
    found = [_one_run(record, methods, batch_ratio) for record in records]
    overlaps = np.stack([overlap for overlap, _ in found])
    foresights = np.stack([foresight for _, foresight in found])
    several = len(records) > 1
    blank = np.full(overlaps.shape[1:], np.nan)
    overlap_sd = overlaps.std(axis=0, ddof=1) if several else blank
    foresight_sd = foresights.std(axis=0, ddof=1) if several else blank[0]
    labels = [method.label for method in methods]
    return pd.DataFrame([
        {
            "first": labels[i], "second": labels[j],
            "overlap": overlaps[:, i, j].mean(), "overlap_sd": overlap_sd[i, j],
            "foresight": foresights[:, i].mean(), "foresight_sd": foresight_sd[i],
            "runs": len(records),
        }
        for i in range(len(labels)) for j in range(len(labels))
    ])  # fmt: skip


def sheet(pairs: pd.DataFrame, records: Sequence[LossRecord], batch_ratio: float) -> Sheet:
    """The table: foresight, then the overlaps in percent, a line and a column a method."""
    labels = list(dict.fromkeys(pairs["first"]))
    rows = []
    for label, mine in pairs.groupby("first", sort=False):
        shares = dict(zip(mine["second"], mine["overlap"], strict=True))
        told = number(float(mine["foresight"].iloc[0]), 3)
        cells = {other: number(100 * shares[other], 1) for other in labels}
        rows.append({"method": label, "foretells": told, **cells})
    epochs, n = records[0].losses.shape
    legend = (
        f"{len(records)} run{'s' if len(records) > 1 else ''} ({records[0].about}), n = {n}, "
        f"{epochs} epochs, B = {records[0].meta_batch_size}, b/B = {batch_ratio:g}",
        "columns of methods: percent of the picks of one that are the other's too, under equal "
        f"random numbers; two independent uniform draws share {100 * batch_ratio:g}",
        "foretells: rank correlation of the weights after an epoch with the losses of the next",
        "picks are replayed over recorded losses: what they would have changed is not in them",
        *(("mean over the runs; their spread is in the CSV file",) if len(records) > 1 else ()),
    )
    return Sheet((Part("", "", pd.DataFrame(rows)),), legend, pairs)


def _one_run(
    record: LossRecord, methods: Sequence[Candidate], batch_ratio: float
) -> tuple[np.ndarray, np.ndarray]:
    """Overlap [c, c] and foresight [c] of c methods over one run."""
    selectors = [method.selector(record, batch_ratio) for method in methods]
    epochs, n = record.losses.shape
    shared = torch.zeros(len(methods), len(methods), dtype=torch.float64)
    latest = torch.full((n,), torch.nan)
    foresights: list[list[float]] = []
    for epoch in range(epochs):
        losses = record.losses[epoch]
        if epoch > 0:
            foresights.append([_foresight(x.weights, latest, losses) for x in selectors])
        picks = _picks(selectors, losses, epoch, record)
        shared += picks @ picks.T / picks[0].sum()
        latest = torch.where(losses.isnan(), latest, losses)
    means = pd.DataFrame(foresights, columns=range(len(methods)), dtype=float).mean()
    return (shared / epochs).numpy(), means.to_numpy()


def _picks(selectors: Sequence[Selector], losses: Tensor, epoch: int, record: LossRecord) -> Tensor:
    """What each method picks in an epoch: [c, n] float64 of zeros and ones."""
    picks = torch.zeros(len(selectors), len(losses), dtype=torch.float64)
    ids = (~losses.isnan()).nonzero().squeeze(1)
    order = torch.randperm(len(ids), generator=stream(record.seed, "order", epoch))
    for row, selector in enumerate(selectors):
        selector.plan_epoch(epoch)
        for index in ids[order].split(record.meta_batch_size):
            picks[row, index[selector.select(index, losses[index])]] = 1
    return picks


def _foresight(weights: Tensor | None, latest: Tensor, losses: Tensor) -> float:
    """Spearman's correlation of weights [n] (None: the latest losses) with the losses that follow.

    Over the samples that were seen before and now; NaN where the weights are all the same.
    """
    known = ~(latest.isnan() | losses.isnan())
    before = (latest if weights is None else weights)[known].numpy()
    if len(before) == 0 or before.min() == before.max():
        return float("nan")
    ranks = pd.DataFrame({"before": before, "after": losses[known].numpy()}).rank()
    return float(ranks["before"].corr(ranks["after"]))
