"""Features of a data set's rows behind a frozen encoder, made once and kept in a file."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from es_repro.config import weights_fingerprint
from es_repro.data import Data
from es_repro.judge.encoders import Encode, Encoder
from es_repro.selection import PlannedBatchSampler, create
from es_repro.storage.tensor_file import keep_tensors, kept_tensors

__all__ = ["Show", "features"]

Show = Callable[[float, str], None]  # told of the share that is done, and of what

FORMAT = 1  # counts changes of what a file holds, and of how features are made
BATCH = 64  # rows of a forward pass, for one core
NAME = "features"  # of the one tensor in a file


def features(
    data: Data,
    order: Tensor,
    encoder: Encoder,
    folder: Path,
    *,
    begin: Callable[[], None],
    show: Show | None = None,
) -> Tensor:
    """The features of all rows, from `folder` where they lie there, else made and put there.

    Kept as float16, half the size: its rounding, 5e-4 of a value at most, is far below what
    separates rows, and what is trained on is float32 again.

    Args:
        data: its training rows, not augmented.
        order: [n] int64, in which rows are taken: those of a batch best have one length.
        encoder: run without gradient, in eval mode and float32.
        folder: for the file; made where it is missing. One that cannot be written costs time alone.
        begin: called before they are made, where they have to be.
        show: told how far that is.

    Returns:
        [n, d] float16.

    Raises:
        DataNotFound: the encoder is not installed.
        ValueError: its file holds other weights than it should.
    """
    weights = weights_fingerprint(str(encoder.find()))
    parts = (data.fingerprint, str(weights), encoder.recipe, str(FORMAT))
    key = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
    path = folder / f"{key}.pt"
    kept = kept_tensors(path)
    if kept is None:
        begin()
        kept = {NAME: _make(data, order, encoder.build(encoder.weights), show)}
        keep_tensors(path, kept)
    return kept[NAME]


@torch.inference_mode()
def _make(data: Data, order: Tensor, encode: Encode, show: Show | None) -> Tensor:
    sampler = PlannedBatchSampler(create("baseline", data.num_samples, 1), data.num_samples)
    loader = data.loader(sampler, seed=0, device=torch.device("cpu"))
    loader.set_epoch(0)
    made: list[Tensor] = []
    done = 0
    for index, inputs, _ in loader.visit(order, BATCH):
        made.append(encode(inputs).half())
        done += len(index)
        if show is not None:
            show(done / len(order), f"features: {done} of {len(order)} rows")
    rows = torch.cat(made)
    return torch.empty_like(rows).index_copy_(0, order, rows)
