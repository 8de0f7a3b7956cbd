"""The whole Markdown document of a table: the table, the runs left out, where it all comes from."""

from collections.abc import Iterable

import pandas as pd

from es_repro.report import markdown
from es_repro.report.render import to_markdown
from es_repro.report.sheet import Sheet

__all__ = ["document", "listing", "provenance"]


def document(
    title: str, sheet: Sheet, kept: pd.DataFrame, listed: pd.DataFrame, commands: list[str]
) -> str:
    """Title, table, what is not in it, provenance.

    Args:
        title: without the `#`.
        sheet: the table.
        kept: the runs of the table's cells, from `cells.resolve`.
        listed: those to be named instead, from the same.
        commands: how the runs and this document were made.
    """
    used = kept[kept["state"] == "finished"]
    sections = [f"# {title}", to_markdown(sheet).rstrip()]
    if len(listed):
        sections += ["## Runs that are not in the table", markdown.bullets(listing(listed))]
    sections += ["## Provenance", markdown.bullets(provenance(used, commands))]
    return "\n\n".join(sections) + "\n"


def listing(listed: pd.DataFrame) -> list[str]:
    """Which runs are not averaged, and why: one line a row and reason."""
    lines = []
    for (experiment, row, why), runs in listed.groupby(["experiment", "row", "reason"]):
        ordered = runs.sort_values("seed")
        seeds = ", ".join(
            str(seed) if pd.isna(run) else f"{seed} (`{run}`)"
            for seed, run in zip(ordered["seed"], ordered["run"], strict=True)
        )
        lines.append(f"{experiment}, {row}, seed{'s' if len(runs) > 1 else ''} {seeds}: {why}")
    return lines


def provenance(used: pd.DataFrame, commands: list[str]) -> list[str]:
    """Command, commits, machines, versions, seeds and data of the runs that a table rests on."""
    lines = ["Command: " + ", then ".join(f"`{command}`" for command in commands)]
    lines.append(f"Runs: {used['run'].nunique()} finished")
    if used.empty:
        return lines
    commits = used["environment.commit"].fillna("unknown").str.slice(0, 10)
    dirty = used["environment.dirty"].fillna(False)
    commits = commits + dirty.map({True: " (with local changes)", False: ""})
    lines.append(f"Commit: {_counted(commits)}")
    threads = used["environment.threads"].map(_whole)
    neighbours = used["environment.jobs_side_by_side"].map(_whole)
    machine = (
        used["environment.device_name"].fillna("unknown device")
        + ", threads: " + threads + ", jobs side by side: " + neighbours
        + ", " + used["environment.precision"].fillna("unknown precision")
    )  # fmt: skip
    versions = (
        used["environment.torch"].fillna("?")
        + ", es_repro "
        + used["environment.es_repro"].fillna("?")
    )
    lines.append(f"Device: {_counted(machine)}")
    lines.append(f"Versions: torch {_counted(versions)}")
    lines += _paired(used)
    lines.append(f"Seeds: {', '.join(str(seed) for seed in sorted(used['seed'].unique()))}")
    lines += [f"Data: {text}" for text in _data(used)]
    return lines


def _paired(used: pd.DataFrame) -> list[str]:
    """Where paired times were taken: it need not be where the runs were trained."""
    timed = used[used["paired.time_saved"].notna()]
    if timed.empty:
        return []
    where = timed["paired.device_name"].fillna("unknown device") + ", threads: "
    commit = ", commit " + timed["paired.commit"].fillna("unknown").str.slice(0, 10)
    return [f"Paired times: {_counted(where + timed['paired.threads'].map(_whole) + commit)}"]


def _data(used: pd.DataFrame) -> list[str]:
    columns = ["name", "split", "subset", "note", "fingerprint"]
    sets = used[[f"config.dataset.{column}" for column in columns]]
    texts = []
    for name, split, subset, note, fingerprint in (
        sets.drop_duplicates().astype("object").itertuples(index=False, name=None)
    ):
        text = "unknown" if pd.isna(name) else str(name)
        if not pd.isna(subset):
            size = float(subset)
            text += f", subset of {size:.0%}" if size < 1 else f", subset of {size:.0f}"
        text += "" if pd.isna(split) else f", split {split}"
        text += "" if pd.isna(fingerprint) else f", fingerprint {str(fingerprint)[:12]}"
        texts.append(text + ("" if pd.isna(note) else f". {note}"))
    return texts


def _counted(values: Iterable[str]) -> str:
    counts = pd.Series(list(values)).value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    return "; ".join(f"{value} ({count} runs)" for value, count in counts.items())


def _whole(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) and not pd.isna(value) else "?"
