"""The tidy frame of runs: a row per asked-for (experiment, row, seed), joined with its run.

Pure: records in, frame out. `folders` and `wandb_runs` read the records.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

__all__ = ["Json", "Member", "Run", "State", "diverged", "settings", "tidy"]

Json = Mapping[str, object]
State = Literal["finished", "failed", "running", "interrupted", "missing", "no data"]
Kind = Literal["string", "Float64", "boolean"]

# What a run's hash leaves out (`es_repro.config`), its seed, and what only describes: two runs that
# differ here alone are the same configuration.
_NOT_OF_THE_RESULT = re.compile(
    r"(seed|recipe|experiment|row|resume|missing_data|fail_fast|run|tracker|environment|artifacts"
    r"|trace|replay)"
    r"(\.|$)"
    r"|dataset\.(data_root|cache_root|tokenizer|download|note)$"
    r"|method\.trace$"  # each seed replays its own
)
# Weights that another run left: each row and seed takes its own, and all of them are one choice.
_LEFT_BY_A_RUN = re.compile(r"^(.*/[0-9a-f]{16}|<path>)/")

# Metrics of a split that lie in [0, 1] or, correlations, in [-1, 1].
_SHARE = re.compile(r"(test|validation)/(accuracy|f1|matthews|correlation)(_best)?$")

_CONFIG: dict[str, Kind] = {
    "epochs": "Float64", "meta_batch_size": "Float64", "micro_batch_size": "Float64",
    "optimizer.lr": "Float64", "precision": "string", "method.name": "string",
    "model.name": "string", "dataset.name": "string", "dataset.split": "string",
    "dataset.subset": "Float64", "dataset.fingerprint": "string", "dataset.note": "string",
    "recipe.paper": "boolean",
}  # fmt: skip
_ENVIRONMENT: dict[str, Kind] = {
    "device": "string", "device_name": "string", "threads": "Float64",
    "jobs_side_by_side": "Float64", "precision": "string", "compile": "string", "torch": "string",
    "python": "string", "es_repro": "string", "commit": "string", "dirty": "boolean",
}  # fmt: skip
_SUMMARY: dict[str, Kind] = {
    "headline": "string", "test/accuracy": "Float64", "validation/accuracy": "Float64",
    "cost/optimizer_steps": "Float64", "cost/bp_samples": "Float64",
    "cost/forward_samples": "Float64", "cost/flops": "Float64", "time/train_seconds": "Float64",
    "time/contended": "boolean",
}  # fmt: skip
_PAIRED: dict[str, Kind] = {
    "time_saved": "Float64", "low": "Float64", "high": "Float64", "pairs": "Float64",
    "device_name": "string", "threads": "Float64", "torch": "string", "commit": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A run that a command asked for; `run` is None where there was no data to run on."""

    experiment: str
    row: str
    seed: int
    run: str | None


@dataclass(frozen=True)
class Run:
    """What a source says about one run, whatever the source."""

    state: State
    error: str | None = None
    epochs_done: int | None = None
    source: str = "folder"
    config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)
    environment: Json = field(default_factory=dict)
    paired: Json = field(default_factory=dict)


def settings(run: Run) -> dict[str, object]:
    """Everything that determines a run's result apart from its seed, by dotted key.

    Beside the config: the precision that it resolved to on the run's machine.
    """
    flat = {
        key: value
        for key, value in _flatten(run.config).items()
        if not _NOT_OF_THE_RESULT.match(key)
    }
    if isinstance(flat.get("model.weights"), str):
        flat["model.weights"] = _LEFT_BY_A_RUN.sub("RUN/", str(flat["model.weights"]))
    if run.environment.get("precision") is not None:
        flat["resolved precision"] = run.environment["precision"]
    return flat


def tidy(members: Iterable[Member], runs: Mapping[str, Run]) -> pd.DataFrame:
    """Join the asked-for members, oldest first, with their runs.

    Duplicate lines collapse to their last occurrence; `order` is its position, so that the newest
    of two is the one with the larger `order`.

    Returns:
        Columns: experiment, row, seed, run, order, source, state, error, epochs_done; `settings`
        (JSON of `settings`); `config.*`, `environment.*`, `paired.*`; a metric under its own name.
    """
    newest = {member: order for order, member in enumerate(members)}
    rows = [
        _row(member, order, runs) for member, order in sorted(newest.items(), key=lambda m: m[1])
    ]
    kinds = _column_kinds(rows)
    frame = pd.DataFrame(rows, columns=list(kinds))
    return frame.astype(kinds)


def diverged(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Which runs of a tidy frame failed by a loss that was not finite."""
    errors = runs["error"].fillna("")
    return runs["state"].eq("failed") & errors.str.startswith("FloatingPointError:")


def _row(member: Member, order: int, runs: Mapping[str, Run]) -> dict[str, object]:
    run = Run(state="no data", source="members")
    if member.run is not None:
        run = runs.get(member.run, Run(state="missing", source="members"))
    if run.state == "finished" and (odd := _beyond_shares(run.summary)):
        run = replace(run, state="failed", error=f"{odd}: not a share in [0, 1]; in percent?")
    flat = _flatten(run.config)
    flat.setdefault(
        "dataset.name", str(flat.get("dataset._target_", "")).rpartition(".")[2] or None
    )
    row: dict[str, object] = {
        "experiment": member.experiment, "row": member.row, "seed": member.seed,
        "run": member.run, "order": order, "source": run.source, "state": run.state,
        "error": run.error, "epochs_done": run.epochs_done,
        "settings": json.dumps(settings(run), sort_keys=True, default=str) if run.config else None,
    }  # fmt: skip
    row |= {f"config.{key}": _cast(flat.get(key), kind) for key, kind in _CONFIG.items()}
    row |= {
        f"environment.{key}": _cast(run.environment.get(key), kind)
        for key, kind in _ENVIRONMENT.items()
    }
    row |= {f"paired.{key}": _cast(run.paired.get(key), kind) for key, kind in _PAIRED.items()}
    known = {key: _cast(run.summary.get(key), kind) for key, kind in _SUMMARY.items()}
    further = {key: _cast(v, "Float64") for key, v in run.summary.items() if "/" in key}
    return row | further | known


def _beyond_shares(summary: Json) -> str | None:
    """The first metric that is a share by its name and cannot be one by its value.

    Records of other programs, such as an online project's, may count in percent.
    """
    for key, value in summary.items():
        number = _cast(value, "Float64")
        if _SHARE.match(key) and isinstance(number, float) and abs(number) > 1:
            return f"{key}={value}"
    return None


def _column_kinds(rows: list[dict[str, object]]) -> dict[str, str]:
    identity = {
        "experiment": "string", "row": "string", "seed": "int64", "run": "string",
        "order": "int64", "source": "string", "state": "string", "error": "string",
        "epochs_done": "Float64", "settings": "string",
    }  # fmt: skip
    known: dict[str, str] = identity
    known |= {f"config.{key}": kind for key, kind in _CONFIG.items()}
    known |= {f"environment.{key}": kind for key, kind in _ENVIRONMENT.items()}
    known |= {f"paired.{key}": kind for key, kind in _PAIRED.items()}
    known |= _SUMMARY
    further = sorted({key for row in rows for key in row} - set(known))
    return known | dict.fromkeys(further, "Float64")


def _cast(value: object, kind: Kind) -> object:
    """`value` as `kind`, None where it is not one: a record's odd value must not stop a report."""
    if value is None:
        return None
    if kind == "string":
        return str(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number else None  # type: ignore[arg-type]  # a number


def _flatten(config: Json, prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
