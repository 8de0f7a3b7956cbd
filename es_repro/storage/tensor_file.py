"""Named tensors in one file, which tells when it is damaged; reading it executes no code."""

import hashlib
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from es_repro.storage.files import write_atomically

__all__ = ["checksum", "keep_tensors", "kept_tensors"]

logger = logging.getLogger(__name__)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Hash of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def kept_tensors(path: Path) -> dict[str, Tensor] | None:
    """What `keep_tensors` wrote; None where there is nothing, or with a warning nothing whole."""
    try:
        stored = torch.load(path, weights_only=True)
        tensors: dict[str, Tensor] = stored["tensors"]
        if checksum(tensors) == stored["checksum"]:
            return tensors
        reason = "its checksum is wrong"
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, AttributeError,
            pickle.UnpicklingError) as error:  # fmt: skip
        reason = type(error).__name__
    logger.warning("%s: damaged (%s); made again", path, reason)
    return None


def keep_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write CPU tensors by their names; a file that cannot be written costs time alone."""
    content = {"tensors": dict(tensors), "checksum": checksum(tensors)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: torch.save(content, file))
    except OSError as error:
        logger.warning("%s: cannot be kept (%s)", path, error)
