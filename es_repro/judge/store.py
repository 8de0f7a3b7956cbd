"""What runs came to, kept by all that determines it: the same question again costs nothing."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from es_repro.judge.bed import ARRAYS, Outcome
from es_repro.storage.files import write_atomically, write_json

__all__ = ["NotKept", "Store", "content_key"]

SECONDS = ("selection_seconds", "seconds")

log = logging.getLogger(__name__)


class NotKept(Exception):
    """A result could not be written: no space, no permission. No fault of the method's."""


def content_key(content: Mapping[str, Any]) -> str:
    """16 hex digits that name a result by all that determines it."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Store:
    """Outcomes as `<key>.npz` and notes as `<key>.json` in one folder; each is whole or absent.

    Args:
        folder: made when the first outcome is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> Outcome | None:
        """The outcome kept under a key; None where there is none that can be read."""
        path = self._folder / f"{key}.npz"
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in ARRAYS}
                selecting, seconds = (float(file[name]) for name in SECONDS)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            log.warning("%s: cannot be read (%s); its runs are made again", path, error)
            return None
        arrays["scores"] = arrays["scores"].astype(np.float32)
        return Outcome(**arrays, selection_seconds=selecting, seconds=seconds)

    def keep(self, key: str, outcome: Outcome) -> None:
        """Write an outcome under a key.

        Raises:
            NotKept: no space, no permission.
        """
        content = {name: getattr(outcome, name) for name in (*ARRAYS, *SECONDS)}
        if set(np.unique(outcome.scores)) <= {0.0, 100.0}:  # hits and misses: a byte is enough
            content["scores"] = outcome.scores.astype(np.uint8)
        path = self._folder / f"{key}.npz"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda file: np.savez_compressed(file, **content))
        except OSError as error:
            raise NotKept(str(error)) from error

    def read_note(self, key: str) -> dict[str, str] | None:
        """The note kept under a key; None where there is none that can be read."""
        try:
            note: dict[str, str] = json.loads((self._folder / f"{key}.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return note

    def keep_note(self, key: str, note: Mapping[str, str]) -> None:
        """Write a few words under a key.

        Raises:
            OSError: no space, no permission.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / f"{key}.json", note)
