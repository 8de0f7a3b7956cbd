"""Every table that the report can make, and how each is laid out."""

from collections.abc import Callable, Mapping

import pandas as pd

from es_repro.report.layouts import by_setting
from es_repro.report.paper import paper_table
from es_repro.report.sheet import Sheet
from es_repro.report.specs import Preset, Setting, TableSpec

__all__ = ["TABLES", "make_sheet"]

Layout = Callable[[TableSpec, pd.DataFrame, pd.DataFrame | None, Preset], Sheet]


def _vision(model: str, dataset: str) -> Mapping[str, str]:
    return {"model": model, "dataset": dataset}


_SPECS = (
    TableSpec(
        name="table2", title="Table 2: image classifiers trained from scratch", paper=2,
        make="make table2",
        settings=(
            Setting(
                "table2_cifar10_resnet18", "CIFAR-10, ResNet-18", _vision("ResNet-18", "CIFAR-10")
            ),
            Setting(
                "table2_cifar100_resnet18", "CIFAR-100, ResNet-18",
                _vision("ResNet-18", "CIFAR-100"),
            ),
            Setting(
                "table2_cifar100_resnet50", "CIFAR-100, ResNet-50",
                _vision("ResNet-50", "CIFAR-100"),
            ),
        ),
    ),
    TableSpec(
        name="demo", title="Demo: every method on scikit-learn's digits", make="make demo",
        settings=(Setting("digits", "Digits"),), presets=("demo",),
    ),
)  # fmt: skip

TABLES: dict[str, TableSpec] = {spec.name: spec for spec in _SPECS}
_LAYOUTS: dict[str, Layout] = {}  # those that are not by setting


def make_sheet(spec: TableSpec, runs: pd.DataFrame, preset: Preset) -> Sheet:
    """A table ready to be written, from the tidy frame of runs."""
    paper = None if spec.paper is None else paper_table(spec.paper)
    return _LAYOUTS.get(spec.name, by_setting.sheet)(spec, runs, paper, preset)
