"""Random streams of our own, keyed by (seed, purpose, epoch).

The method's name is no part of the key: runs that differ in the method alone see the same order and
the same augmentation, and two methods with equal weights draw alike (methods.md 1.7).
"""

import hashlib

import torch

from es_repro.selection.checks import as_int

__all__ = ["stream"]


def stream(
    seed: int, purpose: str, epoch: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A fresh generator for one purpose in one epoch; global generators are never touched.

    Args:
        seed: the run's seed, any integer.
        purpose: what is drawn, such as ``"plan"``, ``"order"``, ``"augment"``, ``"select"``.
        epoch: 0-based.
        device: where the numbers are drawn; devices differ in numbers, not in law.

    Raises:
        ValueError: ``seed`` or ``epoch`` is not an integer.
    """
    key = f"{as_int('seed', seed)}/{purpose}/{as_int('epoch', epoch)}"
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big"))
