"""Where pretrained files lie: in a folder, in an optional package, or on the hub.

Neither data nor models know each other, but a tokenizer and the weights that it belongs to are
found the same way.
"""

import importlib.util
from pathlib import Path

__all__ = ["PACKAGE", "fetch", "find_folder", "find_in_package"]

PACKAGE = "package:"  # before the name of an installed package that carries real weights
EXTRA = "pretrained"  # of this project: what installs those of the demos


def find_folder(key: str, place: str, files: tuple[str, ...]) -> Path:
    """The folder that `place` names, fetched from the hub where it is no folder here.

    Args:
        key: of the config, for the message.
        place: a folder, `package:NAME` (of an installed package that carries one), or a repository
            on the hub (`owner/name`).
        files: the patterns to fetch from a repository.

    Raises:
        FileNotFoundError: it is none of them, or cannot be had; the message says what to do.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        return path
    if place.startswith(PACKAGE):
        return find_in_package(key, place, "model.safetensors").parent
    if path.is_absolute() or place.count("/") != 1:
        raise FileNotFoundError(
            f"{key}={place}: no such folder; must be a folder, {PACKAGE}NAME of an installed "
            "package, or a repository on the hub (owner/name)"
        )
    try:
        return fetch(place, files)
    except OSError as error:
        raise FileNotFoundError(
            f"{key}={place}: neither a folder here nor to be had from the hub ({error}); fetch "
            f"that repository elsewhere and set {key} to its folder"
        ) from error


def find_in_package(key: str, place: str, pattern: str) -> Path:
    """The one file of that name (or pattern, such as `*.pth`) in an installed package.

    Args:
        key: of the config, for the message.
        place: `package:` and the name by which the package is imported.
        pattern: of the file's name.

    Raises:
        FileNotFoundError: the package is not installed, or does not hold just one such file.
    """
    name = place.removeprefix(PACKAGE)
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"{key}={place}: not installed; pip install 'es-repro[{EXTRA}]'")
    files = sorted(Path(found.submodule_search_locations[0]).rglob(pattern))
    if len(files) != 1:
        raise FileNotFoundError(
            f"{key}={place}: the package holds {len(files)} files {pattern}, not one"
        )
    return files[0]


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
