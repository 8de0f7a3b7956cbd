r"""Is an answer right? What its last `\boxed{}` holds, compared with the reference by math-verify.

Comparisons of symbolic expressions may run for ever, and math-verify's own limit is an alarm that
only a main thread can set and that a long operation on big integers outlasts. So a worker process
compares, and is killed when an answer has used up its time.
"""

import logging
import multiprocessing
import re
import resource
from multiprocessing.connection import Connection
from typing import Literal

__all__ = ["Grader", "Verdict", "boxed", "is_equal"]

Verdict = Literal["right", "wrong", "no_answer", "timeout"]

BASE = re.compile(r"\d_\{?(\d+)\}?$")  # of a number that is not decimal, behind it

START_SECONDS = 120.0  # the worker imports a computer algebra system
MEMORY_BYTES = 4 * 2**30  # of the worker: a tower of powers would take all there is


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` (or `\fbox{...}`) of a text holds; None where there is none.

    Braces are matched; a box that the text does not close has no content.
    """
    begin = max(text.rfind(r"\boxed{"), text.rfind(r"\fbox{"))
    if begin < 0:
        return None
    open_at = text.index("{", begin)
    depth, at = 0, open_at
    while at < len(text):
        if text[at] == "\\":
            at += 2  # an escaped brace is no brace
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            content = text[open_at + 1 : at].strip()
            return content or None
        at += 1
    return None


def is_equal(reference: str, answer: str) -> bool:
    """Whether math-verify finds two answers equal; without a limit of time: see `Grader`.

    Args:
        reference: of the data set, with or without dollar signs.
        answer: what stood in the box.
    """
    from math_verify import parse, verify  # here, for it takes half a second

    sides = _plain(reference), _plain(answer)
    bases = [match and match[1] for match in map(BASE.search, sides)]
    if all(bases) and bases[0] != bases[1]:
        return False  # math-verify reads 52 in 52_8
    known = [parse(rf"\boxed{{{side}}}", parsing_timeout=None) for side in sides]
    return bool(verify(*known, timeout_seconds=None))


class Grader:
    """Grades answers one after the other in a process of its own; a context manager.

    Args:
        seconds: the most that one answer may take.

    Raises:
        ValueError: no time at all.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        if seconds <= 0:
            raise ValueError(f"grading_seconds={seconds}: must be > 0")
        self._seconds = seconds
        self._context = multiprocessing.get_context("spawn")
        self._worker: multiprocessing.process.BaseProcess | None = None

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def grade(self, reference: str, text: str) -> tuple[Verdict, str | None]:
        """The verdict on a text, and the answer that was found in it."""
        answer = boxed(text)
        if answer is None:
            return "no_answer", None
        if self._worker is None:
            self._start()
        self._pipe.send((reference, answer))
        try:
            if self._pipe.poll(self._seconds):
                return ("right" if self._pipe.recv() else "wrong"), answer
        except EOFError:  # it died, of memory most likely
            self._stop()
            return "wrong", answer
        self._stop()
        return "timeout", answer

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._worker = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        self._worker.start()
        theirs.close()
        try:
            ready = self._pipe.poll(START_SECONDS) and self._pipe.recv()
        except EOFError:
            ready = False
        if not ready:
            self._stop()
            raise RuntimeError("the grader's process did not start; is math-verify installed?")

    def _stop(self) -> None:
        if self._worker is not None:
            self._pipe.close()
            self._worker.kill()
            self._worker.join()
            self._worker = None


def _plain(answer: str) -> str:
    """An answer without the dollar signs around its parts and a full stop behind it."""
    return answer.replace("$", "").strip().removesuffix(".")


def _serve(pipe: Connection) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    logging.disable(logging.CRITICAL)  # math-verify says that its own limit is off: ours is on
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    is_equal("1", "1/1")
    pipe.send(True)
    while True:
        try:
            reference, answer = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(is_equal(reference, answer))
        except Exception:  # noqa: BLE001 - whatever a parser stumbles over is not the reference
            pipe.send(False)
