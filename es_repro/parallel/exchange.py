"""The exchange of score tables between the ranks of a run, in the engine's terms."""

from collections.abc import Mapping

from torch import Tensor

from es_repro.parallel.ranks import Ranks
from es_repro.selection import Selector, require
from es_repro.selection.exchange import TableExchange, TableSync
from es_repro.tasks import Output

__all__ = ["Exchange", "TableSync"]


class Exchange(TableExchange):
    """Carries (index, losses, signals) between the ranks of a run; alone, it does nothing.

    Args:
        ranks: of the run.
        selector: whose tables are kept equal.
        sync: `step` sends after every batch; `epoch` keeps the rows until `settle`, which the
            engine calls at the log interval, before checkpoints and at the end of an epoch.

    Raises:
        ValueError: another `sync`.
    """

    def __init__(self, ranks: Ranks, selector: Selector, sync: TableSync = "step") -> None:
        require(sync in ("step", "epoch"), "run.table_sync", sync, "step or epoch")
        super().__init__(selector, ranks.rank, ranks.world_size, sync)

    def send(self, index: Tensor, seen: Output) -> None:
        """Let the others know what this rank's batch [m] said; never waits.

        Args:
            index: [m] int64, equally many on every rank.
            seen: its scores and signals, which the selector has been given already.
        """
        self.send_rows(index, seen.scores, seen.signals)

    def everyones(self, ids: Tensor, mine: Output) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Scores and signals of all `ids` [h], each rank having `share_ids` of them.

        Returns:
            scores [h] and signals [h, ...] in the order of `ids`.
        """
        return self.everyones_rows(ids, mine.scores, mine.signals)
