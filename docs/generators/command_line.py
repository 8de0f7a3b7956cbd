"""The command line reference: what each command's own parser says of itself."""

import argparse
import contextlib
import importlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from generators import ROOT, write

__all__ = ["commands", "help_of", "write_page"]

WIDTH = "84"  # columns of the help texts


class _CaughtError(Exception):
    """Carries a parser out of the `main` that made it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def commands(package: Path) -> list[str]:
    """The packages that `python -m` runs; `es_repro.train`, a module, is described apart."""
    found = (path.parent.relative_to(package.parent) for path in package.rglob("__main__.py"))
    return sorted(path.as_posix().replace("/", ".") for path in found)


def help_of(module: str) -> list[tuple[str, str]]:
    """(command line, help) of a command and of those below it.

    Its `main` is called with --help. Where that would hand the words to a parser of argparse, the
    parser is caught and asked; a command that prints its help itself is listened to.
    """
    printed = io.StringIO()
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", _caught),
        mock.patch.object(sys, "argv", [module, "--help"]),
        mock.patch.dict("os.environ", {"COLUMNS": WIDTH, "NO_COLOR": "1"}),
        contextlib.redirect_stdout(printed),
    ):
        try:
            importlib.import_module(f"{module}.__main__").main()
        except _CaughtError as found:
            return list(_texts(found.parser))
        except SystemExit:
            pass
    if not printed.getvalue():
        raise RuntimeError(f"python -m {module} --help: must print its help")
    return [(f"python -m {module}", printed.getvalue())]


def _caught(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
    raise _CaughtError(parser)


def _texts(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    yield parser.prog, parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in dict.fromkeys(action.choices.values()):
                yield from _texts(inner)


def write_page(path: Path) -> None:
    """Write the reference of all commands."""
    parts = [
        "# Command line reference",
        "The commands' own help, asked when this page was built. Each stands in the environment "
        "that `make setup` makes, as `.venv/bin/python -m ...`; `make help` lists the targets that "
        "call them.",
        "## make",
        f"```text\n{_make_help()}\n```",
        "## python -m es_repro.train",
        f"```text\n{_train_help()}\n```",
    ]
    for module in commands(ROOT / "es_repro"):
        for depth, (line, text) in enumerate(help_of(module)):
            parts += [f"{'##' if depth == 0 else '###'} {line}", f"```text\n{text.rstrip()}\n```"]
    write(path, "\n\n".join(parts) + "\n")


def _train_help() -> str:
    """Hydra's help: the part that is not the configuration reference over again."""
    command = [sys.executable, "-m", "es_repro.train", "--help"]
    asked = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    head, _, rest = asked.stdout.partition("Groups (group=option)")
    groups = rest.partition("Keys (key=value)")[0]
    names = re.findall(r"^([\w/]+): ", groups, flags=re.MULTILINE)
    footer = rest[rest.index("Examples") :]
    return (
        f"{head.strip()}\n\nGroups (group=option): {', '.join(names)}\n"
        f"Keys (key=value): see the configuration reference\n\n{footer.strip()}"
    )


def _make_help() -> str:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        asked = subprocess.run(
            ["make", "--no-print-directory", "help"],
            capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        return asked.stdout.rstrip()
    raise RuntimeError("make help: must answer; the reference of the targets is its text")
