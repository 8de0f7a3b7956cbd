"""The command line reference: what each command's own parser says of itself."""

import argparse
import contextlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from generators import ROOT, write

__all__ = ["commands", "help_texts", "parser_of", "write_page"]

WIDTH = "92"  # columns of the help texts


class _CaughtError(Exception):
    """Carries a parser out of the `main` that made it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def commands(package: Path) -> list[str]:
    """The modules that `python -m` runs with a parser of argparse, `es_repro.train` aside."""
    found = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "import argparse" in text and '__name__ == "__main__"' in text:
            name = path.relative_to(package.parent).with_suffix("").as_posix().replace("/", ".")
            found.append(name.removesuffix(".__main__"))
    return found


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser that a command's `main` makes, caught where it would read the arguments."""

    def caught(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _CaughtError(self)

    is_package = importlib.util.find_spec(module).submodule_search_locations is not None
    main = importlib.import_module(f"{module}.__main__" if is_package else module).main
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", caught),
        mock.patch.object(sys, "argv", [module]),
    ):
        try:
            main()
        except _CaughtError as found:
            return found.parser
    raise RuntimeError(f"{module}: its main must read its arguments by argparse")


def help_texts(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """(command line, help) of a parser and of every command below it."""
    with mock.patch.dict("os.environ", {"COLUMNS": WIDTH, "NO_COLOR": "1"}):
        yield parser.prog, parser.format_help()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for inner in dict.fromkeys(action.choices.values()):
                    yield from help_texts(inner)


def write_page(path: Path) -> None:
    """Write the reference of all commands."""
    parts = [
        "# Command line reference",
        "The commands' own help, asked when this page was built. Each stands in the environment "
        "that `make setup` makes, as `.venv/bin/python -m ...`; `make help` lists the targets that "
        "call them.",
        "```{contents}\n:local:\n:depth: 2\n```",
        "## make",
        f"```text\n{_make_help()}\n```",
        "## python -m es_repro.train",
        f"```text\n{_train_help()}\n```",
    ]
    for module in commands(ROOT / "es_repro"):
        for depth, (line, text) in enumerate(help_texts(parser_of(module))):
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
