"""Configs: where they lie, what the hash of a run covers, and their errors in a line."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from es_repro.pretrained.earlier_run import file_of_run
from es_repro.selection.checks import one_of

__all__ = [
    "config_folder",
    "departures",
    "exit_code",
    "identify",
    "plain",
    "readable",
    "register_resolvers",
    "run_hash",
    "weights_fingerprint",
    "weights_note",
]

# Keys that do not change what a run computes: where it writes, what it is called, how it is shown.
NOT_HASHED = (
    "recipe", "experiment", "row", "resume", "missing_data", "fail_fast", "run", "tracker",
    "artifacts", "trace", "replay",
)  # fmt: skip
# The same of the data set: where it lies, who decodes it, and when to give up. What a tokenizer
# does is in the data's fingerprint, wherever it lies.
NOT_HASHED_OF_DATASET = ("data_root", "num_workers", "max_damaged", "cache_root", "tokenizer")
# And of the method: whose picks a replay follows is in its trace, which is hashed.
NOT_HASHED_OF_METHOD = ("of",)
# What a command may say without leaving an experiment's recipe: which of its runs, how, and where.
OF_THE_COMMAND = (
    "experiment", "method", "seed", "sweep", "resume", "missing_data", "fail_fast", "run",
    "tracker", "compile", "compile_mode", "hydra", "trace",
)  # fmt: skip
# Weights elsewhere are the same until their fingerprint says otherwise; none (null) are not.
PLACES = (
    "dataset.data_root", "dataset.download", "dataset.num_workers", "dataset.cache_root",
    "dataset.tokenizer", "model.weights",
)  # fmt: skip


def config_folder() -> str:
    """The folder of the config tree: the installed package's copy, or the checkout's."""
    here = Path(__file__).resolve().parent
    return str(
        next((x for x in (here / "conf", here.parent / "conf") if x.is_dir()), here / "conf")
    )


def register_resolvers() -> None:
    """The resolvers of our own.

    `${one_minus:x}`, without the noise of binary fractions; `${share:part,whole}`;
    `${linear_scaling:rate,B}`, a rate stated for batches of 256 at B (Goyal et al. 2017);
    `${left_by:root,experiment,row,seed,name}`, the file of a finished run;
    `${scored_cost:f}`, FLOPs of a step that scores B and trains f*B, over those of training B;
    `${row_of:method,replay}`, the row that a run stands in unless told otherwise.
    """
    ours: dict[str, Callable[..., Any]] = {
        "one_minus": lambda x: round(1 - x, 12),
        "share": lambda part, whole: round(part / whole, 12),
        "linear_scaling": lambda rate, batch_size: round(rate * batch_size / 256, 12),
        "scored_cost": lambda ratio: 1 / 3 + ratio,
        "row_of": lambda method, replay: "replay" if replay else method,
        "left_by": lambda root, *asked: str(file_of_run(Path(root), *asked)),
    }
    for name, resolve in ours.items():
        OmegaConf.register_new_resolver(name, resolve, replace=True)


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved config as plain Python, without what only Hydra needs."""
    ours = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    ours._set_parent(config)  # where its interpolations still find Hydra's choices
    found = OmegaConf.to_container(ours, resolve=True, throw_on_missing=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def run_hash(config: dict[str, Any], **determinants: str | int) -> str:
    """16 hex digits naming a run by all that determines its result.

    Args:
        config: resolved, plain.
        determinants: what the config does not say: the resolved precision, the data's
            fingerprint, the method's `semantics_version`.
    """
    covered = {key: value for key, value in config.items() if key not in NOT_HASHED}
    dataset = {k: v for k, v in config["dataset"].items() if k not in NOT_HASHED_OF_DATASET}
    method = {k: v for k, v in config["method"].items() if k not in NOT_HASHED_OF_METHOD}
    model = config["model"] | {"weights": weights_fingerprint(config["model"].get("weights"))}
    covered |= {"dataset": dataset, "method": method, "model": model}
    covered |= {"determinants": determinants}
    text = json.dumps(covered, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def identify(
    settled: dict[str, Any],
    *,
    epochs: int,
    compiled: bool,
    precision: str,
    data: str,
    semantics: int,
    world_size: int = 1,
) -> tuple[dict[str, Any], str]:
    """The config that a run records, and the hash that names it.

    Args:
        settled: the plain config.
        epochs: E, as the run takes them.
        compiled: what `compile` resolved to.
        precision: likewise.
        data: the data's fingerprint.
        semantics: the method's version.
        world_size: batches are selected within each rank, and batch norm sees a rank's rows;
            nothing is said of one process alone.
    """
    resolved = settled | {"epochs": epochs, "compile": compiled}
    resolved |= {"world_size": world_size} if world_size > 1 else {}
    former = settled["run"]["continue_from"]
    resolved |= {"continues": former} if former else {}
    run = run_hash(resolved, precision=precision, data=data, semantics=semantics)
    return resolved, run


def weights_fingerprint(place: str | None) -> str | None:
    """What initial weights are, wherever they lie: a hash of the file's or folder's content.

    Args:
        place: `model.weights`; a name that is no path here stands for itself.
    """
    path = Path(place).expanduser() if place else None
    if path is None or not path.exists():
        return place
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(x for x in path.rglob("*") if x.is_file())
    for file in files:
        digest.update(b"" if file == path else str(file.relative_to(path)).encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def weights_note(config: dict[str, Any]) -> dict[str, str]:
    """What a reader must know of the initial weights, as the `note` that stands by every number.

    Args:
        config: resolved, plain. Where `recipe.pretrained` says that the recipe starts from trained
            weights, a run that starts from random ones says so, and any other which it took.
    """
    if not config["recipe"].get("pretrained"):
        return {}
    weights = config["model"].get("weights")
    kind = Path(weights).name if weights and Path(weights).is_dir() else weights
    return {"note": f"weights: {kind or 'none (random initialisation)'}"}


def exit_code(error: Exception) -> int:
    """End a command over an error: one line on stderr, and 1 to exit with.

    Raises:
        Exception: `error` itself, with its traceback, where ES_REPRO_DEBUG is set.
    """
    if os.environ.get("ES_REPRO_DEBUG"):
        raise error
    sys.stderr.write(f"error: {readable(error)}\n")
    return 1


def readable(error: BaseException) -> str:
    """One line that says what to mend, for a user who has only the command line before them."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    lines = [line for line in lines if line]
    text = " ".join(lines) or type(error).__name__
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return text
    if match := re.search(r"Could not find '(\w+)/([^']+)'", text):
        group, name = match.groups()
        return f"{group}={name}: must be {one_of(name, _options(group))}"
    if match := re.search(r"raised while resolving interpolation: (.*?)( full_key:|$)", text):
        return match.group(1)
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"{match.group(1)}: no such key; --help lists them (+key=value would add one)"
    if match := re.search(r"Error locating target '([^']+)'", text):
        return f"{_key_of(text)}_target_={match.group(1)}: must be a class or function that exists"
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, ValueError):
        return readable(error.__cause__)
    return text


def departures(overrides: Iterable[str], swept: Mapping[str, object]) -> list[str]:
    """Those of a command's overrides that make a run another recipe than its experiment's.

    Args:
        overrides: `key=value`, as Hydra's `overrides.task` of one job.
        swept: the sweep's own parameters: what it asks for is part of the recipe.
    """
    found = []
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        asked = [text.strip() for text in str(swept.get(key, "")).split(",")]
        group, _, inner = key.partition(".")
        place = key in PLACES and value != "null"
        free = place or (group in OF_THE_COMMAND and not (inner and group == "method"))
        if not free and value not in asked:
            found.append(override)
    return found


def _options(group: str) -> list[str]:
    """A group's options, those in folders of it last."""
    folder = Path(config_folder()) / group
    names = [str(x.relative_to(folder).with_suffix("")) for x in folder.rglob("*.yaml")]
    return sorted(names, key=lambda name: ("/" in name, name))


def _key_of(text: str) -> str:
    match = re.search(r"full_key: (\S+)", text)
    return f"{match.group(1)}." if match else ""
