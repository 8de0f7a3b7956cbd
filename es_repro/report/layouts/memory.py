"""Peak memory by kind of epoch, beside what the paper says of it in one number (Sec. 4.1)."""

import pandas as pd

from es_repro.report.cells import reason, resolve
from es_repro.report.paper import paper_figures
from es_repro.report.sheet import Part, Sheet, number
from es_repro.report.specs import Preset, TableSpec, experiments

__all__ = ["sheet"]

_KINDS = ("plain", "selecting")
_LEGEND = (
    "Peak: the most memory held in epochs of a kind, in MB: allocated on CUDA, the process's "
    "resident memory on a CPU, where a small net hardly shows.",
    "Activations: what a step of a kind keeps for its backward pass, in MB, counted to the byte. "
    "They follow b in selecting epochs and B in plain ones, so a run with annealed epochs has the "
    "baseline's peak all the same.",
    "of Baseline: over the baseline's plain epochs.",
    "Paper: GB of one A100 for ViT-L, and its ratio to Baseline's; which epochs are meant is not "
    "said.",
)


def sheet(
    spec: TableSpec,
    runs: pd.DataFrame,
    _paper: pd.DataFrame | None,  # what it says of memory stands in its text, in no table
    preset: Preset,
) -> Sheet:
    """One line a method. Arguments as of `by_setting.sheet`."""
    kept, _ = resolve(runs[runs["experiment"].isin(experiments(spec, preset))])
    known = paper_figures("memory")
    reported = known[known["unit"] == "GB"].set_index("series")["value"]
    lines = [_line(row.label, kept) for row in spec.rows]
    base = lines[0]
    cells = []
    for row, line in zip(spec.rows, lines, strict=True):
        cell = {"Method": row.shown}
        for kind in _KINDS:
            cell[f"Peak, {kind}"] = number(_mega(line[f"{kind}_bytes"]), 0)
            cell[f"Activations, {kind}"] = number(_mega(line[f"{kind}_activation_bytes"]), 2)
        for name, text in (("bytes", "Peak"), ("activation_bytes", "Activations")):
            last = line[f"selecting_{name}"] if row.label != "baseline" else line[f"plain_{name}"]
            cell[f"{text}, of Baseline"] = number(_ratio(last, base[f"plain_{name}"]), 3)
        value = float(reported[row.shown])
        cell["Paper"] = f"{value:.1f} ({value / float(reported['Baseline']):.3f})"
        cell["Run"] = str(line["state"])
        cells.append(cell)
    numbers = pd.DataFrame(
        [{"row": row.label, **line} for row, line in zip(spec.rows, lines, strict=True)]
    )
    heading = spec.settings[0].heading(preset)
    return Sheet((Part(heading, "", pd.DataFrame(cells)),), _LEGEND, numbers)


def _line(label: str, kept: pd.DataFrame) -> dict[str, object]:
    asked = kept[kept["row"] == label].sort_values("order")
    names = [f"{kind}_{what}bytes" for kind in _KINDS for what in ("", "activation_")]
    if asked.empty:
        return dict.fromkeys(names) | {"state": "not run"}
    newest = asked.iloc[-1]
    found: dict[str, object] = {}
    for name in names:
        value = newest.get(f"memory/{name}")
        found[name] = None if value is None or pd.isna(value) else float(value)
    return found | {"state": "" if newest["state"] == "finished" else reason(newest)}


def _mega(value: object) -> float | None:
    return value / 1e6 if isinstance(value, float) else None


def _ratio(value: object, base: object) -> float | None:
    return value / base if isinstance(value, float) and isinstance(base, float) else None
