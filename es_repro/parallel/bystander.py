"""The record of a rank that writes none: rank 0 alone does."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

__all__ = ["Bystander"]


class Bystander:
    """Takes whatever a `Record` is told, and does nothing about it.

    Attributes:
        lease: held by rank 0.
        checkpoints: written by rank 0.
        attempt: rank 0 counts them.
    """

    attempt = 0

    def __init__(self) -> None:
        self.lease = SimpleNamespace(report=_nothing, jobs_side_by_side=1)
        self.checkpoints = SimpleNamespace(save=_nothing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _nothing


def _nothing(*_: Any, **__: Any) -> None:  # noqa: ANN401 - whatever it is
    pass
