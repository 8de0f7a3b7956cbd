"""Tokens of a split, made once and kept in a file; a damaged one is made again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from es_repro.data.texts import Texts
from es_repro.storage.tensor_file import keep_tensors, kept_tensors

__all__ = ["Tokenized", "tokenized"]

FORMAT = 2  # counts changes of what a file holds
CHUNK = 10_000  # texts handed over at once: bounds the memory beside the flat tokens


@dataclass(frozen=True, eq=False)
class Tokenized:
    """A split's tokens, flat.

    Attributes:
        fields: by name, each [total] int32.
        offsets: [n + 1] int64.
    """

    fields: Mapping[str, Tensor]
    offsets: Tensor


def tokenized(texts: Texts, tokenizer: Tokenizer, max_length: int, folder: Path) -> Tokenized:
    """The tokens of a split, from `folder` where they lie there, else made and put there.

    Args:
        texts: of one or two columns; two are joined as the tokenizer joins a pair.
        tokenizer: without padding and truncation.
        max_length: longer samples are cut, the longer text of a pair first.
        folder: for the file; made where it is missing. One that cannot be written costs time alone.
    """
    parts = (texts.fingerprint, tokenizer.to_str(), str(max_length), str(FORMAT))
    key = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
    path = folder / f"{key}.pt"
    kept = kept_tensors(path)
    if kept is not None:
        offsets = kept.pop("offsets")
        return Tokenized(kept, offsets)
    made = _encode(texts, tokenizer, max_length)
    keep_tensors(path, {**made.fields, "offsets": made.offsets})
    return made


def _encode(texts: Texts, tokenizer: Tokenizer, max_length: int) -> Tokenized:
    cutting = Tokenizer.from_str(tokenizer.to_str())  # the caller's own stays as it is
    cutting.enable_truncation(max_length, strategy="longest_first")
    paired = bool(max(cutting.encode("a", "b").type_ids))  # does it tell the texts of a pair apart?
    ids, kinds, lengths = [], [], [0]
    rows = list(zip(*texts.columns, strict=True)) if len(texts.columns) > 1 else texts.columns[0]
    for start in range(0, len(rows), CHUNK):
        for encoded in cutting.encode_batch_fast(rows[start : start + CHUNK]):
            ids.append(np.asarray(encoded.ids, dtype=np.int32))
            kinds.append(np.asarray(encoded.type_ids if paired else (), dtype=np.int32))
            lengths.append(len(encoded))
    fields = {"input_ids": torch.from_numpy(np.concatenate(ids))}
    if paired:
        fields["token_type_ids"] = torch.from_numpy(np.concatenate(kinds))
    return Tokenized(fields, torch.tensor(lengths).cumsum(0))
