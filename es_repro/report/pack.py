"""The text of a sweep's records, fit to be committed: no host, user or absolute path in it.

Pure but for reading the run folders; the command line writes what is returned here.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import yaml

from es_repro.report import ReportError
from es_repro.report.evaluations import evaluation_files
from es_repro.report.folders import MEMBERS

__all__ = ["joined", "packed", "scrub"]

_FILES = (
    "config.yaml", "environment.json", "history.jsonl", "summary.json", "paired.json",
    "failed.json", "done",
)  # fmt: skip
_PRIVATE_KEYS = frozenset({"host", "hostname", "node", "user", "username", "entity", "email"})
_KEPT_SUFFIXES = frozenset({
    ".bin", ".csv", ".gz", ".json", ".jsonl", ".npy", ".npz", ".parquet", ".pkl", ".pt", ".py",
    ".safetensors", ".txt", ".wandb", ".yaml", ".zip",
})  # fmt: skip
_PATH = re.compile(
    r"file://\S+"
    r"|(?<![\w/.>~])(?:[A-Za-z]:)?(?:/[\w.@+=,~-]+)+/?"  # /home/x, C:/Users/x; not a/b, https://a/b
    r"|(?<!\w)(?:[A-Za-z]:\\|\\\\)[^\s\"']+"  # C:\Users\x, \\server\share
    r"|(?<![\w/])~\w*/[\w./@+=,~-]+"  # ~/x, ~user/x
)


def packed(
    root: Path, experiments: list[str], names: list[str], references: Sequence[str] = ()
) -> dict[str, str]:
    """The records of the experiments' runs as {path inside the pack: text}.

    Args:
        root: folder of the runs.
        experiments: as in members.jsonl.
        names: of hosts and users, taken out of prose.
        references: experiments of which Baseline alone is packed.

    Raises:
        ReportError: the root cannot be read or has no run of these experiments.
    """
    members = list(_members(root, experiments, references))[::-1]
    if not members:
        raise ReportError(f"no runs of {', '.join(experiments)} found in {root}")
    texts = {MEMBERS: "".join(json.dumps(member) + "\n" for member in members)}
    for run in sorted({str(member["run"]) for member in members if member["run"] is not None}):
        evaluated = [str(path.relative_to(root / run)) for _, path in evaluation_files(root / run)]
        for name in (*_FILES, *evaluated):
            path = root / run / name
            if path.is_file():
                content = path.read_text(encoding="utf-8", errors="replace")
                texts[f"{run}/{name}"] = _clean(name, content, names)
    return texts


def joined(earlier: str, later: str) -> str:
    """Two packs' members, the later ones newest: what was packed once is not lost."""
    lines = later.splitlines()
    kept = [line for line in earlier.splitlines() if line not in lines]
    return "".join(f"{line}\n" for line in [*kept, *lines])


def scrub(value: object, names: list[str]) -> object:
    """`value` without private keys, absolute paths and, in prose, the given names."""
    if isinstance(value, Mapping):
        return {k: scrub(v, names) for k, v in value.items() if k not in _PRIVATE_KEYS}
    if isinstance(value, list):
        return [scrub(item, names) for item in value]
    return _scrub_text(value, names) if isinstance(value, str) else value


def _members(
    root: Path, experiments: list[str], references: Sequence[str]
) -> Iterator[dict[str, object]]:
    """The experiments' lines, and those of the references' Baseline, newest first."""
    try:
        lines = (root / MEMBERS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError as error:
        raise ReportError(f"no runs found in {root}: it has no {MEMBERS}") from error
    except OSError as error:
        raise ReportError(f"cannot read {root / MEMBERS}: {error.strerror or error}") from error
    seen = set()
    for line in reversed(lines):  # newest first: the last of equal lines counts
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        experiment, reference = record.get("experiment"), record.get("row") == "baseline"
        if experiment in experiments or (reference and experiment in references):
            member = {
                key: record.get(key) for key in ("experiment", "row", "seed", "run", "status")
            }
            key = json.dumps(member, sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield member


def _clean(name: str, content: str, names: list[str]) -> str:
    if name.endswith(".jsonl"):
        return "".join(_clean_json(line, names) + "\n" for line in content.splitlines())
    if name.endswith(".json"):
        return _clean_json(content, names)
    if name.endswith(".yaml"):
        return _clean_yaml(content, names)
    return content


def _clean_json(content: str, names: list[str]) -> str:
    try:
        return json.dumps(scrub(json.loads(content), names))
    except ValueError:  # torn or damaged: it stays so
        return _scrub_text(content, names)


def _clean_yaml(content: str, names: list[str]) -> str:
    try:
        return yaml.safe_dump(
            scrub(yaml.safe_load(content), names), sort_keys=False, allow_unicode=True
        )
    except yaml.YAMLError:
        return _scrub_text(content, names)


def _scrub_text(text: str, names: list[str]) -> str:
    """Paths lose their folders. Names go only from prose: a user may be called `es` or `data`."""
    text = _PATH.sub(_shorten, text)
    if " " in text:
        for name in names:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "<name>", text)
    return text


def _shorten(match: re.Match[str]) -> str:
    last = PurePosixPath(match[0].replace("\\", "/"))
    return f"<path>/{last.name}" if last.suffix in _KEPT_SUFFIXES else "<path>"
