"""Problems and solutions as tokens, of which those of the response alone carry loss."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from es_repro.data.chat import Chat
from es_repro.data.errors import DataDamaged
from es_repro.data.sequences import pack
from es_repro.selection import require, stream

__all__ = ["IGNORED", "Draw", "Pairs", "encode", "tokenise"]

IGNORED = -100  # transformers' label of a token without loss
ROWS_AT_ONCE = 2048

Sample = tuple[list[int], list[int]]  # tokens of the prompt and of the response


@dataclass(frozen=True)
class Pairs:
    """Problems and their solutions, in the order of the file.

    Attributes:
        origin: the file or files, for messages.
        problems, solutions: of the same length.
    """

    origin: str
    problems: Sequence[str]
    solutions: Sequence[str]


@dataclass(frozen=True)
class Draw:
    """Which rows are trained and evaluated on: uniform among those that fit.

    Rows are walked through in a random order and those that do not fit are passed over, which has
    the law of dropping them all first, without tokenising what is never used.

    Attributes:
        max_length: the most tokens of a sample, prompt and response together.
        count: rows to train on; None: all that fit.
        held: rows to evaluate on.
        seed: of the order.
    """

    max_length: int
    count: int | None
    held: int
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.max_length >= 2, "max_length", self.max_length, "at least 2")
        require(self.count is None or self.count >= 1, "subset", self.count, "at least 1, or null")
        require(self.held >= 1, "held", self.held, "at least 1")


def encode(
    pairs: Pairs, rows: Sequence[int], chat: Chat, max_length: int
) -> tuple[list[Sample], list[str]]:
    """Prompt and response tokens of each row, and why it is left out: "" where it is not."""
    problems = [pairs.problems[row] for row in rows]
    solutions = [pairs.solutions[row].strip() for row in rows]
    prompts = chat.encode([chat.prompt(problem) for problem in problems])
    both = zip(problems, solutions, strict=True)
    responses = chat.encode([chat.response(problem, solution) for problem, solution in both])
    found = list(zip(prompts, responses, strict=True))
    reasons = []
    for (prompt, response), solution in zip(found, solutions, strict=True):
        too_long = len(prompt) + len(response) > max_length
        reasons.append("too_long" if too_long else "" if solution else "no_response")
    return found, reasons


def tokenise(train: Pairs, test: Pairs | None, chat: Chat, draw: Draw) -> dict[str, Any]:
    """Both splits as the fields of `Sequences`, and `notes`: rows looked at and left out.

    Raises:
        DataDamaged: no row fits.
        ValueError: fewer rows fit than are asked for.
    """
    n = len(train.problems)
    order = torch.randperm(n, generator=stream(draw.seed, "subset", 0)).tolist()
    notes = dict.fromkeys(("rows_looked_at", "dropped_too_long", "dropped_no_response"), 0)
    held = 0 if test is not None else draw.held
    wanted = n if draw.count is None else held + draw.count
    kept = _walk(train, order, wanted, chat, draw.max_length, notes)
    if not kept:
        raise DataDamaged(f"{train.origin}: no row has a response and max_length={draw.max_length}")
    fits = f"at most {len(kept) - held}: so many rows of {train.origin} fit into max_length"
    require(draw.count is None or len(kept) == wanted, "subset", draw.count, fits)
    require(held < len(kept), "held", draw.held, f"fewer than the {len(kept)} rows that fit")
    evaluation = kept[:held]
    if test is not None:
        ignored = dict.fromkeys(notes, 0)
        every = range(len(test.problems))
        evaluation = _walk(test, every, draw.held, chat, draw.max_length, ignored)
    packed = {"train": _pack(kept[held:]), "evaluation": _pack(evaluation)}
    return packed | {"notes": notes}


def _walk(
    pairs: Pairs,
    order: Sequence[int],
    wanted: int,
    chat: Chat,
    max_length: int,
    notes: dict[str, int],
) -> list[Sample]:
    kept: list[Sample] = []
    for begin in range(0, len(order), ROWS_AT_ONCE):
        found, reasons = encode(pairs, order[begin : begin + ROWS_AT_ONCE], chat, max_length)
        for tokens, reason in zip(found, reasons, strict=True):
            if len(kept) == wanted:
                return kept
            notes["rows_looked_at"] += 1
            if reason:
                notes[f"dropped_{reason}"] += 1
            else:
                kept.append(tokens)
    return kept


def _pack(samples: Iterable[Sample]) -> dict[str, Any]:
    ids, labels, counts = [], [], []
    for prompt, response in samples:
        ids.append(prompt + response)
        labels.append([IGNORED] * len(prompt) + response)
        counts.append(len(response))
    packed = pack({"input_ids": ids, "labels": labels}, torch.tensor(counts, dtype=torch.int64))
    return {"fields": dict(packed.fields), "offsets": packed.offsets, "targets": packed.targets}
