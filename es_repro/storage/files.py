"""Files that are either whole or absent, whenever the process dies."""

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["append_line", "write_atomically", "write_json"]


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file beside `path`, flush it to disk and rename it into place.

    Raises:
        OSError: no space, no permission; `path` keeps what it held and nothing is left behind.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _named(error, path) from error
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as readable JSON, atomically."""
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    write_atomically(path, lambda file: _write(file, text.encode()))


def append_line(path: Path, content: Mapping[str, Any], *, durable: bool = False) -> None:
    """Append one JSON line in a single write, so that lines of several processes never mix.

    After a line that a kill tore it begins a new one. `durable`: on the disk when this returns.

    Raises:
        OSError: no space, no permission.
    """
    line = (json.dumps(content, sort_keys=True) + "\n").encode()
    with path.open("ab+", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        try:
            if file.write(line) < len(line):  # the last bytes of a disk were enough for a part
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(file.fileno())
        except OSError as error:
            raise _named(error, path) from error


def _named(error: OSError, path: Path) -> OSError:
    """The error with the file in its message, which a write's own lacks."""
    if error.filename is not None or error.errno is None:
        return error
    return OSError(error.errno, error.strerror, str(path))


def _write(file: BinaryIO, content: bytes) -> None:
    file.write(content)
