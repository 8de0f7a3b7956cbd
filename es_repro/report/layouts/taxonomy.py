"""What kind of selection each method is, from the selectors themselves (Table 1)."""

from collections.abc import Mapping

import pandas as pd

from es_repro.report.sheet import Part, Sheet
from es_repro.report.specs import Preset, TableSpec
from es_repro.selection import create
from es_repro.selection.factory import selector_class

__all__ = ["formula", "sheet"]

_YES, _NO = "✓", "×"
_FLAGS = {
    "set_level": "Set", "batch_level": "Batch", "uses_history": "History",
    "uses_differences": "Differences",
}  # fmt: skip
# What r is called where a method has another word for it.
_PRUNING = ("prune_ratio", "max_fraction")
_FORMULAS = {  # the paper's words -> whether a selecting epoch leaves out r, and picks b of B
    "1": (False, False),
    "1 - r": (True, False),
    "b/B": (False, True),
    "(1 - r) b/B": (True, True),
}
_PROBES = ((0.25, 0.5), (0.5, 0.25), (0.375, 0.0625))  # (r, b/B): no two formulas agree on all


def sheet(
    spec: TableSpec,
    runs: pd.DataFrame,  # noqa: ARG001  # every layout is called alike
    paper: pd.DataFrame | None,
    preset: Preset,
) -> Sheet:
    """Ours beside the paper's, each cell that differs marked; needs no runs.

    Arguments as of `by_setting.sheet`.
    """
    lines, cells = [], []
    for row in spec.rows:
        ours = _ours(row.label)
        theirs = _theirs(row.paper, paper)
        differ = [name for name in ours if theirs and ours[name] != theirs[name]]
        shown = {"Method": row.shown}
        for name, value in ours.items():
            shown[_FLAGS.get(name, "BP samples")] = (
                f"{_text(value)} (paper: {_text(theirs[name])})" if name in differ else _text(value)
            )
        shown["As the paper's"] = (
            "-" if not theirs else "yes" if not differ else f"no: {len(differ)}"
        )
        cells.append(shown)
        reported = {f"paper_{name}": theirs.get(name) for name in ours}
        lines.append({"row": row.label, "method": row.shown, **ours, **reported})
    legend = (
        "Set, Batch: where it selects. History: losses of earlier epochs enter the choice; "
        "Differences: so do their changes. Read off the selectors' classes.",
        "BP samples: share of the samples back-propagated in a selecting epoch, asked of each "
        f"selector at {len(_PROBES)} pairs of r and b/B. The scoring pass is not in it; KA's and "
        "InfoBatch's are upper bounds of what they save.",
        *spec.remarks(preset),
    )
    return Sheet((Part("", "", pd.DataFrame(cells)),), legend, pd.DataFrame(lines))


def formula(method: str) -> str:
    """The share of samples back-propagated as the paper writes it, or the number at the defaults.

    Args:
        method: as `create` knows it.
    """
    kind = selector_class(method)
    names = kind.hyperparameter_names()
    pruning = next((name for name in _PRUNING if name in names), None)
    found: list[list[float]] = []
    for r, f in _PROBES:
        given = {} if pruning is None else {pruning: r}
        given |= {"batch_ratio": f} if "batch_ratio" in names else {}
        found.append([kind.bp_fraction(**given), r, f])
    for text, (prunes, picks) in _FORMULAS.items():
        expected = [(1 - r if prunes else 1) * (f if picks else 1) for _, r, f in found]
        if all(abs(line[0] - share) < 1e-9 for line, share in zip(found, expected, strict=True)):
            return text
    return f"{kind.bp_fraction():.3g} at its defaults"


def _ours(method: str) -> dict[str, object]:
    selector = create(method, num_samples=1, num_epochs=1)
    return {
        "set_level": selector.level in ("set", "both"),
        "batch_level": selector.level in ("batch", "both"),
        "uses_history": bool(selector.uses_history),
        "uses_differences": bool(selector.uses_differences),
        "bp_sample_fraction": formula(method),
    }


def _theirs(row: Mapping[str, str] | None, paper: pd.DataFrame | None) -> dict[str, object]:
    if row is None or paper is None:
        return {}
    line = paper[paper["method"] == row["method"]].iloc[0]
    flags: dict[str, object] = {name: bool(line[name]) for name in _FLAGS}
    return flags | {"bp_sample_fraction": line["bp_sample_fraction"]}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return _YES if value else _NO
    return str(value)
