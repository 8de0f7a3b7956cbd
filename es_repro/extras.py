"""Optional parts of the package: a command that lacks some ends in a line that names them."""

import re
import sys
from importlib import metadata

__all__ = ["missing", "needs"]

PACKAGE = "es-repro"
SHOWN = 3  # of the distributions that are missing


def missing(extra: str) -> list[str]:
    """The distributions of an extra that are not installed.

    Args:
        extra: of pyproject.toml; what it asks for is read from the installed package's metadata.
    """
    try:
        requirements = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:  # a bare source tree: the import itself will tell
        return []
    names = [_name(text) for text in requirements if _belongs(text, extra)]
    return [name for name in names if not _is_installed(name)]


def needs(extra: str) -> None:
    """End the command in one line where an extra that it needs is not there; before its imports."""
    absent = missing(extra)
    if absent:
        more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
        sys.exit(
            f"error: this command needs the extra {extra!r}: pip install '{PACKAGE}[{extra}]' "
            f"(not installed: {', '.join(absent[:SHOWN])}{more})"
        )


def _belongs(requirement: str, extra: str) -> bool:
    return re.search(rf";.*\bextra == ['\"]{extra}['\"]", requirement) is not None


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found.group()


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
