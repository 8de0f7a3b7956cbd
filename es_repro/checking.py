"""What a command asks for and no constructor would refuse, refused before anything is written."""

import difflib
import inspect
import math
from pathlib import Path

import yaml
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from es_repro.config import config_folder
from es_repro.selection import require
from es_repro.selection.checks import as_int, as_real, require_bool
from es_repro.selection.sampling import count

__all__ = ["check", "check_steps"]

SEEDS = 2**32
# Their keys are names: of a recipe's own values, of the files that a run leaves, Hydra's.
FREE = ("recipe", "artifacts", "hydra")
# What says how to score, and where it stands when nothing is said.
OF_SCORING = {"bn_update": "train", "score_mode": "train", "score_micro_batch": None}


def check(config: DictConfig) -> None:
    """Refuse values that would be noticed late, or never.

    Raises:
        ValueError: names the key.
    """
    _require_known(config)
    as_int("epochs", config.epochs, minimum=1)
    seed, root = as_int("seed", config.seed, minimum=0), Path(config.run.root)
    require(seed < SEEDS, "seed", seed, f"below {SEEDS}, which NumPy's generator needs")
    require(config.resume in ("auto", "never"), "resume", config.resume, "auto or never")
    skips = config.missing_data in ("error", "skip")
    require(skips, "missing_data", config.missing_data, "error or skip")
    for kind in ("selection", "losses"):
        require_bool(f"trace.{kind}", config.trace[kind])
        whole = not (config.trace[kind] and config.run.continue_from)
        require(whole, f"trace.{kind}", True, "false with run.continue_from: it has no beginning")
    text = config.replay is None or isinstance(config.replay, str)
    allowed = "a run's hash or folder; one that reads as a number in quotes: \\'...\\'"
    require(text, "replay", config.replay, allowed)
    for name, usual in OF_SCORING.items() if config.replay is not None else ():
        value, allowed = config[name], "null" if usual is None else usual
        require(value == usual, name, value, f"{allowed} under replay, which scores nothing")
    if config.run.threads is not None:
        as_int("run.threads", config.run.threads, minimum=1)
    usable = root.is_dir() or not root.exists()
    require(usable, "run.root", str(root), "a folder (RUNS_ROOT sets it)")
    budget = config.budget_of
    allowed = "null; method=short_es and its like set it, to a whole method"
    require(budget is None or "name" in budget, "budget_of", budget, allowed)
    for name in ("lr", "weight_decay"):
        as_real(f"optimizer.{name}", config.optimizer[name], "[0, inf)")


def check_steps(config: DictConfig, epochs: int, num_samples: int) -> None:
    """Refuse steps to keep the model after that the run's epochs cannot come to.

    A method that leaves samples out may end earlier still; the run's end says so.

    Args:
        config: with `max_steps` and `keep_steps` as the run takes them.
        epochs: E.
        num_samples: n.

    Raises:
        ValueError: names the first such step.
    """
    size = as_int("meta_batch_size", config.meta_batch_size, minimum=1)
    ratio = float(config.method.get("batch_ratio") or 1.0)
    smallest = min(size, count(ratio, size) / ratio)  # a planned batch may be rounded down
    most = math.ceil(epochs * math.ceil(num_samples / size) * size / smallest)
    for step in config.keep_steps or ():
        allowed = f"at most {most}, where epochs={epochs} of {num_samples} samples end"
        require(step <= most, "keep_steps", step, allowed)


def _require_known(config: DictConfig) -> None:
    """Refuse keys that nothing reads: `+nosuch=1` would be accepted by Hydra."""
    named = yaml.safe_load((Path(config_folder()) / "config.yaml").read_text(encoding="utf-8"))
    groups = [
        name
        for entry in named["defaults"]
        if isinstance(entry, dict)
        for name in entry
        if not name.startswith("override")
    ]
    _require_among(config, {*named, *groups, *FREE} - {"defaults"}, "")
    _require_among(config.run, set(named["run"]), "run.")
    for group in groups:
        node = config.get(group)
        if isinstance(node, DictConfig) and "_target_" in node:
            _require_arguments(group, node)


def _require_arguments(group: str, node: DictConfig) -> None:
    """Hold a group's keys against the arguments of what it builds."""
    try:
        target = get_object(OmegaConf.to_container(node, resolve=False)["_target_"])  # type: ignore[call-overload, index]
        arguments = inspect.signature(target).parameters
    except Exception:  # noqa: BLE001 - what cannot be found or looked at is said where it is built
        return
    if all(x.kind is not inspect.Parameter.VAR_KEYWORD for x in arguments.values()):
        known = [name for name in arguments if name not in ("self", "params")]
        _require_among(node, {*known, "_target_", "_partial_", "_convert_"}, f"{group}.")


def _require_among(node: DictConfig, known: set[str], prefix: str) -> None:
    names = [name for name in known if not name.startswith("_")]
    written = OmegaConf.to_container(node, resolve=False)
    assert isinstance(written, dict)
    for key, value in ((str(key), value) for key, value in written.items()):
        if key in known:
            continue
        close = difflib.get_close_matches(key, names, n=2)
        hint = f"did you mean {' or '.join(prefix + name for name in close)}?"
        raise ValueError(
            f"{prefix}{key}={value}: no such key; {hint if close else '--help lists them'}"
        )
