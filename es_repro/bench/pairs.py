"""Time saved by runs that shared the machine, from short paired measurements on the idle one.

Two runs side by side slow each other down, so their clocks cannot be compared. The cost of their
steps can: a run is so many steps of each kind (its record says how many), and the ratio of one
step of a kind to one step of the baseline is measured here, interleaved, by the engine's own step.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from es_repro.bench.ratios import predicted_saving
from es_repro.bench.rigs import bare_engine
from es_repro.bench.stepping import Stepper, paired_seconds
from es_repro.build import load_data
from es_repro.process.machine import Strangers, environment
from es_repro.record import read_summary
from es_repro.storage.files import write_json

__all__ = ["Kind", "kinds_of", "measure_all", "measure_run"]

BUSY_CORES = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """Steps of a run that cost the same.

    Attributes:
        epoch: one that has them.
        selecting: whether a scoring pass goes before them.
        rows: of a meta-batch.
        steps: how many the run took.
        refreshed: rows that were re-scored beside them.
    """

    epoch: int
    selecting: bool
    rows: int
    steps: int
    refreshed: int


def kinds_of(history: list[dict[str, Any]]) -> list[Kind]:
    """The kinds of steps in a run's epoch lines, summed over its epochs."""
    found: dict[tuple[bool, int], Kind] = {}
    names = ("optimizer_steps", "selecting_steps", "forward_samples", "bp_samples")
    before = dict.fromkeys(names, 0)
    for line in history:
        now = {name: line[f"cost/{name}"] for name in names}
        new = {name: now[name] - before[name] for name in names}
        before = now
        selecting = new["selecting_steps"] > 0
        # A plain step forwards what it trains; what is beyond that was re-scored.
        refreshed = 0 if selecting else new["forward_samples"] - new["bp_samples"]
        key = (selecting, line["data/batch_rows"])
        old = found.get(key, Kind(line["epoch"] - 1, *key, steps=0, refreshed=0))
        found[key] = Kind(
            old.epoch, *key, old.steps + new["optimizer_steps"], old.refreshed + refreshed
        )
    return list(found.values())


def _history(folder: Path) -> list[dict[str, Any]]:
    lines = {}
    for text in (folder / "history.jsonl").read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn by a kill
        if line.get("kind") == "epoch":
            lines[line["epoch"]] = line
    return [lines[epoch] for epoch in sorted(lines)]


def load_config(folder: Path, data_root: str) -> DictConfig:
    """A run's own config, with the precision that it resolved to and the data where they lie.

    A run unpacked from committed records names no place of another machine: the token cache is the
    one beside the run.
    """
    config = OmegaConf.load(folder / "config.yaml")
    assert isinstance(config, DictConfig)
    config.precision = json.loads((folder / "environment.json").read_text())["precision"]
    for described in ("fingerprint", "note"):  # what the record says of the data, beside its config
        config.dataset.pop(described, None)
    if "data_root" in config.dataset:
        config.dataset.data_root = data_root
    if "cache_root" in config.dataset:
        config.dataset.cache_root = str(folder.parent / "cache")
    return config


def measure_run(
    folder: Path, baseline: Path, *, data_root: str, pairs: int = 15, warmup: int = 3
) -> dict[str, Any]:
    """The share of the baseline's training time that the run in `folder` saves.

    Args:
        folder: a finished run.
        baseline: the finished baseline of the same experiment.
        data_root: where the data lie.
        pairs: measured rounds of each kind of step.
        warmup: rounds before them.

    Returns:
        What `paired.json` holds: time_saved with a 95% bootstrap interval over the rounds, the
        ratio of each kind of step, and where it was measured.
    """
    config, base = load_config(folder, data_root), load_config(baseline, data_root)
    if config.run.threads is not None:
        torch.set_num_threads(config.run.threads)
    about = json.loads((folder / "environment.json").read_text())
    device = torch.device(about["device"])
    history, kinds = _history(baseline), kinds_of(_history(folder))
    plain = Stepper(bare_engine(base, load_data(base), device), epoch=0)
    base_steps = history[-1]["cost/optimizer_steps"]
    data = load_data(config)
    measured, detail = [], []
    for kind in kinds:
        stepper = Stepper(bare_engine(config, data, device), kind.epoch)
        work = [plain.step, stepper.step] + [stepper.score] * (kind.refreshed > 0)
        seconds = paired_seconds(work, pairs, warmup, device)
        ratios = seconds[:, 1:] / seconds[:, :1]
        counts = np.array([kind.steps, kind.refreshed / kind.rows])[: ratios.shape[1]]
        measured.append((ratios, counts))
        name = "selecting" if kind.selecting else "plain"
        detail.append({"kind": name, "rows": kind.rows, "ratio": float(np.median(ratios[:, 0]))})
    saved = predicted_saving(measured, base_steps)
    now = environment(device, config.precision, config.compile)
    kept = ("device", "device_name", "threads", "precision", "torch", "es_repro", "commit")
    return {
        "time_saved": saved.median,
        "low": saved.low,
        "high": saved.high,
        "pairs": pairs,
        "steps": detail,
        **{name: now[name] for name in kept},
    }


def measure_all(
    runs_root: Path,
    name: str,
    *,
    data_root: str,
    pairs: int = 15,
    again: bool = False,
    every: bool = False,
) -> list[str]:
    """Measure one run of every row of the experiments called `name`, where its clock needs it.

    Args:
        runs_root: where runs lie.
        name: an experiment, or what its names start with.
        data_root: where data sets lie.
        pairs: measured rounds of each kind of step.
        again: also where it was measured before.
        every: also rows whose own clock compares, to hold the two against each other.

    Returns:
        One line a measured row, for people; those that were disturbed, and so not kept, among them.
    """
    wanted = _members(runs_root, name)
    lines = []
    for (experiment, row), folders in wanted.items():
        baseline = next(iter(wanted.get((experiment, "baseline"), [])), None)
        if baseline is None or row == "baseline":
            continue
        target = next((x for x in folders if (x / "paired.json").exists()), folders[0])
        contended = any((read_summary(x) or {}).get("time/contended") for x in (target, baseline))
        if not (contended or every) or ((target / "paired.json").exists() and not again):
            continue
        quiet = Strangers()
        found = measure_run(target, baseline, data_root=data_root, pairs=pairs)
        found["foreign_cores"] = quiet.cores()
        if found["foreign_cores"] > BUSY_CORES:
            lines.append(
                f"{experiment} {row}: measured, but not kept: others used "
                f"{found['foreign_cores']:.1f} cores meanwhile; measure on an idle machine"
            )
            log.info(lines[-1])
            continue
        write_json(target / "paired.json", found)
        spread = f"{found['low']:.1%} to {found['high']:.1%}"
        lines.append(f"{experiment} {row}: {found['time_saved']:.1%} of the time saved ({spread})")
        log.info(lines[-1])
    return lines


def _members(runs_root: Path, name: str) -> dict[tuple[str, str], list[Path]]:
    """Finished runs by (experiment, row), for experiments whose name starts with `name`."""
    try:
        texts = (runs_root / "members.jsonl").read_text().splitlines()
    except FileNotFoundError:
        raise ValueError(f"{runs_root}/members.jsonl: there are no runs here yet") from None
    found: dict[tuple[str, str], list[Path]] = {}
    for member in map(json.loads, texts):
        folder = runs_root / str(member["run"])
        same = member["experiment"] == name or member["experiment"].startswith(f"{name}_")
        if same and (folder / "done").exists():
            folders = found.setdefault((member["experiment"], member["row"]), [])
            if folder not in folders:
                folders.append(folder)
    return found
