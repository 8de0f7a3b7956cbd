"""Random: the controls with the same budget and no information, at set or at batch level.

Set level keeps (1 - r) n uniform ids of an epoch. Batch level plans f n uniform ids and has the
loader cut them into batches of b, which is the law of b uniform rows of each meta-batch without
loading the rest (methods.md 2.9). Annealed as ES.
"""

from typing import Literal

import torch

from es_repro.selection.annealing import selecting_epochs
from es_repro.selection.base import EpochPlan, Level, NonFinite, Selector
from es_repro.selection.checks import as_choice, as_real, require
from es_repro.selection.sampling import count, draw_ids
from es_repro.selection.streams import stream

__all__ = ["RandomSelection"]

Redraw = Literal["epoch", "cycle"]


class RandomSelection(Selector):
    """No state per sample, no scoring pass.

    Args:
        num_samples: n.
        num_epochs: E.
        device: where the losses live.
        seed: of the random streams.
        prune_ratio: r, share left out of a selecting epoch, in [0, 1); 0.2 where neither is given.
        batch_ratio: f = b/B, in (0, 1], instead: batch level.
        redraw: ``epoch`` draws anew each time; ``cycle`` deals one shuffle out over the epochs and
            shuffles again when it runs short: without replacement across epochs.
        annealing_start: share of the epochs at the start without selection, in [0, 1].
        annealing_end: the same at the end.
        nonfinite: ``raise`` or ``skip``.

    Raises:
        ValueError: a value outside its range, or both ratios; the message names it.
    """

    level: Level = "set"

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        prune_ratio: float | None = None,
        batch_ratio: float | None = None,
        redraw: Redraw = "epoch",
        annealing_start: float = 0.05,
        annealing_end: float = 0.05,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(num_samples, num_epochs, device=device, seed=seed, nonfinite=nonfinite)
        one = prune_ratio is None or batch_ratio is None
        require(one, "(prune_ratio, batch_ratio)", (prune_ratio, batch_ratio), "one of them alone")
        if batch_ratio is not None:
            self.level = "batch"
            self.batch_ratio = as_real("batch_ratio", batch_ratio, "(0, 1]")
        else:
            ratio = 0.2 if prune_ratio is None else prune_ratio
            self.prune_ratio = as_real("prune_ratio", ratio, "[0, 1)")
        self.redraw: Redraw = as_choice("redraw", redraw, Redraw)
        self.selecting_epochs = selecting_epochs(self.num_epochs, annealing_start, annealing_end)
        self.annealing_start, self.annealing_end = float(annealing_start), float(annealing_end)

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        if self.epoch not in self.selecting_epochs:
            return super()._make_plan(generator)
        n = self.num_samples
        kept = count(self._bp_fraction(), n)
        ids = (
            self._deal(kept) if self.redraw == "cycle" else draw_ids(torch.ones(n), kept, generator)
        )
        return EpochPlan(ids, batch_ratio=1.0 if self.batch_ratio is None else self.batch_ratio)

    def _deal(self, kept: int) -> torch.Tensor:
        """This epoch's hand: a function of (seed, epoch) alone, so there is no cycle to save."""
        hands = self.num_samples // kept
        cycle, hand = divmod(self.epoch - self.selecting_epochs.start, hands)
        shuffled_at = self.selecting_epochs.start + cycle * hands
        shuffle = stream(self.seed, "plan", shuffled_at)
        deck = torch.randperm(self.num_samples, generator=shuffle)
        return deck[hand * kept : (hand + 1) * kept].sort().values

    def _planned_share(self, epoch: int) -> float:
        return self._bp_fraction() if epoch in self.selecting_epochs else 1.0
