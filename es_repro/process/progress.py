"""What a person sees while runs go on: a bar for one run, a line and bars for a sweep."""

import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from es_repro.parallel.world import is_main
from es_repro.process.signals import SweepSignals
from es_repro.storage.files import append_line
from es_repro.storage.lease import is_held

__all__ = ["JOBS", "RunBar", "SweepProgress", "job_line", "read_jobs", "sweep_state"]

JOBS = "jobs.jsonl"
POLL_SECONDS = 0.5


def _bars(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
    )
    return Progress(*columns, console=console, transient=True)


class RunBar:
    """One run's bar on standard error; silent without a terminal.

    Args:
        label: what the run is called.
        enabled: False inside a sweep, whose own display watches the runs.
    """

    def __init__(self, label: str, *, enabled: bool) -> None:
        self._bars = _bars(Console(stderr=True)) if enabled and sys.stderr.isatty() else None
        if self._bars is not None:
            self._task = self._bars.add_task(label, total=1.0, state="")

    def __enter__(self) -> "RunBar":
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, share: float, state: str) -> None:
        """Move to `share` in [0, 1]; `state` is one short line."""
        if self._bars is not None:
            self._bars.update(self._task, completed=share, state=state)


def read_jobs(folder: Path) -> list[dict[str, Any]]:
    """The finished jobs of the sweep in `folder`, in the order in which they ended."""
    try:
        lines = (folder / JOBS).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def job_line(job: dict[str, Any]) -> str:
    """One finished job as a line for people."""
    name = f"{job['experiment']} {job['row']} seed {job['seed']}"
    if job["status"] == "no data":  # the same reason for a whole sweep: it is said once, at its end
        return f"{name}: no data"
    if job["status"] in ("failed", "skipped", "stopped"):
        return f"{name}: {job['status']}: {job['error']}"
    kept = " (done before)" if job["status"] == "kept" else f" in {job['seconds']:.0f} s"
    return f"{name}: {job['headline']} {job['value']:.4f}{kept}"


def sweep_state(jobs: list[dict[str, Any]], shares: list[float], total: int) -> str:
    """How a sweep stands, in a line.

    Args:
        jobs: those that have ended.
        shares: how far each run is that goes on now.
        total: runs of the sweep.
    """
    failed = sum(job["status"] == "failed" for job in jobs)
    left = max(0, total - len(jobs) - len(shares))
    state = f"{len(jobs) - failed} done, {len(shares)} running, {failed} failed, {left} left"
    seconds = [job["seconds"] for job in jobs if job["status"] == "finished"]
    if seconds:  # those that were done before say nothing of the rest
        rest = left + sum(1 - share for share in shares)
        minutes = rest * sum(seconds) / len(seconds) / max(1, len(shares)) / 60
        state += f", about {minutes:.0f} min" if minutes >= 1 else ", under a minute"
    results = [job for job in jobs if "value" in job]
    return state + (f"; {results[-1]['row']} {results[-1]['value']:.4f}" if results else "")


def count_jobs(config: DictConfig) -> int:
    """How many runs a multirun of `config` makes: the product of its swept overrides."""
    params = OmegaConf.to_container(config.hydra.sweeper.params or OmegaConf.create({}))
    assert isinstance(params, dict)
    texts = [f"{key!s}={value}" for key, value in params.items()]
    parsed = OverridesParser.create().parse_overrides(texts + list(config.hydra.overrides.task))
    last = {override.get_key_element(): override for override in parsed}  # as Hydra's sweeper
    swept = [override for override in last.values() if override.is_sweep_override()]
    return math.prod(len(list(override.sweep_string_iterator())) for override in swept)


class SweepProgress(Callback):
    """Watches a multirun from its parent process through the files that its jobs write.

    Hydra calls it; jobs may run in this process, in others, or on other machines.
    """

    open: "SweepProgress | None" = None

    def __getstate__(self) -> dict[str, Any]:
        # Launchers send callbacks along to their workers, where there is nothing to watch.
        return {}

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        if not is_main() or SweepProgress.open is not None:
            return  # the latter: it goes on after a loss, and the first one still watches
        self.root, self.folder = Path(config.run.root), Path(config.hydra.sweep.dir)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            append_line(self.root / "sweeps" / "log.jsonl", {"sweep": self.folder.name})
        except OSError:
            return  # Hydra would warn of it here; it fails on the same folder next, in one line
        self.total, self.shown, self.started = count_jobs(config), 0, time.monotonic()
        self.console = Console(stderr=True, highlight=False)
        self.bars = _bars(self.console) if self.console.is_terminal else None
        if self.bars is not None:
            self.line = self.bars.add_task("sweep", total=self.total, state="")
            self.bars.start()
        self.running: dict[str, TaskID] = {}
        self._signals = SweepSignals(self.root)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sweep", daemon=True)
        self._thread.start()
        SweepProgress.open = self

    def close(self) -> list[dict[str, Any]]:
        """Stop watching and answer the jobs; `main` calls it however the sweep ended."""
        SweepProgress.open = None
        self._signals.restore()
        self._stop.set()
        self._thread.join()
        self._look()
        if self.bars is not None:
            self.bars.stop()
        return read_jobs(self.folder)

    def say(self, line: str) -> None:
        """Print a line among those of the runs."""
        self.console.print(line, markup=False, soft_wrap=True)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        jobs = read_jobs(self.folder)
        for number, job in enumerate(jobs[self.shown :], start=self.shown + 1):
            self.console.print(
                f"[{number}/{self.total}] {job_line(job)}", markup=False, soft_wrap=True
            )
        self.shown = len(jobs)
        if self.bars is not None:
            shares = self._show_running(self.bars)
            state = sweep_state(jobs, shares, self.total)
            self.bars.update(self.line, completed=len(jobs), state=state)

    def _show_running(self, bars: Progress) -> list[float]:
        held = ((path.parent.name, is_held(path.parent)) for path in self.root.glob("*/lease.json"))
        live = {run: holder["progress"] for run, holder in held if holder and holder["progress"]}
        for run in self.running.keys() - live.keys():
            bars.remove_task(self.running.pop(run))
        for run, seen in live.items():
            if run not in self.running:
                self.running[run] = bars.add_task(f"  {seen['label']}", total=1.0, state="")
            bars.update(self.running[run], completed=seen["share"], state=seen["state"])
        return [seen["share"] for seen in live.values()]
