"""The config tree as it is written: keys, values, and the comments that stand beside them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ["Key", "Option", "groups", "read_option"]

# Of Hydra, what says how a sweep is run; its help and folders are no settings of a run.
_HIDDEN = ("hydra.help", "hydra.run", "hydra.sweep.", "hydra.output_subdir", "hydra.callbacks")
_BUILT = ("_target_", "_partial_", "_convert_")


@dataclass(frozen=True)
class Key:
    """A key of a YAML file: its dotted name, its value as written, and what is said of it."""

    name: str
    value: str
    note: str
    section: str = ""


@dataclass(frozen=True)
class Option:
    """A YAML file.

    Attributes:
        group: its folder below `conf/`; empty for the top of the tree.
        name: of the file, without its ending.
        purpose: the comment at its head, as prose.
        commands: the commands in that comment.
        extends: its defaults list, each entry with its comment.
        target: what it builds.
        keys: the rest, in the order of the file.
    """

    group: str
    name: str
    purpose: str
    commands: tuple[str, ...]
    extends: tuple[Key, ...]
    target: str
    keys: tuple[Key, ...]

    @property
    def path(self) -> str:
        """Where it lies in the repository."""
        return "/".join(x for x in ("conf", self.group, f"{self.name}.yaml") if x)


def groups(conf: Path) -> dict[str, list[Option]]:
    """Every YAML of the tree by its group, the top of the tree under the empty name."""
    found: dict[str, list[Option]] = {}
    for path in sorted(conf.rglob("*.yaml")):
        group = path.parent.relative_to(conf).as_posix()
        found.setdefault("" if group == "." else group, []).append(read_option(path, conf))
    return found


def read_option(path: Path, conf: Path) -> Option:
    """One YAML file; `conf` is the tree that it is part of."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    node = yaml.compose(text)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    first = pairs[0][0].start_mark.line if pairs else len(lines)
    purpose, commands = _head(lines[:first])
    keys = list(_keys(lines, pairs, "", first))
    group = path.parent.relative_to(conf).as_posix()
    return Option(
        group="" if group == "." else group,
        name=path.stem,
        purpose=purpose,
        commands=commands,
        extends=tuple(key for key in keys if key.name == "defaults"),
        target=next((key.value for key in keys if key.name == "_target_"), ""),
        keys=tuple(key for key in keys if _is_shown(key.name)),
    )


def _is_shown(name: str) -> bool:
    hidden = any(f"{name}.".startswith(f"{head.rstrip('.')}.") for head in _HIDDEN)
    return name != "defaults" and name not in _BUILT and not hidden


def _head(lines: list[str]) -> tuple[str, tuple[str, ...]]:
    """The comment that opens a file: prose, and the commands that it names."""
    words: list[str] = []
    commands: list[str] = []
    for line in lines:
        said = line.removeprefix("#").strip()
        if not said or said.startswith("@package"):
            continue
        prose, command = _command(said)
        if command and not prose and words:  # it stands on a line of its own
            words[-1] = f"{words[-1].removesuffix(':').removesuffix('.')}."
        words += [prose] if prose else []
        commands += [command] if command else []
    text = re.sub(r"\s*:?$", "", " ".join(words))
    return (text if not text or text.endswith(".") else f"{text}."), tuple(commands)


def _command(line: str) -> tuple[str, str]:
    """A line of a comment as prose and a command, which ends it."""
    found = re.search(r"(^|(?<=: ))((\w+=\S+ )*(python -m|pip install|make) .*)$", line)
    if found is None:
        return line, ""
    prose = line[: found.start()].strip()
    return (f"{prose.removesuffix(':').removesuffix('.')}." if prose else ""), found.group(2)


def _keys(
    lines: list[str], pairs: list[tuple[yaml.Node, yaml.Node]], prefix: str, first: int
) -> Iterator[Key]:
    section, above = "", first
    for key, value in pairs:
        name, line = f"{prefix}{key.value}", key.start_mark.line
        stands_above = [x.strip().removeprefix("#").strip() for x in lines[above:line]]
        for said in (x for x in stands_above if x.startswith("----")):
            section = said.strip("- ")
        before = " ".join(x for x in stands_above if x and not x.startswith("----"))
        above = _last_line(value) + 1
        if name == "defaults":
            yield from _extends(lines, value)
        elif isinstance(value, yaml.MappingNode) and value.value:
            note = _joined(before, _comment(lines[line], key.end_mark.column))
            if note and not value.flow_style:  # else it ends the line of every key in it
                yield Key(name, "", note, section)
            for inner in _keys(lines, value.value, f"{name}.", line + 1):
                yield Key(inner.name, inner.value, inner.note, section)
        else:
            last = _last_line(value)
            column = value.end_mark.column if last == value.end_mark.line else 0
            note = _comment(lines[last], column)
            yield Key(name, _written(lines, value), _joined(before, note), section)


def _last_line(node: yaml.Node) -> int:
    """The line that a value ends on; the mark of a block's end is where the next thing begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        start, end = node.start_mark, node.end_mark
        return end.line - (1 if end.column == 0 and end.line > start.line else 0)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _extends(lines: list[str], entries: yaml.Node) -> Iterator[Key]:
    for entry in entries.value:
        note = _comment(lines[entry.start_mark.line], entry.start_mark.column)
        if isinstance(entry, yaml.MappingNode):
            for key, value in entry.value:
                yield Key("defaults", f"{key.value}: {_written(lines, value)}", note)
        else:
            yield Key("defaults", _written(lines, entry), note)


def _written(lines: list[str], value: yaml.Node) -> str:
    start, end = value.start_mark, value.end_mark
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        return f"[{', '.join(_written(lines, item) for item in value.value)}]"
    if isinstance(value, yaml.ScalarNode) and start.line != end.line:
        return " ".join(value.value.split())
    if start.line == end.line:
        return lines[start.line][start.column : end.column].strip()
    text = "\n".join(lines[start.line : end.line + 1])[start.column :]
    return " ".join(re.sub(r"\s+#.*", "", text).split())


def _comment(line: str, column: int) -> str:
    """What stands behind the value, or behind `key:`."""
    found = re.search(r"(^|\s)#\s*(.*)$", line[column:])
    return found.group(2).strip() if found else ""


def _joined(above: str, beside: str) -> str:
    return f"{above} {beside}".strip()
