"""The processes that decode images for a run, alive from its first batch to its last."""

import atexit
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.util import Finalize
from typing import Any

import torch
from torch.utils.data import DataLoader

from es_repro.data.decoding import Decoded, Pictures, Request

__all__ = ["Workers"]


class Workers:
    """Answers requests in their order, a few batches ahead; one pool serves every purpose.

    Args:
        pictures: what is asked.
        num_workers: processes; 0 decodes in this one, when a batch is taken.
        pinned: hand over page-locked memory, from which copies to the device do not wait.
    """

    def __init__(self, pictures: Pictures, num_workers: int, *, pinned: bool) -> None:
        self._feed, self._turn = _Feed(), 0
        self._loader: DataLoader[Any] = DataLoader(
            pictures,  # type: ignore[arg-type]  # asked for whole batches, it needs no more
            batch_sampler=self._feed,
            num_workers=num_workers,
            collate_fn=_as_it_is,
            pin_memory=pinned,
            persistent_workers=num_workers > 0,
            worker_init_fn=_leave_signals_to_the_run if num_workers else None,
            # Of its own: a DataLoader draws its workers' seeds from the global one.
            generator=torch.Generator(),
        )
        # With this object, or at exit before multiprocessing's own farewell, which would wait for
        # workers that ignore its signal; where this process is somebody's child, only the
        # finalizer is called, and elsewhere it would come when torch closes no workers any more.
        self.close = Finalize(self, _close, (self._loader,), exitpriority=10)
        atexit.register(self.close)

    def answers(self, batches: Sequence[list[Request]]) -> Iterator[Decoded]:
        """The batches asked for, in order.

        Whoever asks anew takes the workers away from the answers still to come.

        Raises:
            RuntimeError: somebody else asked meanwhile, or a worker died.
        """
        self._turn += 1
        turn = self._turn
        self._feed.batches = batches
        for decoded in self._loader:
            yield decoded
            if turn != self._turn:
                raise RuntimeError("another iteration over the data has begun since this one did")


class _Feed:
    """The batch sampler: whatever is to be asked next."""

    def __init__(self) -> None:
        self.batches: Sequence[list[Request]] = ()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Request]]:
        return iter(self.batches)


def _as_it_is(decoded: Any) -> Any:  # noqa: ANN401 - a collate_fn is given what the data set gave
    return decoded


def _leave_signals_to_the_run(_worker: int) -> None:
    """A signal to the whole group (Ctrl-C, a scheduler's) must find the workers alive.

    The run then saves what it has, and ends them itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _close(loader: DataLoader[Any]) -> None:
    iterator = loader._iterator
    if iterator is not None:
        iterator._shutdown_workers()  # type: ignore[attr-defined]  # only pools are kept there
