"""A lease on a run's folder: one job at a time works on it, and a killed job frees it."""

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from es_repro.storage.files import write_json

__all__ = ["Lease", "RunBusy", "is_held", "neighbours"]

HEARTBEAT_SECONDS = 5.0
# Another host's process cannot be asked; a heartbeat this old means that it is gone.
STALE_SECONDS = 60.0
NAME = "lease.json"


class RunBusy(RuntimeError):
    """Another job holds this run."""


def is_held(folder: Path) -> dict[str, Any] | None:
    """The live lease on `folder`, or None."""
    try:
        holder: dict[str, Any] = json.loads((folder / NAME).read_text())
        age = time.time() - (folder / NAME).stat().st_mtime
    except (OSError, ValueError):
        return None
    if holder.get("host") == socket.gethostname():
        return holder if _alive(holder) else None
    return holder if age < STALE_SECONDS else None


def _alive(holder: dict[str, Any]) -> bool:
    try:
        # The start time tells a process from a later one with the same number.
        born = psutil.Process(holder["pid"]).create_time()
        return abs(born - holder["process_started"]) < 1.0
    except (psutil.Error, KeyError, TypeError):
        return False


def neighbours(runs_root: Path) -> int:
    """Runs under `runs_root` that other processes of this host work on now."""
    held = (is_held(path.parent) for path in runs_root.glob(f"*/{NAME}"))
    here = socket.gethostname()
    return sum(1 for x in held if x and x["host"] == here and x["pid"] != os.getpid())


class Lease:
    """Held from `__enter__` to `__exit__`; a thread keeps its heartbeat.

    Args:
        folder: the run's folder, which must exist.

    Raises:
        RunBusy: on entering, when another live process holds the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._progress: dict[str, Any] = {}
        self._max_neighbours = 0

    def __enter__(self) -> "Lease":
        self._take()
        self._look_around()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look_around()
        self._path.unlink(missing_ok=True)

    def report(self, **progress: str | float) -> None:
        """Say how far the run is; the next heartbeat carries it to whoever watches."""
        self._progress = self._progress | progress

    def move_folder(self, place: Path) -> None:
        """Rename the folder to `place`, which must not exist, and hold it there."""
        folder = self._path.parent
        # First, so that no heartbeat falls into a new folder of the old name.
        self._path = place / NAME
        folder.rename(place)

    @property
    def jobs_side_by_side(self) -> int:
        """The most runs of this root that were seen on this host at once, this one included."""
        return 1 + self._max_neighbours

    def _look_around(self) -> None:
        others = neighbours(self._path.parent.parent)
        self._max_neighbours = max(self._max_neighbours, others)

    def _take(self) -> None:
        mine = self._content()
        draft = self._path.with_name(f".{NAME}.{os.getpid()}.take")
        try:
            draft.write_text(json.dumps(mine))
            for _ in range(3):
                try:
                    os.link(draft, self._path)  # fails if it exists: only one job can win
                    return
                except FileExistsError:
                    self._clear_stale()
        finally:
            draft.unlink(missing_ok=True)
        raise RunBusy(f"run {self._path.parent.name}: another job took it at this moment")

    def _clear_stale(self) -> None:
        before = self._path.read_bytes() if self._path.exists() else b""
        holder = is_held(self._path.parent)
        if holder:
            raise RunBusy(
                f"run {self._path.parent.name} is being worked on by process {holder['pid']} "
                f"on {holder['host']}: wait for it, or stop it first"
            )
        aside = self._path.with_name(f".{NAME}.{os.getpid()}.stale")
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(aside)
            if aside.read_bytes() != before:  # a third job renewed it in between: give it back
                os.link(aside, self._path)
            aside.unlink()

    def _content(self) -> dict[str, Any]:
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process_started": psutil.Process().create_time(),
            "progress": self._progress,
        }

    def _beat(self) -> None:
        wait = 0.5  # the first beat comes early, so that short runs are seen by their neighbours
        while not self._stop.wait(wait):
            self._look_around()
            with contextlib.suppress(OSError):  # a full disk must not end a run that computes
                write_json(self._path, self._content())
            wait = min(2 * wait, HEARTBEAT_SECONDS)
