"""The record of a run: its own folder, mirrored to W&B. The one place that knows either's form."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import wandb
import yaml

from es_repro.storage.checkpoint import Checkpoints
from es_repro.storage.files import append_line, write_atomically, write_json
from es_repro.storage.lease import Lease

__all__ = ["Record", "Tracker", "join", "read_summary"]

Number = float | int | bool | str | list[int] | list[float] | None


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The summary of a finished run, or None where the run in `folder` has not finished."""
    if not (folder / "done").exists():
        return None
    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"{folder / 'summary.json'}: damaged ({error}); run it again with resume=never"
        ) from error
    return summary


def join(runs_root: Path, *, experiment: str, row: str, seed: int, run: str | None) -> None:
    """Say that `experiment` asked for this run, as `row`; None: its data could not be had."""
    runs_root.mkdir(parents=True, exist_ok=True)
    status = "asked" if run else "no data"
    line = {"experiment": experiment, "row": row, "seed": seed, "run": run, "status": status}
    append_line(runs_root / "members.jsonl", line)


class Tracker:
    """Where a run is mirrored to on W&B.

    Args:
        mode: offline (needs no account), online, or none.
        project: the W&B project.
        entity: a user or team; None takes the account's own.
    """

    def __init__(self, mode: str, project: str = "es_repro", entity: str | None = None) -> None:
        if mode not in ("offline", "online", "none"):
            raise ValueError(f"tracker.mode={mode}: must be offline, online or none")
        self.mode, self.project, self.entity = mode, project, entity

    def open(
        self, folder: Path, config: dict[str, Any], labels: Mapping[str, str], attempt: int
    ) -> "wandb.Run | None":
        """A W&B run with an id of its own for every attempt (offline runs cannot be continued)."""
        if self.mode == "none":
            return None
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            x_disable_meta=True,  # host, user and paths stay out
            x_disable_stats=True,
            x_save_requirements=False,
        )
        return wandb.init(
            mode=self.mode,  # type: ignore[arg-type]  # checked in the constructor
            dir=folder,
            id=f"{folder.name}-{attempt}",
            name=f"{labels['row']} seed {config['seed']}",
            project=self.project,
            entity=self.entity,
            group=labels["experiment"].replace("/", "-"),
            tags=[labels["experiment"], labels["row"]],
            config=config,
            settings=settings,
            reinit="create_new",
        )


class Record:
    """Writes one run's folder; a context manager that holds the run's lease.

    History is appended and flushed line by line, everything else is renamed into place, so a hard
    kill leaves a folder that says truly how far the run came.

    Args:
        folder: `RUNS_ROOT/<hash>`.
        config: the resolved config, plain Python.
        environment: what `machine.environment` answered.
        labels: `experiment` and `row`, for W&B's tags.
        tracker: the mirror.
        keep_checkpoints: how many to keep while the run goes on; a finished run keeps one.

    Raises:
        RunBusy: on entering, when another job holds the run.
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        environment: dict[str, Any],
        labels: Mapping[str, str],
        tracker: Tracker,
        keep_checkpoints: int = 2,
    ) -> None:
        self.folder = folder
        self.checkpoints = Checkpoints(folder / "checkpoints", keep_checkpoints)
        self._config, self._environment, self._labels = config, environment, labels
        self._tracker = tracker
        self._mirror: wandb.Run | None = None

    def __enter__(self) -> "Record":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stack = contextlib.ExitStack()
        with self._stack:  # undone if anything below fails
            self.lease = self._stack.enter_context(Lease(self.folder))
            text = yaml.safe_dump(self._config, sort_keys=False, allow_unicode=True)
            write_atomically(self.folder / "config.yaml", lambda file: _put(file, text))
            write_json(self.folder / "environment.json", self._environment)
            self.attempt = self._count_attempts()
            mirrored = self._config | {"environment": self._environment}
            self._mirror = self._tracker.open(self.folder, mirrored, self._labels, self.attempt)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:  # the lease goes last, whatever happens here
            try:
                if isinstance(error, Exception):
                    failure = {"type": kind.__name__ if kind else "", "error": one_line(error)}
                    with contextlib.suppress(OSError):  # a full disk: the first error matters
                        write_json(self.folder / "failed.json", failure)
            finally:
                if self._mirror is not None:
                    self._mirror.finish(exit_code=0 if error is None else 1)

    def _count_attempts(self) -> int:
        attempts = sum(1 for line in _lines(self.folder / "history.jsonl") if b'"started"' in line)
        self.log("event", step=-1 - attempts, epoch=0, event="started", time=time.time())
        return attempts

    def log(self, kind: str, *, step: int, epoch: int, **metrics: Number) -> None:
        """Append one line; `kind` is step, epoch or event, keys read `group/name`."""
        line = {"kind": kind, "step": step, "epoch": epoch, **metrics}
        append_line(self.folder / "history.jsonl", line)
        if self._mirror is not None and kind != "event":
            self._mirror.log(line)

    def export(self, name: str, write: Callable[[Path], None]) -> None:
        """Let `write` fill a folder, and rename it to `exports/<name>` when it is whole.

        What stood there is replaced.

        Raises:
            OSError: no space, no permission; nothing unfinished is left under that name.
        """
        place = self.folder / "exports" / name
        draft, former = place.with_name(f".{name}.part"), place.with_name(f".{name}.former")
        for left_over in (draft, former):
            shutil.rmtree(left_over, ignore_errors=True)
        draft.mkdir(parents=True)
        write(draft)
        if place.exists():
            place.rename(former)
        draft.rename(place)
        shutil.rmtree(former, ignore_errors=True)

    def keep(self, name: str, content: bytes) -> None:
        """Put a file of its own into the run's folder; W&B is shown pictures.

        Args:
            name: of the file, in a folder of the run's or without one.
            content: all of it; an earlier file of that name is replaced.
        """
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, lambda file: file.write(content))
        if self._mirror is not None and name.endswith(".png"):
            picture = wandb.Image(str(self.folder / name))
            self._mirror.log({Path(name).stem: picture})

    def finish(self, summary: Mapping[str, Number]) -> None:
        """Write the summary and, last of all, the marker that the run is whole."""
        side_by_side = self.lease.jobs_side_by_side
        environment = self._environment | {"jobs_side_by_side": side_by_side}
        write_json(self.folder / "environment.json", environment)
        whole = {"status": "finished", **summary}
        write_json(self.folder / "summary.json", whole)
        if self._mirror is not None:
            self._mirror.config.update({"environment": environment}, allow_val_change=True)
            self._mirror.summary.update(whole)
        self.checkpoints.prune(1)
        (self.folder / "failed.json").unlink(missing_ok=True)
        (self.folder / "done").touch()


def one_line(error: BaseException) -> str:
    """An error as one line: its message, or its type where it has none."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []


def _put(file: BinaryIO, text: str) -> None:
    file.write(text.encode())
