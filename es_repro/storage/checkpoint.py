"""Checkpoints: written atomically, loaded without executing code, the last K kept."""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from es_repro.storage.files import write_atomically

__all__ = ["CheckpointDamaged", "Checkpoints", "read"]

log = logging.getLogger(__name__)

DAMAGED = (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile)


class CheckpointDamaged(RuntimeError):
    """No checkpoint of a run can be read."""


class Checkpoints:
    """The checkpoints of one run, as files `step-<step>.pt` in a folder of their own.

    Args:
        folder: made at the first save.
        keep: how many of the newest to keep, at least 1; one more than needed survives damage.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        if keep < 1:
            raise ValueError(f"run.keep_checkpoints={keep}: must be at least 1")
        self._folder = folder
        self._keep = keep

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write the state after `step` steps, then drop the oldest beyond `keep`.

        Raises:
            OSError: the disk is full or read-only; earlier checkpoints are untouched.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step-{step:09d}.pt"
        try:
            write_atomically(path, lambda file: torch.save(state, file))
        except RuntimeError as error:  # torch's zip writer hides the operating system's error
            reason = str(error).splitlines()[0]
            raise OSError(f"cannot write {path}: is the disk full? ({reason})") from error
        self.prune(self._keep)

    def load_newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest readable state and its file, or None where none was ever written.

        A damaged file is named in a warning and the one before it is used.

        Raises:
            CheckpointDamaged: there are files, and none can be read.
        """
        paths = self._paths()
        for path in reversed(paths):
            try:
                return path, read(path)
            except DAMAGED as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                log.warning("checkpoint %s is damaged (%s); trying the one before", path, reason)
        if paths:
            raise CheckpointDamaged(
                f"{paths[-1]}: no checkpoint of this run can be read; "
                "start it again with resume=never"
            )
        return None

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep`, and drafts that a kill left behind."""
        for draft in self._folder.glob(".step-*.part"):
            draft.unlink(missing_ok=True)
        for path in self._paths()[:-keep]:
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("step-*.pt"))


def read(path: Path) -> dict[str, Any]:
    """One checkpoint, its checksums compared first; on the host, for the device holds one model."""
    with zipfile.ZipFile(path) as archive:  # torch does not compare the checksums it wrote
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{damaged}: checksum differs")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
