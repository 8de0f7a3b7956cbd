"""Read the runs' W&B mirror, offline files or an online project, into the same members and runs.

A run's W&B id is `HASH-ATTEMPT`, its tags are [experiment, row], its config holds the resolved
config and, under `environment`, what environment.json holds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from es_repro.report import ReportError
from es_repro.report.runs import Json, Member, Run, State
from es_repro.report.wandb_offline import OfflineRun, read_folder

__all__ = ["read_wandb"]


@dataclass(frozen=True)
class _Attempt:
    """One W&B run, wherever it was read; its tags are [experiment, row], in any order."""

    run_id: str
    group: str
    tags: list[str]
    state: State
    error: str | None
    source: str
    epochs_done: int | None
    config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)


def read_wandb(source: str) -> tuple[list[Member], dict[str, Run]]:
    """Members and runs of a folder with offline files, or of the online project ENTITY/PROJECT.

    Raises:
        ReportError: `source` is neither, or W&B cannot be asked.
    """
    if Path(source).is_dir():
        attempts = [_offline(run) for run in read_folder(Path(source))]
        if not attempts:
            raise ReportError(f"no readable run-*.wandb file found under {source}")
    elif source.count("/") == 1 and not source.startswith((".", "/", "~")):
        attempts = list(_online(source))
    else:
        raise ReportError(f"--wandb {source}: neither a folder nor an online ENTITY/PROJECT")
    return _members(attempts), _runs(attempts)


def _members(attempts: Iterable[_Attempt]) -> list[Member]:
    members = []
    for attempt in attempts:
        # W&B sorts tags online; a group is its experiment's name with `-` for `/`
        named = [tag for tag in attempt.tags if tag.replace("/", "-") == attempt.group]
        rows = [tag for tag in attempt.tags if tag not in named]
        seed = attempt.config.get("seed")
        if named and rows and isinstance(seed, int):
            members.append(Member(named[0], rows[0], seed, _hash(attempt)))
    return members


def _runs(attempts: Iterable[_Attempt]) -> dict[str, Run]:
    """The last attempt speaks for its run, unless an earlier one had finished."""
    runs: dict[str, Run] = {}
    for attempt in attempts:
        name = _hash(attempt)
        if name in runs and runs[name].state == "finished" and attempt.state != "finished":
            continue
        environment = attempt.config.get("environment")
        runs[name] = Run(
            state=attempt.state, error=attempt.error, source=attempt.source,
            epochs_done=attempt.epochs_done, summary=attempt.summary,
            config={key: v for key, v in attempt.config.items() if key != "environment"},
            environment=environment if isinstance(environment, dict) else {},
        )  # fmt: skip
    return runs


def _hash(attempt: _Attempt) -> str:
    return attempt.run_id.rpartition("-")[0] or attempt.run_id


def _offline(run: OfflineRun) -> _Attempt:
    state: State = "interrupted"
    if run.summary.get("status") == "finished":
        state = "finished"
    elif run.exit_code:
        state = "failed"
    epochs = [row["epoch"] for row in run.history if row.get("kind") == "epoch"]
    return _Attempt(
        run_id=run.run_id, group=run.group, tags=run.tags, state=state, source="wandb offline",
        error=f"exit code {run.exit_code}" if state == "failed" else None,
        epochs_done=max((e for e in epochs if isinstance(e, int)), default=None),
        config=run.config, summary=run.summary,
    )  # fmt: skip


def _online(project: str) -> Iterator[_Attempt]:
    import wandb
    from requests.exceptions import RequestException

    try:
        for run in wandb.Api().runs(project, order="+created_at"):
            yield _online_attempt(run)
    except (wandb.Error, RequestException, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ReportError(f"cannot read the W&B project {project}: {first}") from error


def _online_attempt(run: object) -> _Attempt:
    """`run` is a `wandb.apis.public.Run`."""
    summary = dict(run.summary)  # type: ignore[attr-defined]
    remote = str(run.state)  # type: ignore[attr-defined]
    states: dict[str, State] = {"running": "running", "failed": "failed", "crashed": "interrupted"}
    state = states.get(remote, "interrupted")
    if summary.get("status") == "finished":
        state = "finished"
    epoch = summary.get("epoch")
    return _Attempt(
        run_id=str(run.id), group=str(run.group or ""), tags=list(run.tags), state=state,  # type: ignore[attr-defined]
        error=f"W&B state {remote}" if state == "failed" else None, source="wandb",
        epochs_done=epoch if isinstance(epoch, int) else None,
        config=dict(run.config), summary=summary,  # type: ignore[attr-defined]
    )  # fmt: skip
