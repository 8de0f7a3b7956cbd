"""Texts and their labels, as parquet files of the public hub hold them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from es_repro.data.errors import DataDamaged

__all__ = ["Texts", "read_texts"]


@dataclass(frozen=True, eq=False)
class Texts:
    """One split.

    Attributes:
        origin: the files, as a message names them.
        columns: one or two lists [n] of texts.
        targets: [n], class ids (int64) or numbers (float32).
    """

    origin: str
    columns: tuple[list[str], ...]
    targets: Tensor

    @property
    def fingerprint(self) -> str:
        """Hash of the texts, whatever files they came in."""
        digest = hashlib.sha256()
        for column in self.columns:
            digest.update(str([len(text) for text in column]).encode())
            digest.update("".join(column).encode())
        return digest.hexdigest()


def read_texts(paths: Sequence[Path], columns: Sequence[str], *, classes: bool) -> Texts:
    """One split, its shards in order.

    Args:
        paths: the shards.
        columns: the names of the text columns.
        classes: labels are class ids rather than numbers.

    Raises:
        DataDamaged: an unreadable file, columns of another layout, a missing text or label.
    """
    import pyarrow as pa  # here, for other data do without it
    import pyarrow.parquet as pq

    tables = []
    for path in paths:
        try:
            names = pq.read_schema(path).names
            missing = [name for name in (*columns, "label") if name not in names]
            if missing:
                raise DataDamaged(
                    f"{path}: has the columns {names}, but no {' and no '.join(missing)}"
                )
            tables.append(pq.read_table(path, columns=[*columns, "label"], use_threads=False))
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise DataDamaged(
                f"{path}: no whole parquet file ({reason}); fetch it again"
            ) from error
    origin = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and its other shards"
    table = pa.concat_tables(tables, promote_options="permissive")
    for name in table.column_names:
        kind = table.schema.field(name).type
        right = pa.types.is_integer(kind) or (pa.types.is_floating(kind) and not classes)
        if name != "label":
            right = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not right or table[name].null_count:
            wanted = "text" if name != "label" else "a class id" if classes else "a number"
            raise DataDamaged(f"{origin}: column {name} ({kind}) must hold {wanted} in every row")
    if len(table) == 0:
        raise DataDamaged(f"{origin}: holds no rows; fetch it again")
    labels = table["label"].to_numpy().astype(np.int64 if classes else np.float32)
    texts = tuple(table[name].to_pylist() for name in columns)
    return Texts(origin, texts, torch.from_numpy(labels))
