"""One test a promise; ``pytest --pyargs es_repro.selection.conformance --selector NAME``."""

import pytest

from es_repro.selection.conformance import PROMISES, BrokenPromise, keep, resolve


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every selector asked for, by every promise.

    Raises:
        pytest.UsageError: none is asked for, or one that there is not.
    """
    selectors = metafunc.config.getoption("--selector", default=None)
    if not selectors:
        raise pytest.UsageError("--selector=None: must be a method, or module:attribute")
    for selector in selectors:
        try:
            resolve(selector)
        except ValueError as error:
            raise pytest.UsageError(f"--selector: {error}") from error
    metafunc.parametrize("selector", selectors)
    metafunc.parametrize("promise", PROMISES)


def test_selector(selector: str, promise: str) -> None:
    """A selector keeps a promise."""
    try:
        keep(promise, resolve(selector))
    except BrokenPromise as error:
        cause = error.__cause__
        if cause is not None:  # its own failure: where it happened is what helps
            raise
        pytest.fail(str(error), pytrace=False)
