"""The option ``--selector`` of the conformance kit; pytest finds it by its entry point.

It stands outside `es_repro.selection` so that other people's test sessions do not import torch.
"""

import typing

if typing.TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption"]


def pytest_addoption(parser: "pytest.Parser") -> None:
    """Add ``--selector``, which may be given more than once."""
    parser.getgroup("es_repro").addoption(
        "--selector",
        action="append",
        metavar="NAME|MODULE:ATTRIBUTE",
        help="a selector for --pyargs es_repro.selection.conformance",
    )
