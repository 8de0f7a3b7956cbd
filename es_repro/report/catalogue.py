"""Every table that the report can make, and how each is laid out."""

from collections.abc import Callable, Mapping

import pandas as pd

from es_repro.report.layouts import by_setting, by_step, by_task, memory, pretraining, taxonomy
from es_repro.report.paper import paper_table
from es_repro.report.sheet import Sheet
from es_repro.report.specs import (
    ABLATIONS,
    CONTROLS,
    METHODS,
    Measure,
    Preset,
    Row,
    Setting,
    TableSpec,
)

__all__ = ["SMALL_CIFAR10", "TABLES", "make_sheet"]

Layout = Callable[[TableSpec, pd.DataFrame, pd.DataFrame | None, Preset], Sheet]

SMALL_CIFAR10 = "CIFAR-10, 2,000 images, small net"  # what Table 2's demo trains
_CIFAR10_INSTEAD = "CIFAR-10 in place of CIFAR-100 (2,000 images, a small residual net)"
_MATTHEWS = Measure("", "Matthews", "100 times Matthews' correlation")
_GLUE_ACCURACY = Measure("", "Accuracy", "percent")
_CORRELATION = Measure("", "Correlation", "100 times the mean of Pearson's and Spearman's")
_RECONSTRUCTION = Measure(
    "loss", "Held-out loss", "mean squared error of normalised pixels on masked patches",
    scale=1.0, digits=4, higher_is_better=False,
)  # fmt: skip

# The controls that every row of an ablation of ES must beat.
_EQUAL_COST = tuple(row for row in CONTROLS if row.label in ("random_batch", "short_es"))

# As many samples as ESWP keeps at each r, at random; and the baseline at ESWP's FLOPs.
_PRUNING_CONTROLS = tuple(
    Row(f"{label}_r{ratio}", f"{shown}, r={ratio}", block="controls")
    for ratio in ("0.3", "0.5")
    for label, shown in (("random", "random_set"), ("short_eswp", "short@ESWP"))
)


def _vision(model: str, dataset: str) -> Mapping[str, str]:
    return {"model": model, "dataset": dataset}


def _glue(task: str, name: str, measure: Measure, *, demo: bool = False) -> Setting:
    return Setting(
        f"table5_glue_albert_{name}", task, {"task": task}, measure, compared="best",
        presets=("demo", "small", "paper") if demo else ("small", "paper"),
    )  # fmt: skip


_SPECS = (
    TableSpec(
        name="table1", title="Table 1: what kind of selection each method is", paper=1,
        make="make table1", presets=("paper",), settings=(), rows=METHODS[1:],
    ),
    TableSpec(
        name="table2", title="Table 2: image classifiers trained from scratch", paper=2,
        make="make table2",
        settings=(
            Setting(
                "table2_cifar10_resnet18", "CIFAR-10, ResNet-18",
                _vision("ResNet-18", "CIFAR-10"), titles={"demo": SMALL_CIFAR10},
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
        name="table3", title="Table 3: fine-tuning a vision transformer on ImageNet", paper=3,
        make="make table3",
        settings=(
            Setting(
                "table3_imagenet_vitl", "ImageNet-1K, ViT-L/16",
                _vision("ViT-Large", "ImageNet-1K"),
                titles={
                    "demo": "Ten classes of ImageNet, a small ViT from scratch",
                    "small": "100 classes of ImageNet, ViT-S/16",
                },
            ),
            Setting(
                "table3_imagenet_effnet",
                "Ten classes of ImageNet, EfficientNet-Lite0 from ImageNet weights",
                presets=("demo",),
            ),
        ),
    ),
    TableSpec(
        name="table4", title="Table 4: MAE pre-training, then fine-tuning without selection",
        paper=4, make="make table4",
        settings=(
            Setting(
                "table4_mae_pretrain_vitl", "MAE pre-training of ViT-L",
                {"metric": "pretraining_wallclock"}, _RECONSTRUCTION,
                titles={"demo": "MAE pre-training of a small ViT on ten classes of ImageNet",
                        "small": "MAE pre-training of ViT-S on 100 classes of ImageNet"},
            ),
            Setting(
                "table4_mae_finetune_vitl", "fine-tuning", {"metric": "accuracy_after_finetuning"}
            ),
        ),
        rows=(
            METHODS[0], METHODS[3],
            Row("eswp_r0.3", "ESWP, r=0.3", {"method": "ESWP", "setting": "r=0.3"}),
            Row("eswp_r0.5", "ESWP, r=0.5", {"method": "ESWP", "setting": "r=0.5"}),
            *_PRUNING_CONTROLS,
        ),
    ),
    TableSpec(
        name="table5", title="Table 5: ALBERT on GLUE", paper=5, make="make table5",
        settings=(
            _glue("CoLA", "cola", _MATTHEWS, demo=True), _glue("SST-2", "sst2", _GLUE_ACCURACY),
            _glue("QNLI", "qnli", _GLUE_ACCURACY), _glue("QQP", "qqp", _GLUE_ACCURACY),
            _glue("MNLI-m", "mnli", _GLUE_ACCURACY),
            _glue("MRPC", "mrpc", _GLUE_ACCURACY, demo=True),
            _glue("RTE", "rte", _GLUE_ACCURACY, demo=True),
            _glue("STS-B", "stsb", _CORRELATION, demo=True),
        ),
        rows=(METHODS[0], *METHODS[3:], *CONTROLS),
        notes={"demo": ("Demo: a small encoder on 500 rows of each task, 2 epochs.",)},
    ),
    TableSpec(
        name="table6", title="Table 6: what ES owes to history, differences and annealing",
        paper=6, make="make table6",
        settings=(
            Setting(
                "table6_cifar100_resnet50", "CIFAR-100, ResNet-50",
                _vision("ResNet-50", "CIFAR-100"), titles={"demo": _CIFAR10_INSTEAD},
            ),
            Setting("table6_cola_albert", "CoLA, ALBERT", {"task": "CoLA"}, _MATTHEWS,
                    compared="best"),
        ),
        rows=(*ABLATIONS, *_EQUAL_COST),
        notes={"": (
            "A: annealing. Loss: w = loss. NonDif: beta1 = beta2 = 0.9 (the paper names no value). "
            "Dif: the betas of ES. Baseline is not in the paper's table; costs are against it.",
        )},
    ),
    TableSpec(
        name="table7", title="Table 7: pruning strategies", paper=7, make="make table7",
        settings=(
            Setting("table7_cola_albert", "CoLA, ALBERT", {"task": "CoLA"}, _MATTHEWS),
            Setting("table7_sst2_albert", "SST-2, ALBERT", {"task": "SST-2"}, _GLUE_ACCURACY),
        ),
        rows=(METHODS[0], Row("random", "Random", {"method": "Random"}), *METHODS[6:], *CONTROLS),
        notes={"": ("Random: prunes r = 0.2 of the samples at random, as ESWP's share.",)},
    ),
    TableSpec(
        name="table8", title="Table 8: the annealing ratio of ES", paper=8, make="make table8",
        settings=(
            Setting("table8_cifar100_resnet18", "CIFAR-100, ResNet-18",
                    _vision("ResNet-18", "CIFAR-100"),
                    titles={"demo": _CIFAR10_INSTEAD.replace("2,000", "1,000")}),
        ),
        rows=(
            Row("baseline", "Baseline"),
            Row("dif", "ES, annealing 0", {"setting": "ar=0.0"}),
            Row("es", "ES, annealing 0.05", {"setting": "ar=0.05"}),
            Row("es_anneal_0.075", "ES, annealing 0.075", {"setting": "ar=0.075"}),
            Row("es_anneal_0.1", "ES, annealing 0.1", {"setting": "ar=0.1"}),
            *_EQUAL_COST,
        ),
        notes={"": (
            "Annealing: share of the epochs at each end that train on everything, rounded half up.",
        )},
    ),
    TableSpec(
        name="table9", title="Table 9: maths fine-tuning with few samples in memory", paper=9,
        make="make table9", settings=(Setting("table9_qwen_sft", "Qwen2.5-Math-1.5B"),),
        # A step costs ES and ESWP the same: one control of equal cost, none at set level.
        rows=(METHODS[0], *METHODS[6:], CONTROLS[1], CONTROLS[2], CONTROLS[4]),
    ),
    TableSpec(
        name="memory", title="Peak memory of selecting and of plain epochs (Sec. 4.1)",
        make="make memory", presets=("demo", "paper"), rows=(METHODS[0], *METHODS[6:]),
        settings=(Setting(
            "table3_imagenet_vitl_memory", "ViT-L, fine-tuning on ImageNet-1K",
            titles={"demo": "A tiny ViT on ten classes of ImageNet"},
        ),),
    ),
    TableSpec(
        name="demo", title="Demo: every method on scikit-learn's digits", make="make demo",
        settings=(Setting("digits", "Digits"),), presets=("demo",),
    ),
)  # fmt: skip

TABLES: dict[str, TableSpec] = {spec.name: spec for spec in _SPECS}
_LAYOUTS: dict[str, Layout] = {  # those that are not by setting
    "table1": taxonomy.sheet,
    "table4": pretraining.sheet,
    "table5": by_task.sheet,
    "table9": by_step.sheet,
    "memory": memory.sheet,
}


def make_sheet(spec: TableSpec, runs: pd.DataFrame, preset: Preset) -> Sheet:
    """A table ready to be written, from the tidy frame of runs."""
    paper = None if spec.paper is None else paper_table(spec.paper)
    return _LAYOUTS.get(spec.name, by_setting.sheet)(spec, runs, paper, preset)
