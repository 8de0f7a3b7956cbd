"""The data set that problems and solutions make, tokenised once."""

import hashlib
import logging
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from es_repro.data.chat import Chat
from es_repro.data.responses import IGNORED, Draw, Pairs, tokenise
from es_repro.data.sequences import Sequences, TokenData
from es_repro.data.token_loader import TokenLoader
from es_repro.selection import PlannedBatchSampler
from es_repro.storage.files import write_atomically

__all__ = ["Conversations", "conversations"]

log = logging.getLogger(__name__)


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
    stored = _load(path)
    if stored is None:
        stored = tokenise(train, test, chat, draw)
        _save(path, stored)
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


def _key(train: Pairs, test: Pairs | None, chat: Chat, draw: Draw) -> str:
    digest = hashlib.sha256(f"{chat.fingerprint} {draw}".encode())
    for pairs in (train, test):
        for texts in (pairs.problems, pairs.solutions) if pairs is not None else ():
            for text in texts:
                digest.update(text.encode())
                digest.update(b"\0")
            digest.update(b"\1")
    return digest.hexdigest()[:16]


def _load(path: Path) -> dict[str, Any] | None:
    """What an earlier run has stored; a damaged file is made again."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not compare the checksums it wrote
            if archive.testzip() is None:
                found: dict[str, Any] = torch.load(path, weights_only=True)
                return found
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile):
        pass
    log.warning("%s: damaged; made again", path)
    return None


def _save(path: Path, content: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: torch.save(content, file))
    except OSError as error:
        log.warning("%s: cannot be kept (%s)", path, error)


def _say(pairs: Pairs, notes: Mapping[str, int], draw: Draw) -> None:
    dropped = notes["dropped_too_long"], notes["dropped_no_response"]
    if any(dropped):
        log.warning(
            "%s: of %d rows looked at, %d are longer than %d tokens and %d have no response: "
            "not used", pairs.origin, notes["rows_looked_at"], dropped[0], draw.max_length,
            dropped[1],
        )  # fmt: skip
