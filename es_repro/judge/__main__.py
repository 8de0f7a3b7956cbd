"""The command line of the judge: python -m es_repro.judge --help."""

if __name__ == "__main__":  # before what only the suite brings is imported
    from es_repro.extras import needs

    needs("suite")


import logging
import os
import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rich.console import Console

from es_repro.config import exit_code
from es_repro.judge.asked import parse
from es_repro.judge.card import card
from es_repro.judge.choices import decide_choices
from es_repro.judge.choices_page import write_choices
from es_repro.judge.page import page
from es_repro.judge.session import Session, judge, settle, why_not
from es_repro.judge.terminal import show
from es_repro.judge.workloads import WORKLOADS
from es_repro.process.machine import environment
from es_repro.process.progress import RunBar
from es_repro.selection import require
from es_repro.storage.files import write_atomically, write_json

__all__ = ["main"]

WIDTH = 150  # of the tables where there is no terminal to ask

HELP = """\
Does a selection method work? Many seeds, controls at equal cost, everyone tuned alike.

  python -m es_repro.judge method=es method.beta1=0.5       a method of ours, two minutes
  python -m es_repro.judge selector=my_module:MySelector    a class of your own
  python -m es_repro.judge method=es,eswp workload=noise    several, on one workload
  python -m es_repro.judge effort=full                      every method on every workload
  python -m es_repro.judge choices effort=full              our defaults where papers leave it open

  method=NAME,...       of conf/method; method.KEY=VALUE behind it sets its keys
  selector=MODULE:CLASS the contract of es_repro.selection, built as
                        CLASS(num_samples, num_epochs, *, device, seed, **values);
                        selector.KEY=VALUE behind it gives the values
  workload=NAME,...     {workloads}
                        (the last two: heads on features of pretrained nets, which
                        need the extra `pretrained` and DATA_ROOT; made once, kept)
  effort=fast|full      fast: two minutes, and it says what that resolves (default)
  resolution=POINTS     seeds enough to decide differences of so many points (0.2)
  seeds=N               so many, whatever the pilot says
  device=cpu|cuda|auto  (cpu)
  out=FOLDER            where the card or the choices go (RUNS_ROOT/judge/card)

Runs are kept under RUNS_ROOT (runs): the same command goes on, or answers at once.
"""


def main(arguments: list[str] | None = None) -> int:
    """Judge what is asked for; an error is one line and exit code 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    words = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(words):
        print(HELP.format(workloads=", ".join(WORKLOADS)))
        return 0
    root = Path(os.environ.get("RUNS_ROOT", "runs"))
    choosing = words[:1] == ["choices"]
    try:
        asked = parse(words[choosing:])
        require(not (choosing and asked.arms), "choices", words[-1], "asked for without a method")
        session = settle(asked, root)
        out = Path(asked.settings.get("out", root / "judge" / "card"))
        ready("out", out)
        ready("RUNS_ROOT", root / "judge")
        command = shlex.join(["python", "-m", "es_repro.judge", *words])
        done = _choices(session, command, out) if choosing else _judge(session, command, out)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - it ends in a line
        return exit_code(error)
    return 0 if done else 1


def _judge(session: Session, command: str, out: Path) -> bool:
    with RunBar("judge", enabled=True) as bar:
        session.runner.show = bar.show
        verdict = judge(session, partial(print, flush=True))
    made = card(session, verdict, command)
    page_file = write(made, out)
    show(made, Console(width=None if sys.stdout.isatty() else WIDTH))
    print(f"{session.runner.runs} runs made in {session.runner.seconds:.0f} s; {page_file}")
    return bool(verdict.trials)


def _choices(session: Session, command: str, out: Path) -> bool:
    say, found = partial(print, flush=True), []
    missing: dict[str, str] = {}
    made = {"command": command, "missing": missing} | environment(session.runner.device, "fp32")
    with RunBar("choices", enabled=True) as bar:
        session.runner.show = bar.show
        for workload in session.workloads:
            why = why_not(workload, session, say)
            if why:
                missing[workload.name] = why
                say(f"{workload.name}: not tried: {why}")
            else:
                found += decide_choices(workload, session.effort, session.runner, say)
            if found:
                page_file = write_choices(made, found, out)
    if found:
        print(page_file.read_text(encoding="utf-8"))
        print(f"{session.runner.runs} runs made in {session.runner.seconds:.0f} s; {page_file}")
    return bool(found)


def ready(name: str, folder: Path) -> None:
    """Make a folder and try to write there, before minutes are spent on what goes into it.

    Raises:
        ValueError: it cannot be; says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = f"a folder that can be written ({error.strerror or error})"
        require(False, name, str(folder), why)


def write(made: dict[str, Any], folder: Path) -> Path:
    """Write a card as `card.json` and `card.html`; answers the page.

    Raises:
        OSError: no space, no permission.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "card.json", made)
    html = page(made).encode()
    write_atomically(folder / "card.html", lambda file: file.write(html))
    return folder / "card.html"


if __name__ == "__main__":
    sys.exit(main())
