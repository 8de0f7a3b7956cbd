"""The global random generators: they serve initial weights and dropout, and nothing of ours."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["global_state", "isolated_generators", "load_global_state", "seed_globals"]


def seed_globals(seed: int, rank: int = 0) -> None:
    """Seed the generators that initial weights and dropout draw from.

    Ranks need equal initial weights, then dropout masks of their own: the main one's are `seed`'s.
    """
    if rank:
        digest = hashlib.blake2b(f"{seed}/rank {rank}".encode(), digest_size=4).digest()
        seed = int.from_bytes(digest, "big")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global one is meant
    torch.manual_seed(seed)


@contextmanager
def isolated_generators(device: torch.device) -> Iterator[None]:
    """Whatever is drawn inside (dropout masks), torch's generators come out unmoved."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def global_state(device: torch.device) -> dict[str, Any]:
    """The state of Python's, NumPy's and torch's generators; loads with ``weights_only=True``."""
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    kind, keys, place, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - the global one
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys), place, has_gauss, cached),
        "torch": [torch.get_rng_state(), *cuda],
    }


def load_global_state(state: dict[str, Any], device: torch.device) -> None:
    """Put every generator back to `state`: of a GPU, this one's, where it was taken on one."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.cpu().numpy(), *rest))  # noqa: NPY002 - the global one
    cpu, *cuda = (generator.cpu() for generator in state["torch"])
    torch.set_rng_state(cpu)
    if cuda and device.type == "cuda":
        torch.cuda.set_rng_state(cuda[0], device)
