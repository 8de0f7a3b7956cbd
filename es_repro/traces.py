"""What a run keeps of its selection, for others to follow or to study; kept on the device."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from es_repro.costs.counters import Picks
from es_repro.parallel.bystander import Bystander
from es_repro.parallel.ranks import Ranks
from es_repro.record import Record
from es_repro.selection import EpochPlan, PlannedBatchSampler, require
from es_repro.selection.replay import EpochTrace, pack_bits
from es_repro.storage.trace_files import losses_bytes, losses_name, selection_bytes, selection_name

__all__ = ["NO_TRACES", "LossTrace", "SelectionTrace", "Traces"]

LARGEST = torch.finfo(torch.float16).max


class SelectionTrace:
    """Writes what each epoch planned and trained, for `replay`.

    Args:
        record: of the run.
        sampler: of the method whose picks are kept, in its order and batches.
        data: the data's fingerprint.
    """

    def __init__(self, record: Record | Bystander, sampler: PlannedBatchSampler, data: str) -> None:
        self._record, self._selector = record, sampler.selector
        selector = sampler.selector
        self._facts = {
            "num_samples": selector.num_samples, "num_epochs": selector.num_epochs,
            "seed": sampler.seed, "meta_batch_size": sampler.meta_batch_size,
            "world_size": sampler.world_size, "method": selector.method_name(),
            "batch_ratio": selector.batch_ratio, "nonfinite": selector.nonfinite, "data": data,
        }  # fmt: skip

    def end_epoch(self, epoch: int, plan: EpochPlan, picks: Picks) -> None:
        """Write the epoch; called by all ranks, before its counts are closed."""
        trained = picks.trained().cpu()
        planned = torch.zeros_like(trained)
        planned[plan.indices] = True
        ids = planned.nonzero().squeeze(1)
        weights = self._selector.weigh(ids.to(self._selector.device)).cpu()
        content = EpochTrace(
            planned=pack_bits(planned),
            trained=pack_bits(trained),
            steps=tuple((rows, len(list(same))) for rows, same in groupby(picks.rows)),
            lr_scale=plan.lr_scale,
            batch_ratio=plan.batch_ratio,
            weights=None if bool((weights == 1).all()) else weights,
        )
        self._record.keep(selection_name(epoch), selection_bytes(epoch, content, self._facts))


class LossTrace:
    """Keeps the losses of an epoch on the device, and writes them at its end.

    Args:
        record: of the run.
        num_samples: n.
        ranks: of the run; each sees the losses of its own rows.
    """

    def __init__(self, record: Record | Bystander, num_samples: int, ranks: Ranks) -> None:
        self._record, self._ranks = record, ranks
        self.losses = torch.full(
            (num_samples,), torch.nan, dtype=torch.float16, device=ranks.device
        )

    def see(self, index: Tensor, losses: Tensor) -> None:
        """Keep the losses of a batch [m]; never waits."""
        self.losses.index_copy_(0, index, losses.clamp(-LARGEST, LARGEST).half())

    def end_epoch(self, epoch: int) -> None:
        """Write the epoch, and begin the next; called by all ranks."""
        self._record.keep(losses_name(epoch), losses_bytes(epoch, self.everyones().cpu()))
        self.losses.fill_(torch.nan)

    def everyones(self) -> Tensor:
        """The losses that any rank has seen."""
        if self._ranks.alone:
            return self.losses
        lowest = -torch.inf
        known = self._ranks.most(self.losses.float().nan_to_num(nan=lowest))
        return known.masked_fill(known == lowest, torch.nan).half()


class Traces:
    """Both traces of a run, those that it keeps.

    Args:
        selection: or None.
        losses: or None.
    """

    def __init__(
        self, selection: SelectionTrace | None = None, losses: LossTrace | None = None
    ) -> None:
        self._selection, self._losses = selection, losses

    def see(self, index: Tensor, losses: Tensor) -> None:
        """Take in the losses of a batch [m], as the selector does; never waits."""
        if self._losses is not None:
            self._losses.see(index, losses)

    def end_epoch(self, epoch: int, plan: EpochPlan, picks: Picks) -> None:
        """Write what was kept of an epoch; called by all ranks."""
        if self._selection is not None:
            self._selection.end_epoch(epoch, plan, picks)
        if self._losses is not None:
            self._losses.end_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """What is kept, and the losses of the epoch so far; its picks are counted by `Picks`."""
        kept: dict[str, Any] = {} if self._selection is None else {"selection": True}
        return kept if self._losses is None else kept | {"losses": self._losses.everyones()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on within an epoch.

        Raises:
            ValueError: the run has not kept from its start what is asked for now.
        """
        asked = {"selection": self._selection is not None, "losses": self._losses is not None}
        for kind in (kind for kind, wanted in asked.items() if wanted):
            allowed = "false: the run has begun without it (resume=never starts it afresh)"
            require(kind in state, f"trace.{kind}", True, allowed)
        if self._losses is not None:
            self._losses.losses.copy_(state["losses"])


NO_TRACES = Traces()
