"""Read W&B's offline file (`offline-run-*/run-ID.wandb`), for which W&B has no public reader.

Source: the file as written by wandb 0.31.0. A 7-byte header (":W&B", magic, version), then a
LevelDB log: blocks of 32 KiB, the header being part of the first; in them pieces of crc32 (over
type and data), length and type (whole, first, middle, last); each record a protobuf message
`Record`. A block's tail too short for a piece's head is padding.
"""

import json
import logging
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["OfflineRun", "read_file", "read_folder"]

_HEADER = struct.Struct("<4sHB")
_MAGIC = (b":W&B", 0xBEE1)
_PIECE = struct.Struct("<IHB")  # crc32, length, type
_BLOCK = 32 * 1024
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4

_logger = logging.getLogger(__name__)


@dataclass
class OfflineRun:
    """What offline files say about the run of one id."""

    run_id: str = ""
    project: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    started: float = 0.0  # seconds since the epoch
    config: dict[str, object] = field(default_factory=dict)
    summary: dict[str, object] = field(default_factory=dict)
    history: list[dict[str, object]] = field(default_factory=list)  # in the order logged
    exit_code: int | None = None  # None: never closed


def read_folder(root: Path) -> list[OfflineRun]:
    """Every run in the `run-*.wandb` files under `root`, oldest first, merged by id.

    An offline run cannot be appended to: a resumed one is several folders of the same id.
    """
    runs: dict[str, OfflineRun] = {}
    parts = [read_file(path) for path in sorted(root.rglob("run-*.wandb"))]
    for part in sorted(filter(None, parts), key=lambda run: run.started):
        if part.run_id in runs:
            _merge(runs[part.run_id], part)
        else:
            runs[part.run_id] = part
    return list(runs.values())


def read_file(path: Path) -> OfflineRun | None:
    """One offline file, None if it holds no run; damage is warned of, the rest is kept."""
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # built at import

    try:
        content = path.read_bytes()
    except OSError as error:
        _logger.warning("%s cannot be read: %s", path, error.strerror)
        return None
    damage: list[str] = []
    run = OfflineRun()
    for data in _records(content, damage):
        record = Record()
        try:
            record.ParseFromString(data)
        except DecodeError:
            damage.append("a record that does not parse")
            continue
        _apply(record, run)
    if not run.run_id:
        damage.append("no run in it (killed before anything was flushed?)")
    if damage:
        _logger.warning("%s is damaged: %s", path, "; ".join(dict.fromkeys(damage)))
    return run if run.run_id else None


def _records(content: bytes, damage: list[str]) -> Iterator[bytes]:
    """The log's whole records; a record with a damaged piece is left out."""
    parts: list[bytes] = []
    for kind, data in _pieces(content, damage):
        if kind in (_WHOLE, _FIRST):
            if parts:
                damage.append("a record without its end")
            parts = [data]
        elif parts and kind in (_MIDDLE, _LAST):
            parts.append(data)
        else:  # the rest of a record whose start was lost
            parts = []
            continue
        if kind in (_WHOLE, _LAST):
            yield b"".join(parts)
            parts = []
    if parts:
        damage.append("a record without its end")


def _pieces(content: bytes, damage: list[str]) -> Iterator[tuple[int, bytes]]:
    if len(content) < _HEADER.size or _HEADER.unpack_from(content)[:2] != _MAGIC:
        damage.append("not a W&B file")
        return
    at = _HEADER.size
    while at < len(content):
        block_end = (at // _BLOCK + 1) * _BLOCK
        if block_end - at < _PIECE.size:
            at = block_end
            continue
        if len(content) - at < _PIECE.size:
            damage.append("torn at its end")
            return
        crc, length, kind = _PIECE.unpack_from(content, at)
        start, end = at + _PIECE.size, at + _PIECE.size + length
        data = content[start:end]
        if end > len(content) and end <= block_end:
            damage.append("torn at its end")
            return
        if end > block_end or zlib.crc32(data, zlib.crc32(bytes([kind]))) != crc:
            damage.append("bad checksum")
            yield 0, b""  # ends the record it was part of
            at = min(end, block_end)  # a wrong length finds its way back at the next block
            continue
        yield kind, data
        at = end


def _apply(record: "Message", run: OfflineRun) -> None:
    match record.WhichOneof("record_type"):
        case "run":
            run.run_id, run.project = record.run.run_id, record.run.project
            run.group, run.tags = record.run.run_group, list(record.run.tags)
            run.started = record.run.start_time.ToNanoseconds() / 1e9
            _update(run.config, record.run.config.update)
            _update(run.summary, record.run.summary.update)
        case "config":
            _update(run.config, record.config.update)
        case "summary":
            _update(run.summary, record.summary.update)
        case "history":
            row: dict[str, object] = {}
            _update(row, record.history.item)
            run.history.append(row)
        case "exit":
            run.exit_code = record.exit.exit_code


def _update(target: dict[str, object], items: Iterable[object]) -> None:
    """Set `items` (key or nested_key, value_json) but for W&B's own keys, which start with `_`."""
    for item in items:
        keys = list(item.nested_key) or [item.key]  # type: ignore[attr-defined]
        if keys[0].startswith("_"):
            continue
        inner = target
        for key in keys[:-1]:
            deeper = inner.setdefault(key, {})
            if not isinstance(deeper, dict):
                deeper = inner[key] = {}
            inner = deeper
        inner[keys[-1]] = json.loads(item.value_json)  # type: ignore[attr-defined]


def _merge(run: OfflineRun, later: OfflineRun) -> None:
    run.config |= later.config
    run.summary |= later.summary
    run.history += later.history
    run.exit_code = later.exit_code
