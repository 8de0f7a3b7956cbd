"""One split of images in the hub's parquet shards, of which a row group at a time is in memory.

Source: https://huggingface.co/datasets/ILSVRC/imagenet-1k (data card): columns image =
struct(bytes, path) and label. A row is read with its whole row group (about a hundred images where
the hub's own tools wrote it), so shuffled epochs read far more than they use: for sets much larger
than memory, unpack the shards into class folders.
"""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from es_repro.data.parquet import check_columns, read_labels

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

__all__ = ["ShardedSplit"]

GROUPS_KEPT = 4  # a process: row groups are some ten megabytes each


class ShardedSplit:
    """The images of one split's shards.

    Args:
        paths: the shards, in order.

    Attributes:
        origin: the files, as a message names them.
        targets: [n] int64.
        listing: what tells one copy from another: rows and bytes of every row group, and labels.

    Raises:
        DataDamaged: an unreadable file, or columns of another layout.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self.origin = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and its other shards"
        labels, groups = [], []
        self._columns = []
        for shard, path in enumerate(self._paths):
            image, label = check_columns(path)
            self._columns.append(image)
            targets, metadata = read_labels(path, label)
            labels.append(targets)
            groups += [
                (shard, at, group.num_rows, group.total_byte_size)
                for at in range(metadata.num_row_groups)
                for group in [metadata.row_group(at)]
            ]
        self.targets: Tensor = torch.cat(labels)
        self._groups = np.array(groups, dtype=np.int64).reshape(-1, 4)
        self._ends = self._groups[:, 2].cumsum()
        self._forget()

    @property
    def listing(self) -> bytes:
        """Rows and bytes of every row group, and the labels."""
        return self._groups.tobytes() + self.targets.numpy().tobytes()

    def name(self, row: int) -> str:
        """Where the image of a row lies."""
        shard, _, place = self._find(row)
        return f"{self._paths[shard]} (row {place})"

    def read(self, row: int) -> bytes:
        """The encoded image of a row; empty where it has no bytes.

        Raises:
            OSError: it cannot be read.
        """
        at = int(np.searchsorted(self._ends, row, side="right"))
        start = int(self._ends[at] - self._groups[at, 2])
        return self._group(at)[row - start].as_py() or b""

    def _find(self, row: int) -> tuple[int, int, int]:
        """Shard, number of the row group, and row within the shard."""
        at = int(np.searchsorted(self._ends, row, side="right"))
        shard = int(self._groups[at, 0])
        before = int(self._groups[self._groups[:, 0] < shard, 2].sum())
        return shard, at, row - before

    def _group(self, at: int) -> "pyarrow.ChunkedArray":
        """The encoded images of a row group; the last few are kept."""
        if self._process != os.getpid():  # a worker shares no open file with its parent
            self._forget()
        if at not in self._kept:
            self._kept[at] = self._load(at)
            while len(self._kept) > GROUPS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(at)
        return self._kept[at]

    def _load(self, at: int) -> "pyarrow.ChunkedArray":
        import pyarrow as pa  # here, for image folders do without it
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        shard, group = int(self._groups[at, 0]), int(self._groups[at, 1])
        path, column = self._paths[shard], self._columns[shard]
        try:
            if shard not in self._files:
                self._files[shard] = pq.ParquetFile(path, memory_map=True)
            table = self._files[shard].read_row_group(group, columns=[column], use_threads=False)
        except pa.ArrowException as error:
            reason = str(error).splitlines()[0]
            raise OSError(f"{path}: row group {group} cannot be read ({reason})") from error
        return pc.struct_field(table[column], "bytes")

    def _forget(self) -> None:
        self._process = os.getpid()
        self._files: dict[int, pyarrow.parquet.ParquetFile] = {}
        self._kept: OrderedDict[int, pyarrow.ChunkedArray] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_process": None, "_files": {}, "_kept": OrderedDict()}
