"""Run folders as the record writes them, with numbers made up by a fixed rule."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

EPOCHS, SAMPLES = 15, 2000
# Accuracy, and cost over the baseline's in samples back-propagated, FLOPs and seconds.
ROWS = {
    "baseline": (0.600, 1.0, 1.0, 1.0), "ucb": (0.571, 0.7, 0.7, 0.72),
    "ka": (0.580, 0.8, 0.87, 0.9), "infobatch": (0.595, 0.69, 0.69, 0.72),
    "loss": (0.588, 0.25, 0.583, 0.61), "order": (0.575, 0.25, 0.583, 0.6),
    "es": (0.592, 0.35, 0.65, 0.68), "eswp": (0.584, 0.29, 0.54, 0.58),
    "random_set": (0.581, 0.35, 0.35, 0.37), "random_batch": (0.570, 0.35, 0.35, 0.39),
    "short_es": (0.586, 0.65, 0.65, 0.65), "short_eswp": (0.577, 0.54, 0.54, 0.54),
    "loss_anneal": (0.590, 0.35, 0.65, 0.68),
}  # fmt: skip


def known(row: str) -> tuple[float, float, float, float]:
    """The numbers of a row; of one that Table 2 does not have: the baseline's."""
    return ROWS.get(row, ROWS["baseline"])


def merge(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """`base` with `changes` by dotted key."""
    merged = json.loads(json.dumps(base))
    for key, value in changes.items():
        *parents, last = key.split(".")
        inner = merged
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return merged


class RunsRoot:
    """A RUNS_ROOT that runs can be put into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def ask(self, experiment: str, row: str, seed: int, run: str | None) -> None:
        line = {"experiment": experiment, "row": row, "seed": seed, "run": run}
        line["status"] = "asked" if run else "no data"
        with (self.path / "members.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def add(
        self, experiment: str, row: str, seed: int, *, finished: bool = True,
        config: Mapping[str, object] = {}, environment: Mapping[str, object] = {},
        summary: Mapping[str, object] = {}, paired: Mapping[str, object] | None = None,
    ) -> Path:  # fmt: skip
        """A run asked for and, unless told otherwise, finished; changes by dotted key."""
        full = merge(self.config(experiment, row, seed), config)
        run = hashlib.sha256(json.dumps(full, sort_keys=True).encode()).hexdigest()[:16]
        self.ask(experiment, row, seed, run)
        folder = self.path / run
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(full))
        about = dict(self.environment()) | dict(environment)
        (folder / "environment.json").write_text(json.dumps(about))
        numbers = dict(self.summary(row, seed)) | dict(summary)
        (folder / "history.jsonl").write_text(self.history(row, numbers.get("test/accuracy")))
        if paired is not None:
            (folder / "paired.json").write_text(json.dumps(paired))
        if finished:
            (folder / "summary.json").write_text(json.dumps(numbers))
            (folder / "done").touch()
        return folder

    @staticmethod
    def config(experiment: str, row: str, seed: int) -> dict[str, object]:
        return {
            "seed": seed, "epochs": EPOCHS, "meta_batch_size": 64, "micro_batch_size": None,
            "precision": "auto", "experiment": experiment, "row": row,
            "method": {"_target_": "es_repro.selection.create", "name": row},
            "model": {"_target_": "es_repro.models.small_resnet", "depth": 8},
            "dataset": {
                "name": "cifar10", "split": "test", "subset": SAMPLES, "data_root": "/data/sets",
                "fingerprint": "5d41402abc4b2a76b9719d911017c592",
            },
            "recipe": {"paper": False}, "run": {"root": "/home/alice/runs", "threads": 1},
            "tracker": {"mode": "offline", "entity": "alice"},
        }  # fmt: skip

    @staticmethod
    def environment() -> dict[str, object]:
        return {
            "device": "cpu", "device_name": "AMD EPYC 7B13", "threads": 1, "jobs_side_by_side": 1,
            "precision": "fp32", "compile": False, "torch": "2.12.1", "python": "3.11.7",
            "es_repro": "0.1.0", "commit": "0123456789abcdef0123", "dirty": False,
            "packages": {"timm": "1.0.31"},
        }  # fmt: skip

    @staticmethod
    def history(row: str, accuracy: float | None) -> str:
        lines = [{"kind": "event", "step": -1, "epoch": 0, "event": "started", "time": 1.0}]
        for epoch in range(1, EPOCHS + 1):
            at = {"step": 32 * epoch, "epoch": epoch}
            at |= {"cost/bp_samples": known(row)[1] * SAMPLES * epoch}
            value = None if accuracy is None else accuracy * (epoch / EPOCHS)
            lines.append({"kind": "epoch", **at, "test/accuracy": value})
        return "".join(json.dumps(line) + "\n" for line in lines)

    @staticmethod
    def summary(row: str, seed: int) -> dict[str, object]:
        accuracy, bp, flops, seconds = known(row)
        steps = 32 * EPOCHS * (bp if row in ("ucb", "ka", "infobatch", "short_es") else 1)
        return {
            "status": "finished",
            "test/accuracy": accuracy + 0.004 * seed + (0.001 if row == "es" else 0) * seed,
            "test/accuracy_best": accuracy + 0.02, "test/loss": 1.2,
            "cost/optimizer_steps": steps, "cost/bp_samples": bp * SAMPLES * EPOCHS,
            "cost/forward_samples": SAMPLES * EPOCHS, "cost/flops": flops * 1.2e13,
            "time/train_seconds": 80 * seconds + seed, "time/contended": False, "resumed": 0,
        }  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> RunsRoot:
    return RunsRoot(tmp_path / "runs")


@pytest.fixture
def sweep(root: RunsRoot) -> RunsRoot:
    """Table 2's demo as it looks after a real night: most of it finished, some of it not."""
    return after_a_night(root)


@pytest.fixture(scope="module")
def one_sweep(tmp_path_factory: pytest.TempPathFactory) -> RunsRoot:
    """The same, once a module: for tests that only read it."""
    return after_a_night(RunsRoot(tmp_path_factory.mktemp("sweep") / "runs"))


def after_a_night(root: RunsRoot) -> RunsRoot:
    """Put Table 2's demo into a run root, some of it failed, killed, missing or without data."""
    ten, hundred, fifty = (
        f"demo/table2_{name}"
        for name in ("cifar10_resnet18", "cifar100_resnet18", "cifar100_resnet50")
    )
    for seed in (0, 1):
        for row in ROWS:
            if (row, seed) == ("ucb", 1):
                folder = root.add(ten, row, seed, finished=False)
                failure = {"type": "FloatingPointError", "error": "step 96: loss of ids 3, 17"}
                (folder / "failed.json").write_text(json.dumps(failure))
            elif row == "eswp":
                paired = {"time_saved": 0.412, "low": 0.398, "high": 0.431, "pairs": 40}
                root.add(ten, row, seed, summary={"time/contended": True}, paired=paired)
            elif row == "order":
                root.add(ten, row, seed, environment={"device_name": "Intel Xeon"})
            elif row == "loss_anneal":
                root.ask(ten, row, seed, f"feed00000000000{seed}")
            elif row == "short_eswp":
                root.add(ten, row, seed, finished=False)
            else:
                root.add(ten, row, seed)
            root.ask(hundred, row, seed, None)
            root.ask(fifty, row, seed, None)
    return root
