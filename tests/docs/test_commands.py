"""The command line reference asks every command's own parser."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from generators import command_line

PACKAGE = Path(__file__).parents[2] / "es_repro"
COMMANDS = command_line.commands(PACKAGE)


def test_every_command_is_found():
    assert {"es_repro.report", "es_repro.bench", "es_repro.theory"} <= set(COMMANDS)
    assert len(COMMANDS) == len(list(PACKAGE.rglob("__main__.py")))


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_says_what_it_does(module):
    texts = command_line.help_of(module)
    assert texts[0][0] == f"python -m {module}"
    assert all(len(text.splitlines()) > 3 for _, text in texts)


def test_the_words_are_those_that_a_user_is_given(monkeypatch):
    monkeypatch.setenv("COLUMNS", command_line.WIDTH)
    monkeypatch.setenv("NO_COLOR", "1")
    asked = subprocess.run(
        [sys.executable, "-m", "es_repro.theory", "--help"],
        capture_output=True, text=True, check=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    assert command_line.help_of("es_repro.theory") == [("python -m es_repro.theory", asked.stdout)]


def test_commands_below_a_command_have_their_own_help():
    lines = [line for line, _ in command_line.help_of("es_repro.report")]
    assert "python -m es_repro.report tables" in lines
    assert "python -m es_repro.report status" in lines


def test_a_parser_works_again_afterwards():
    command_line.help_of("es_repro.theory")
    parser = argparse.ArgumentParser()
    parser.add_argument("--a")
    assert parser.parse_args(["--a", "1"]).a == "1"
