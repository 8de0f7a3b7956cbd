"""The configuration reference: a page a group of the config tree, in the words of its files."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from es_repro.selection import selector_class
from generators import cell, escaped, write
from generators.config_tree import Key, Option, groups

__all__ = ["pages", "write_pages"]

_KINDS = {
    "method": "what selects the samples, and its controls",
    "model": "what is trained",
    "dataset": "on what",
    "task": "what turns a batch into per-sample losses and metrics",
    "optimizer": "what steps",
    "parameter_groups": "which parameters share a rate and a decay",
    "schedule": "the learning rate over the progress of a run",
    "tracker": "where a record is mirrored to",
    "recipe": "values that several experiments share",
    "experiment": "the paper's recipes: `experiment=NAME`",
    "experiment/small": "the same questions for one large GPU: `experiment=small/NAME`",
    "experiment/demo": "the same protocols in minutes on two cores: `experiment=demo/NAME`",
    "sweep": "the runs of a table or figure: `-m sweep=NAME`",
    "sweep/small": "the runs of its small form: `-m sweep=small/NAME`",
    "sweep/demo": "the runs of its demo: `-m sweep=demo/NAME`",
    "hydra/launcher": "where the runs of a sweep go: `hydra/launcher=NAME`",
}


def write_pages(conf: Path, folder: Path) -> None:
    """Write every page of the reference, and an index of them, below `folder`."""
    made = pages(conf)
    for name, text in made.items():
        write(folder / f"{name}.md", text)
    for stale in set(folder.glob("*.md")) - {folder / f"{name}.md" for name in made}:
        stale.unlink()


def pages(conf: Path) -> dict[str, str]:
    """The pages by name: one a group, `index` for the top of the tree."""
    tree = groups(conf)
    (top,) = tree.pop("")
    chosen = dict(entry.value.split(": ", 1) for entry in top.extends if ": " in entry.value)
    order = sorted(tree, key=lambda group: (group not in _KINDS, [*_KINDS, group].index(group)))
    found = {"index": _top(top, tree, order)}
    for group in order:
        found[group.replace("/", "-")] = _group(group, tree[group], chosen.get(group, ""))
    return found


def _top(top: Option, tree: Mapping[str, list[Option]], order: list[str]) -> str:
    parts = [
        "# Configuration reference",
        "Every key that a command may set, as the files under `conf/` state it: `KEY=VALUE` sets a "
        "key, `GROUP=OPTION` takes another file of a group. Written from those files when this "
        "page was built; the words beside a key are its comment, which names where a value comes "
        "from (a section of the paper, a released script, or our choice).",
        "## Groups",
        "\n".join([
            "| group | what it decides | options |", "|---|---|---|",
            *(f"| [{group}]({group.replace('/', '-')}.md) | {_KINDS.get(group, '')} | "
              f"{len(tree[group])} |" for group in order),
        ]),
    ]  # fmt: skip
    for section in dict.fromkeys(key.section for key in top.keys):
        keys = [key for key in top.keys if key.section == section]
        title = {"what does not": "What does not determine it"}.get(section, section)
        title = title.split(",")[0]
        parts += [f"## Keys: {title[:1].lower()}{title[1:]}", _table(keys)]
    listed = "\n".join(group.replace("/", "-") for group in order)
    parts.append(f"```{{toctree}}\n:hidden:\n\n{listed}\n```")
    return "\n\n".join(parts) + "\n"


def _group(group: str, options: list[Option], chosen: str) -> str:
    kind = _KINDS.get(group, "")
    about = f"{kind[:1].upper()}{kind[1:]}." if kind else ""
    about += f" Unless said: `{group}={chosen}`." if chosen not in ("", "null") else ""
    parts = [f"# {group}", about, _overview(options)]
    for option in options:
        parts += [
            f"({anchor(option)})=\n## {escaped(option.name)}", escaped(option.purpose),
            _code(option.commands), _built(option), _extended(option.extends),
            _table(option.keys), _further(option),
        ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def anchor(option: Option) -> str:
    """The label of an option's section."""
    return f"conf-{option.group}-{option.name}".replace("/", "-").lower()


def _overview(options: list[Option]) -> str:
    lines = [f"| [{escaped(x.name)}](#{anchor(x)}) | {escaped(_sentence(x))} |" for x in options]
    return "\n".join(["| option | what it is |", "|---|---|", *lines])


def _sentence(option: Option) -> str:
    return re.split(r"\.(?= [A-Z]|$)", option.purpose)[0]  # not "et al. 2021", not "Eq. 3.1"


def _code(commands: Iterable[str]) -> str:
    text = "\n".join(commands)
    return f"```bash\n{text}\n```" if text else ""


def _built(option: Option) -> str:
    return f"Builds `{option.target}`; from `{option.path}`." if option.target else ""


def _extended(entries: Iterable[Key]) -> str:
    shown = [entry for entry in entries if entry.value != "_self_"]
    if not shown:
        return ""
    words = [f"`{x.value}`" + (f" ({escaped(x.note)})" if x.note else "") for x in shown]
    return f"Takes over: {'; '.join(words)}."


def _table(keys: Iterable[Key]) -> str:
    rows = [f"| {cell(x.name)} | {cell(x.value)} | {escaped(x.note)} |" for x in keys]
    return "\n".join(["| key | value | what and whence |", "|---|---|---|", *rows]) if rows else ""


def _further(option: Option) -> str:
    """Hyper-parameters that a method has and its file leaves at their defaults."""
    if option.target != "es_repro.selection.create":
        return ""
    said = {key.name: key.value for key in option.keys}
    method = selector_class(said["name"])
    others = [name for name in method.hyperparameter_names() if name not in said]
    if not others:
        return ""
    listed = ", ".join(f"`+method.{name}=...`" for name in others)
    return f"Further hyper-parameters of {{py:class}}`~{_full(method)}`: {listed}."


def _full(method: type) -> str:
    return f"{method.__module__}.{method.__name__}"
