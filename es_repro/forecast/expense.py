"""What a run is expected to cost before it is begun: FLOPs by the cost model, hours by records."""

import contextlib
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from es_repro.build import told
from es_repro.config import NOT_HASHED_OF_DATASET
from es_repro.data.known import known
from es_repro.forecast.utilisation import ASSUMED, h100_hours
from es_repro.parallel.world import world_size
from es_repro.passes import ForwardFlops
from es_repro.selection import Selector, Trace, selector_class
from es_repro.selection.foreign import Foreign

__all__ = ["Expense", "Ledger", "Recorded", "estimate", "read_records"]

# Forward FLOPs a token of nets that only the hub can build: two a parameter, and attention.
FLOPS_PER_TOKEN = {"Qwen/Qwen2.5-Math-1.5B": 3.17e9, "Qwen/Qwen2.5-0.5B-Instruct": 0.99e9}


@dataclass(frozen=True)
class Recorded:
    """A finished run, as far as plans ask.

    Attributes:
        model, dataset: their configs as keys.
        machine: device's name and threads.
        flops_per_sample: of a forward pass.
        flops_per_second: of the whole training.
    """

    model: str
    dataset: str
    machine: tuple[str, int]
    flops_per_sample: float
    flops_per_second: float


@dataclass(frozen=True)
class Expense:
    """What a run is expected to cost.

    Attributes:
        flops: None where the net or the data are not known; `unknown` says which.
        seconds: of training on this machine; None without a finished run of this net on it.
        h100_hours: at an assumed utilisation; None where none is stated.
    """

    flops: float | None = None
    seconds: float | None = None
    h100_hours: float | None = None
    unknown: str = ""


@dataclass
class Ledger:
    """What records say of speed and of data.

    Attributes:
        runs: the finished ones.
        fingerprints: of the data that a config has been seen to give.
    """

    runs: list[Recorded] = field(default_factory=list)
    fingerprints: dict[str, set[str]] = field(default_factory=dict)


def model_key(config: Mapping[str, Any]) -> str:
    """The net of a config, whatever weights it starts from."""
    kept = {key: value for key, value in config["model"].items() if key != "weights"}
    return json.dumps(kept, sort_keys=True, default=str)


def dataset_key(config: Mapping[str, Any]) -> str:
    """The data of a config, wherever they lie."""
    left_out = (*NOT_HASHED_OF_DATASET, "fingerprint", "note", "download")
    kept = {key: value for key, value in config["dataset"].items() if key not in left_out}
    return json.dumps(kept, sort_keys=True, default=str)


def read_records(root: Path) -> Ledger:
    """What the run folders of `root` say; what cannot be read says nothing."""
    ledger = Ledger()
    for path in root.glob("*/config.yaml"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            config = yaml.load(path.read_text(encoding="utf-8"), _fast_loader())
            data, net = dataset_key(config), model_key(config)
            ledger.fingerprints.setdefault(data, set()).add(config["dataset"]["fingerprint"])
            if (path.parent / "done").exists():
                ledger.runs.append(_recorded(path.parent, net, data))
    return ledger


def _fast_loader() -> Any:  # noqa: ANN401 - yaml has the C loader or has it not
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _recorded(folder: Path, model: str, dataset: str) -> Recorded:
    about = json.loads((folder / "environment.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    return Recorded(
        model,
        dataset,
        (about["device_name"], about["threads"]),
        float(summary["cost/flops_per_sample"]),
        summary["cost/flops"] / max(1e-9, summary["time/train_seconds"]),
    )


def estimate(
    config: Mapping[str, Any],
    epochs: int,
    option: str,
    ledger: Ledger,
    machine: tuple[str, int],
    trace: Trace | None = None,
) -> Expense:
    """The cost of one run.

    Args:
        config: resolved, plain, with `max_steps` as the run takes them.
        epochs: E, as the run takes them.
        option: the model's, for the assumed utilisation.
        ledger: what records say.
        machine: device's name and threads.
        trace: of the run that it follows; None: it goes by its method.
    """
    data, net = known(config["dataset"]), model_key(config)
    if data is None:
        return Expense(unknown="the size of its data set")
    own = dataset_key(config)
    seen = [x for x in ledger.runs if x.model == net]
    measured = [x.flops_per_sample for x in seen if x.dataset == own]
    forward = statistics.median(measured) if measured else _forward_flops(_frozen(config))
    if forward is None:
        return Expense(unknown="its net's FLOPs: the weights are not here")
    if trace is None and method_class(config["method"]) is Foreign:
        return Expense(unknown="how much its method trains: the class does not say")
    if trace is None:
        samples = _samples(config, epochs, data.num_samples)
    else:  # nothing is scored
        samples = trace.num_rows(config["meta_batch_size"], world_size(), config["max_steps"])
    flops = 3 * forward * samples
    rates = [x.flops_per_second for x in seen if x.machine == machine]
    return Expense(
        flops,
        flops / statistics.median(rates) if rates else None,
        h100_hours(flops, option) if option in ASSUMED else None,
    )


def method_class(method: Mapping[str, Any]) -> type[Selector]:
    """The class that a method's config builds; `Foreign` where it does not derive from ours."""
    if "name" in method:
        return selector_class(method["name"])
    found: type = get_class(method["_target_"])
    return found if issubclass(found, Selector) else Foreign


def _samples(config: Mapping[str, Any], epochs: int, num_samples: int) -> float:
    """How many samples the baseline would train on for the same FLOPs."""
    method = method_class(config["method"])
    hyper = {key: value for key, value in config["method"].items() if not key.startswith("_")}
    hyper.pop("name", None)
    if config["max_steps"] is None:
        return method.expected_cost(epochs, **hyper).factor * epochs * num_samples
    if "prune_ratio" in hyper:  # shorter epochs do not make a step cheaper
        hyper["prune_ratio"] = 0.0
    factor = method.expected_cost(epochs, **hyper).factor
    rows = min(config["meta_batch_size"], num_samples)
    return float(factor * config["max_steps"] * rows)


def _frozen(config: Mapping[str, Any]) -> str:
    kept = {name: config[name] for name in ("model", "task", "dataset")}
    return json.dumps(kept, sort_keys=True, default=str)


@cache
def _forward_flops(text: str) -> float | None:
    """Forward FLOPs of a row, by the net itself on no device; None where it cannot be built."""
    config = json.loads(text)
    data, weights = known(config["dataset"]), config["model"].get("weights")
    assert data is not None
    if weights in FLOPS_PER_TOKEN and data.tokens is not None:
        return FLOPS_PER_TOKEN[weights] * data.tokens
    make_model = instantiate(OmegaConf.create(config["model"]))
    make_task = instantiate(OmegaConf.create(config["task"]))
    fresh = {"weights": None} if "weights" in make_model.keywords else {}
    # On no device; from its weights, where these say what it is; and where it asks for values.
    for options, built, run in ((fresh, "meta", "meta"), ({}, "cpu", "meta"), ({}, "cpu", "cpu")):
        try:
            with torch.device(built):
                model = make_model(**told(make_model, data.facts, "model"), **options)
                task = make_task(**told(make_task, data.facts, "task"))
            return float(ForwardFlops(task, model.to(run))(*data.row(run)))
        except Exception:  # noqa: BLE001 - the next way
            continue
    return None
