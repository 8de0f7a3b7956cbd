"""What the environment says of this process's place among those of its run (torchrun sets it)."""

import os

__all__ = ["is_alone", "is_main", "local_size", "world_size"]


def world_size() -> int:
    """W: how many processes the run has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_size() -> int:
    """How many of them are on this host."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", world_size()))


def is_alone() -> bool:
    """Whether this process is the only one of its run."""
    return world_size() == 1


def is_main() -> bool:
    """Whether this process is the one that writes and shows."""
    return is_alone() or os.environ.get("RANK") == "0"
