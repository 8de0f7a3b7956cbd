"""Pre-training by a method, then fine-tuning without selection: one line a method (Table 4)."""

import pandas as pd

from es_repro.report.layouts.by_setting import (
    common_legend,
    difference_cell,
    numbers,
    time_cell,
    value_cell,
)
from es_repro.report.sheet import Part, Sheet, number
from es_repro.report.specs import Preset, TableSpec
from es_repro.report.tables import build

__all__ = ["sheet"]

_FEW_HOURS = 2 * 3600  # seconds; below, minutes say more
_BLOCKS = (("methods", ""), ("controls", "Controls"))


def sheet(spec: TableSpec, runs: pd.DataFrame, paper: pd.DataFrame | None, preset: Preset) -> Sheet:
    """The costs of pre-training beside the accuracy after fine-tuning.

    `spec` has two settings, the pre-training first; the fine-tuning of a pre-trained net has its
    row label. Arguments as of `by_setting.sheet`.
    """
    table = build(spec, runs, paper, preset)
    before, after = (setting.heading(preset) for setting in spec.blocks(preset))
    # The paper has hours where our pre-training has a loss: they are shown, not subtracted.
    hours = table["setting"] == before
    table.loc[hours, "paper_delta"] = None
    table.loc[hours, "paper_state"] = ""
    longest = table.loc[hours, "train_seconds"].max()
    unit = ("Minutes", 60) if longest < _FEW_HOURS else ("Hours", 3600)
    parts = []
    for block, name in _BLOCKS:
        rows = [row for row in spec.rows if row.block == block]
        cells = []
        for row in rows:
            first, then = (
                table[(table["setting"] == heading) & (table["row"] == row.label)].iloc[0]
                for heading in (before, after)
            )
            cells.append(_cells(spec, first, then, unit))
        if cells:
            parts.append(Part(f"{before}, then {after}", name, pd.DataFrame(cells).fillna("-")))
    return Sheet(
        tuple(parts),
        (*_legend(spec, table, unit[0]), *spec.remarks(preset)),
        numbers(spec, table, preset),
    )


def _cells(
    spec: TableSpec, first: pd.Series, then: pd.Series, unit: tuple[str, int]
) -> dict[str, str]:
    loss, accuracy = (setting.measure for setting in spec.settings[:2])
    reference = first["row"] == "baseline"
    cells = {
        "Method": str(first["method"]),
        unit[0]: number(first["train_seconds"] / unit[1], 1),
        "Time": "" if reference else time_cell(first),
        "BP": "" if reference else number(first["bp_saved"], 1),
        "FLOPs": "" if reference else number(first["flops_saved"], 1),
        loss.title: value_cell(first, loss),
        accuracy.title: value_cell(then, accuracy),
        "vs Baseline": difference_cell(then, accuracy),
        "Seeds": str(int(then["num_seeds"])) if then["num_seeds"] else "-",
    }
    if first["block"] == "methods" and not pd.isna(then["paper_value"]):
        cells |= {
            "Paper hours": str(first["paper_printed"]),
            "Paper time": str(first["paper_time_printed"]),
            "Paper": str(then["paper_printed"]),
            "Paper vs B.": "" if reference else number(then["paper_difference"], 1, sign=True),
            "Ours - paper": then["paper_state"] or number(then["paper_delta"], 2, sign=True),
        }
    return cells


def _legend(spec: TableSpec, table: pd.DataFrame, unit: str) -> list[str]:
    loss, accuracy = (setting.measure for setting in spec.settings[:2])
    return [
        f"{unit}, Time, BP, FLOPs: of pre-training alone, the last three in percent saved against "
        "Baseline (FLOPs with scoring, of which there is none where b = B).",
        f"{loss.title}: {loss.unit}, after pre-training, on images that were never trained on; the "
        "lower the better. The training loss of a pruned run is a mean over its hard samples and "
        "does not compare.",
        f"{accuracy.title}: {accuracy.unit} on the test split after fine-tuning the pre-trained "
        "encoder without selection, mean ± sample standard deviation over the seeds. vs Baseline: "
        "points, paired by seed [95% t interval].",
        *common_legend(table, accuracy)[1:],
    ]
