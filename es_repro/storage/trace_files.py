"""The traces in a run's folder: bytes of what an epoch picked and lost, and back again.

`trace/selection-EEEE.npz` and `trace/losses-EEEE.npz`, a file an epoch (counted from 0), each whole
or absent; compressed, so that a full plan or equal weights cost nothing. The archive's checksums
show damage.
"""

import contextlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from es_repro.selection import require
from es_repro.selection.replay import EpochTrace, Trace

__all__ = [
    "TraceDamaged", "losses_bytes", "losses_name", "missing_epochs", "read_losses",
    "read_selection", "selection_bytes", "selection_name",
]  # fmt: skip

FOLDER = "trace"
# What all epochs of a run share; `Trace` knows them by these names.
_FACTS = (
    "num_samples", "num_epochs", "seed", "meta_batch_size", "world_size", "method", "batch_ratio",
    "nonfinite", "data",
)  # fmt: skip


# What NumPy and zipfile raise over bytes that are no archive of arrays, or a torn one.
_UNREADABLE = (
    OSError, ValueError, EOFError, TypeError, AttributeError, KeyError, RuntimeError,
    NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


class TraceDamaged(RuntimeError):
    """A trace that is asked for is missing, incomplete or cannot be read."""


def selection_name(epoch: int) -> str:
    """The file, in the run's folder, of what an epoch picked."""
    return f"{FOLDER}/selection-{epoch:04d}.npz"


def losses_name(epoch: int) -> str:
    """The file, in the run's folder, of the losses that an epoch saw."""
    return f"{FOLDER}/losses-{epoch:04d}.npz"


def missing_epochs(folder: Path, kind: str) -> list[int]:
    """The epochs that a run has ended without a file of this kind (selection, losses)."""
    ended = range(_epochs_ended(folder))
    return [x for x in ended if not (folder / FOLDER / f"{kind}-{x:04d}.npz").exists()]


def selection_bytes(number: int, epoch: EpochTrace, facts: Mapping[str, Any]) -> bytes:
    """The content of an epoch's file.

    Args:
        number: of the epoch, from 0.
        epoch: tensors on the CPU.
        facts: what all epochs share, by the names of `Trace`.
    """
    own = {
        "epoch": number, "steps": epoch.steps, "lr_scale": epoch.lr_scale,
        "plan_batch_ratio": epoch.batch_ratio,
    }  # fmt: skip
    arrays = {"planned": epoch.planned.numpy(), "trained": epoch.trained.numpy()}
    if epoch.weights is not None:
        arrays["weights"] = epoch.weights.numpy()
    text = json.dumps({name: facts[name] for name in _FACTS} | own)
    return _archive(arrays | {"facts": np.frombuffer(text.encode(), dtype=np.uint8)})


def losses_bytes(number: int, losses: Tensor) -> bytes:
    """The content of the file of epoch `number`, from 0; losses [n] float16, on the CPU."""
    return _archive({"losses": losses.numpy(), "epoch": np.array(number)})


def read_selection(folder: Path) -> Trace:
    """What a finished run picked.

    Raises:
        TraceDamaged: it kept no such trace, has not finished, or a file is missing or damaged.
    """
    files = _files(folder, "selection", "trace.selection=true")
    epochs, shared = [], []
    for number, path in enumerate(files):
        arrays = _read(path)
        with _as_written(path):
            facts = json.loads(bytes(arrays["facts"]))
            _require_epoch(facts.get("epoch", number), number)
            shared.append({name: facts[name] for name in _FACTS})
            epochs.append(
                EpochTrace(
                    planned=torch.from_numpy(arrays["planned"]),
                    trained=torch.from_numpy(arrays["trained"]),
                    steps=tuple((int(rows), int(times)) for rows, times in facts["steps"]),
                    lr_scale=facts["lr_scale"],
                    batch_ratio=facts["plan_batch_ratio"],
                    weights=torch.from_numpy(arrays["weights"]) if "weights" in arrays else None,
                )
            )
        if shared[-1] != shared[0]:
            raise TraceDamaged(f"{path}: of another run than {files[0].name} beside it")
    with _as_written(folder / FOLDER):
        return Trace(**shared[0], epochs=tuple(epochs))


def read_losses(folder: Path) -> Tensor:
    """All losses that a finished run saw: [epochs, n] float32; NaN where a sample was not seen.

    Raises:
        TraceDamaged: it kept no such trace, has not finished, or a file is missing or damaged.
    """
    files = _files(folder, "losses", "trace.losses=true")
    rows = []
    for number, path in enumerate(files):
        arrays = _read(path)
        with _as_written(path):
            losses = arrays["losses"]
            _require_epoch(int(arrays.get("epoch", number)), number)
            right = losses.ndim == 1 and losses.dtype == np.float16
            require(right, "losses", f"{losses.dtype} {losses.shape}", "float16 of shape [n]")
            rows.append(torch.from_numpy(losses).float())
    if len(sizes := {len(row) for row in rows}) > 1:
        raise TraceDamaged(f"{folder / FOLDER}: its files hold losses of {sorted(sizes)} samples")
    return torch.stack(rows)


def _require_epoch(found: object, number: int) -> None:
    """Refuse a file that was put in another's place; one that says nothing is believed."""
    require(found == number, "epoch", found, f"{number}, as in its name")


@contextlib.contextmanager
def _as_written(path: Path) -> Iterator[None]:
    """Name the place of what an edit, or another version, has made of a trace."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError) as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise TraceDamaged(
            f"{path}: not what this version writes ({told}); run it again with resume=never"
        ) from error


def _files(folder: Path, kind: str, key: str) -> list[Path]:
    """An epoch's file each, all there."""
    if not folder.is_dir():
        raise TraceDamaged(f"{folder}: no such run")
    found = (folder / FOLDER).glob(f"{kind}-[0-9]*.npz")
    files = sorted(found, key=lambda path: (len(path.name), path.name))
    done = (folder / "done").exists()
    if not files and (done or _epochs_ended(folder)):
        raise TraceDamaged(f"{folder}: keeps no such trace; run it with {key}")
    if not done:
        raise TraceDamaged(f"{folder}: has not finished, so its trace has no end yet")
    missing = missing_epochs(folder, kind)
    missing += [x for x, path in enumerate(files) if path.stem != f"{kind}-{x:04d}"]
    if missing:
        raise TraceDamaged(
            f"{folder}: the trace of epoch {missing[0]} is missing; run it again with resume=never"
        )
    if len(files) > (ended := _epochs_ended(folder)):
        raise TraceDamaged(f"{files[ended]}: of no epoch of this run, whose history has {ended}")
    return files


def _epochs_ended(folder: Path) -> int:
    """How many epochs the run has ended, as its history says."""
    ended = [0]
    try:
        text = (folder / "history.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # torn, edited
            entry = json.loads(line)
            ended += [int(entry["epoch"])] if entry.get("kind") == "epoch" else []
    return max(ended)


def _archive(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub takes no mapping
    return file.getvalue()


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise TraceDamaged(f"{path}: damaged ({error}); run it again with resume=never") from error
