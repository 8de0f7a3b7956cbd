"""One run of many processes ends with one line: who says it, and what the others learn."""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta

import torch.distributed as dist

from es_repro.parallel.world import is_alone

__all__ = ["RankLost", "noticing", "speaks"]

# How the backends say that a peer is gone; gloo raises plain RuntimeErrors.
GONE = re.compile(
    r"closed by peer|connection (was )?(closed|reset|refused)|broken pipe|socket|timed out|timeout"
    r"|remote process|abort",
    re.IGNORECASE,
)
KEY = "es_repro/failure"


class RankLost(RuntimeError):
    """Another process of the run has ended."""


@contextlib.contextmanager
def noticing() -> Iterator[None]:
    """Turn what the backends raise when a peer is gone into one line.

    Raises:
        RankLost: with the peer's own error, where it had the time to leave one.
    """
    try:
        yield
    except RuntimeError as error:
        if is_alone() or isinstance(error, RankLost) or not GONE.search(str(error)):
            raise
        told = _told()
        reason = told or "it was killed or its host is gone"
        hint = "the same command goes on from the last checkpoint"
        raise RankLost(f"another process of this run has ended ({reason}); {hint}") from error


def speaks(line: str) -> bool:
    """Whether this process is the first of its run to fail, and so the one that says `line`."""
    if is_alone():
        return True
    rank = int(os.environ.get("RANK", "0"))
    store = _store()
    if store is None:
        return rank == 0
    try:
        first = store.add(f"{KEY}/count", 1) == 1
        if first:
            store.set(f"{KEY}/line", f"rank {rank}: {line}")
    except RuntimeError:  # the store went with its host
        return rank == 0
    return first


def _told() -> str | None:
    store = _store()
    try:
        if store is not None and store.check([f"{KEY}/line"]):
            return store.get(f"{KEY}/line").decode()
    except RuntimeError:
        pass
    return None


def _store() -> dist.Store | None:
    """The launch's store, apart for every attempt of torchrun to restart its workers."""
    store: dist.Store
    if dist.is_initialized():
        store = dist.distributed_c10d._get_default_store()
    elif os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        try:
            store = dist.TCPStore(
                *address, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=10)
            )
        except RuntimeError:
            return None
    else:
        return None
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dist.PrefixStore(f"es_repro/{attempt}", store)
