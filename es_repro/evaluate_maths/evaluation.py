"""One model on all problems: asked in batches, graded, resumed where it was left."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from es_repro.config import weights_fingerprint
from es_repro.data.chat import Chat, load_tokenizer
from es_repro.evaluate_maths.answers import Answers
from es_repro.evaluate_maths.generation import (
    Backend,
    BackendName,
    Sampling,
    open_backend,
    seed_of,
)
from es_repro.evaluate_maths.grading import Grader
from es_repro.evaluate_maths.problems import Problem, fingerprint

__all__ = ["Protocol", "evaluate"]

Show = Callable[[float, str], None]


@dataclass(frozen=True)
class Protocol:
    """How a model is evaluated.

    Attributes:
        sampling: how answers are drawn.
        samples: answers a problem.
        batch_size: answers at a time. Rounding differs between batches, so it belongs to the
            settings.
        seed: of all answers.
        grading_seconds: the most that grading one answer may take.
        backend: auto, vllm or transformers.
    """

    sampling: Sampling
    samples: int = 1
    batch_size: int = 16
    seed: int = 0
    grading_seconds: float = 10.0
    backend: BackendName = "auto"

    def __post_init__(self) -> None:
        for name in ("samples", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")


def evaluate(
    model: str, problems: Sequence[Problem], out: Path, protocol: Protocol, show: Show
) -> dict[str, Any]:
    """Ask what was not asked yet, grade it, and write the results.

    Args:
        model: a folder that transformers reads, or a name on the hub.
        problems: all of them.
        out: the folder of answers and results; one that was begun goes on.
        protocol: the rest.
        show: called with (share done, one-line state).

    Returns:
        What results.json holds.

    Raises:
        ValueError: the folder was begun under other settings, or a model that cannot be used.
    """
    chat = Chat(load_tokenizer(model), model)
    backend: Backend | None = None
    settings = {
        "model": weights_fingerprint(model),
        "template": chat.fingerprint,
        "problems": fingerprint(problems),
        **asdict(protocol),
    }
    answers = Answers(out, settings)
    jobs = [(problem, sample) for sample in range(protocol.samples) for problem in problems]
    started, right = time.monotonic(), 0
    with Grader(protocol.grading_seconds) as grader:
        for begin in range(0, len(jobs), protocol.batch_size):
            batch = jobs[begin : begin + protocol.batch_size]
            missing = [job for job in batch if _key(job) not in answers.lines]
            if missing:
                # The whole batch again, with the answers that a kill left of it: in another
                # company a row may be rounded otherwise.
                backend = backend or open_backend(model, chat, protocol.sampling, protocol.backend)
                _ask(backend, chat, batch, protocol.seed, grader, answers)
            right = sum(line["verdict"] == "right" for line in answers.lines.values())
            done = begin + len(batch)
            show(done / len(jobs), f"{done}/{len(jobs)} answers, {right} right")
    about = {"settings": settings, "model": _called(model), "seconds": time.monotonic() - started}
    return answers.finish(about | {"backend": backend.name if backend else None})


def _ask(
    backend: Backend,
    chat: Chat,
    batch: Sequence[tuple[Problem, int]],
    seed: int,
    grader: Grader,
    answers: Answers,
) -> None:
    prompts = [chat.prompt(problem.text) for problem, _ in batch]
    seeds = [seed_of(seed, problem.name, problem.number, sample) for problem, sample in batch]
    for job, answer in zip(batch, backend.answer(prompts, seeds), strict=True):
        if _key(job) in answers.lines:
            continue
        problem, sample = job
        verdict, found = grader.grade(problem.answer, answer.text)
        answers.add(
            {
                "set": problem.name,
                "number": problem.number,
                "sample": sample,
                "problem": problem.text,
                "reference": problem.answer,
                "text": answer.text,
                "found": found,
                "verdict": verdict,
                "tokens": answer.tokens,
                "finished": answer.finished,
            }
        )


def _key(job: tuple[Problem, int]) -> tuple[str, int, int]:
    problem, sample = job
    return problem.name, problem.number, sample


def _called(model: str) -> str:
    """A model's name without the machine's folders."""
    return Path(model).name if Path(model).exists() else model
