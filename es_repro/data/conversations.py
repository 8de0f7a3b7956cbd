"""Problems and solutions as token sequences whose responses alone carry loss."""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from es_repro.data.chat import Chat
from es_repro.data.errors import DataDamaged
from es_repro.data.sequences import Sequences, TokenData, pack
from es_repro.data.token_loader import TokenLoader
from es_repro.files import write_atomically
from es_repro.selection import PlannedBatchSampler, require, stream

__all__ = ["Conversations", "Draw", "Pairs", "conversations"]

IGNORED = -100  # transformers' label of a token without loss
ROWS_AT_ONCE = 2048

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, eq=False, kw_only=True)
class Conversations(TokenData):
    """Chat-formatted samples; `targets` are the numbers of their response tokens.

    Attributes:
        chat: their format.
        notes: what was left out, by reason, for the record.
    """

    chat: Chat
    notes: Mapping[str, int]
    trims: bool = True  # rows are long: their padding costs more than the wait
    padding: Mapping[str, int] = field(default_factory=dict)

    @property
    def companions(self) -> list[object]:
        """What an exported model needs beside it."""
        return [lambda folder: self.chat.tokenizer.save_pretrained(str(folder))]

    def loader(
        self, sampler: PlannedBatchSampler, *, seed: int, device: torch.device
    ) -> TokenLoader:
        """Batches of the planned samples; `lengths` are their response tokens."""
        found = TokenLoader(self, sampler, device=device)
        found.lengths = self.train.targets.to(device)  # type: ignore[attr-defined]  # optional
        return found


def conversations(
    train: Pairs, test: Pairs | None, chat: Chat, draw: Draw, cache: Path
) -> Conversations:
    """The data set that the pairs make, from `cache` where it was made before.

    Args:
        train: what is trained on.
        test: what is evaluated on, the first `draw.held` that fit; None: a cut of `train`.
        chat: the format.
        draw: which rows.
        cache: a folder for tokens.

    Raises:
        DataDamaged: no row fits.
        ValueError: fewer rows fit than are asked for.
    """
    path = cache / f"tokens-{_key(train, test, chat, draw)}.pt"
    if path.exists():
        stored = torch.load(path, weights_only=True)
    else:
        stored = _tokenise(train, test, chat, draw)
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: _store(stored, file))
        _say(train, stored["notes"], draw)
    return Conversations(
        train=Sequences(**stored["train"]),
        evaluation=Sequences(**stored["evaluation"]),
        split="validation" if test is None else "test",
        facts={
            "vocab_size": chat.vocab_size,
            "max_length": draw.max_length,
            "pad_token_id": chat.pad_id,
            "eos_token_id": chat.end_id,
        },
        padding={"input_ids": chat.pad_id, "labels": IGNORED},
        chat=chat,
        notes=stored["notes"],
    )


def encode(
    pairs: Pairs, rows: Sequence[int], chat: Chat, max_length: int
) -> tuple[list[tuple[list[int], list[int]]], list[str]]:
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


def _tokenise(train: Pairs, test: Pairs | None, chat: Chat, draw: Draw) -> dict[str, dict]:
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
) -> list[tuple[list[int], list[int]]]:
    kept: list[tuple[list[int], list[int]]] = []
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


def _pack(samples: Iterable[tuple[list[int], list[int]]]) -> dict[str, object]:
    ids, labels, counts = [], [], []
    for prompt, response in samples:
        ids.append(prompt + response)
        labels.append([IGNORED] * len(prompt) + response)
        counts.append(len(response))
    packed = pack({"input_ids": ids, "labels": labels}, torch.tensor(counts, dtype=torch.int64))
    return {"fields": dict(packed.fields), "offsets": packed.offsets, "targets": packed.targets}


def _key(train: Pairs, test: Pairs | None, chat: Chat, draw: Draw) -> str:
    digest = hashlib.sha256(f"{chat.fingerprint} {draw}".encode())
    for pairs in (train, test):
        for texts in (pairs.problems, pairs.solutions) if pairs is not None else ():
            for text in texts:
                digest.update(text.encode())
                digest.update(b"\0")
            digest.update(b"\1")
    return digest.hexdigest()[:16]


def _store(content: dict[str, dict[str, Tensor]], file: BinaryIO) -> None:
    torch.save(content, file)


def _say(pairs: Pairs, notes: Mapping[str, int], draw: Draw) -> None:
    dropped = notes["dropped_too_long"], notes["dropped_no_response"]
    if any(dropped):
        log.warning(
            "%s: of %d rows looked at, %d are longer than %d tokens and %d have no response: "
            "not used", pairs.origin, notes["rows_looked_at"], dropped[0], draw.max_length,
            dropped[1],
        )  # fmt: skip
