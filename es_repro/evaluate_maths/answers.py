"""The answers of an evaluation on disk, and what they come to."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from es_repro.storage.files import append_line, write_json

__all__ = ["Answers", "summarise"]

Key = tuple[str, int, int]  # set, number of the problem, sample


class Answers:
    """One folder: settings.json, answers.jsonl (a line an answer, appended) and results.json.

    Args:
        folder: made where it is not there.
        settings: all that the answers depend on.

    Raises:
        ValueError: the folder holds answers that were given under other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "settings.json"
        if path.exists():
            _compare(path, settings)
        else:
            write_json(path, settings)
        self.lines = {_key(line): line for line in _read(folder / "answers.jsonl")}

    def add(self, line: dict[str, Any]) -> None:
        """Append an answer; it is on the disk when this returns."""
        append_line(self.folder / "answers.jsonl", line, durable=True)
        self.lines[_key(line)] = line

    def finish(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Write results.json and answer what it holds."""
        found = dict(about) | summarise(list(self.lines.values()))
        write_json(self.folder / "results.json", found)
        return found


def summarise(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy by set, its errors and counts, and the mean over the sets.

    Returns:
        `sets`: for each, accuracy (pass@1: the mean over problems of their samples' mean),
        standard_error (problems as clusters: how another draw of problems and samples would
        scatter; None for one problem), sampling_error (the same problems, other samples; None for
        one sample), by_sample (the accuracy of each single sample), and counts. `mean`: of the
        accuracies, each set alike, with its standard_error.
    """
    by_set: dict[str, dict[int, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        by_set[line["set"]][line["number"]].append(line)
    sets = {name: _of_set(problems) for name, problems in by_set.items()}
    errors = [found["standard_error"] for found in sets.values()]
    whole = {
        "accuracy": sum(found["accuracy"] for found in sets.values()) / max(1, len(sets)),
        "standard_error": None
        if None in errors
        else math.sqrt(sum(error**2 for error in errors)) / max(1, len(sets)),
    }
    return {"sets": sets, "mean": whole}


def _of_set(problems: Mapping[int, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    rights = [[line["verdict"] == "right" for line in lines] for lines in problems.values()]
    means = [sum(right) / len(right) for right in rights]
    n, k = len(means), min(map(len, rights))
    accuracy = sum(means) / n
    scatter = sum((mean - accuracy) ** 2 for mean in means)
    within = sum(mean * (1 - mean) / (k - 1) for mean in means) if k > 1 else None
    by_sample: dict[int, list[bool]] = defaultdict(list)
    every = [line for lines in problems.values() for line in lines]
    for line in every:
        by_sample[line["sample"]].append(line["verdict"] == "right")
    return {
        "accuracy": accuracy,
        "standard_error": math.sqrt(scatter / (n - 1) / n) if n > 1 else None,
        "sampling_error": None if within is None else math.sqrt(within) / n,
        "by_sample": [sum(right) / len(right) for _, right in sorted(by_sample.items())],
        "problems": n,
        "samples": k,
        "answers": len(every),
        **{x: sum(line["verdict"] == x for line in every) for x in VERDICTS},
        "unfinished": sum(not line["finished"] for line in every),
        "mean_tokens": sum(line["tokens"] for line in every) / len(every),
    }


VERDICTS = ("right", "wrong", "no_answer", "timeout")


def _key(line: Mapping[str, Any]) -> Key:
    return line["set"], line["number"], line["sample"]


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for text in texts:
        try:
            found.append(json.loads(text))
        except ValueError:
            continue  # torn by a kill; the answer is given again
    return found


def _compare(path: Path, settings: Mapping[str, Any]) -> None:
    try:
        there = json.loads(path.read_text())
    except ValueError:
        raise ValueError(f"{path}: damaged; choose another --out") from None
    for name in sorted(there.keys() | settings.keys()):
        ours, theirs = settings.get(name), there.get(name)
        if json.loads(json.dumps(ours)) != theirs:
            raise ValueError(
                f"{name}={ours}: must be {theirs}, under which {path.parent} was begun; "
                "choose another --out"
            )
