"""Every empirical claim of the paper that runs can decide (its arithmetic: `computed`)."""

from collections.abc import Mapping
from typing import Literal

from es_repro.report.verdicts.claim import (
    Ahead,
    Arm,
    Better,
    Cell,
    Claim,
    LessMemory,
    NotWorse,
    Picture,
    Saves,
    Test,
)

__all__ = ["CLAIMS"]

_SHOWN = {
    "es": "ES", "eswp": "ESWP", "loss": "Loss", "order": "Order", "ucb": "UCB", "ka": "KA",
    "infobatch": "InfoBatch", "baseline": "Baseline",
}  # fmt: skip
_BATCH_LEVEL, _SET_LEVEL = ("loss", "order"), ("ucb", "ka", "infobatch")
_GLUE = tuple(
    f"table5_glue_albert_{task}"
    for task in ("cola", "sst2", "qnli", "qqp", "mnli", "mrpc", "rte", "stsb")
)


class _Setting:
    """A column of a table: its experiments, and where the paper's numbers of a row stand."""

    def __init__(
        self, name: str, words: str, table: int, where: Mapping[str, str], *experiments: str,
        compared: Literal["last", "best"] = "last",
    ) -> None:  # fmt: skip
        self.name, self.words, self.table = name, words, table
        self.where, self.experiments = where, experiments
        self.compared = compared

    def arm(self, row: str) -> Arm:
        return Arm(self.experiments, row, self.compared)

    def cell(self, shown: str, **where: str) -> Cell:
        return Cell(shown, self.table, {**self.where, "method": shown, **where})

    def of(self, first: str, second: str) -> tuple[Cell, Cell]:
        return self.cell(_SHOWN[first]), self.cell(_SHOWN[second])

    def lossless(self, row: str, primary: bool = False) -> Claim:
        """That a method loses nothing against the baseline."""
        test = NotWorse(self.arm(row), self.arm("baseline"), self.arm(f"short_{row}"))
        return self._claim(f"{row}-lossless", f"{_SHOWN[row]} loses no accuracy", row, "baseline",
                           tests=(test,), primary=primary)  # fmt: skip

    def ahead(self, row: str) -> Claim:
        """That a method beats the baseline trained to its end at the method's own FLOPs."""
        test = Ahead(self.arm(row), self.arm(f"short_{row}"))
        return self._claim(f"{row}-over-short", _at_own_flops(_SHOWN[row]),
                           tests=(test,), primary=True)  # fmt: skip

    def better(self, row: str, *others: str) -> Claim:
        """That a method is more accurate than each of the others."""
        tests = tuple(
            Better(self.arm(row), self.arm(other), self.of(row, other)) for other in others
        )
        *most, last = (_SHOWN[other] for other in others)
        names = f"{', '.join(most)} and {last}" if most else last
        return self._claim(f"{row}-over-{'-'.join(others)}", f"{_SHOWN[row]} beats {names}",
                           row, *others, tests=tests)  # fmt: skip

    def saves(self, row: str) -> Claim:
        """That a method saves the time that the table prints."""
        test = Saves(self.arm(row), self.arm("baseline"), (self.cell(_SHOWN[row]),))
        return self._claim(f"{row}-saves", f"{_SHOWN[row]} saves training time", tests=(test,))

    def _claim(
        self, name: str, sentence: str, *rows: str, tests: tuple[Test, ...], primary: bool = False,
    ) -> Claim:  # fmt: skip
        cells = tuple(self.cell(_SHOWN[row]) for row in rows)
        return Claim(f"{self.name}/{name}", f"{self.words}: {sentence}", f"Table {self.table}",
                     cells, tests, primary)  # fmt: skip


def _at_own_flops(shown: str) -> str:
    return f"{shown} beats the baseline trained to its end at the method's own FLOPs"


def _vision(model: str, dataset: str) -> Mapping[str, str]:
    return {"model": model, "dataset": dataset}


_C10_R18 = _Setting("t2-c10-r18", "CIFAR-10, ResNet-18", 2, _vision("ResNet-18", "CIFAR-10"),
                    "table2_cifar10_resnet18")  # fmt: skip
_C100_R18 = _Setting("t2-c100-r18", "CIFAR-100, ResNet-18", 2, _vision("ResNet-18", "CIFAR-100"),
                     "table2_cifar100_resnet18")  # fmt: skip
_C100_R50 = _Setting("t2-c100-r50", "CIFAR-100, ResNet-50", 2, _vision("ResNet-50", "CIFAR-100"),
                     "table2_cifar100_resnet50")  # fmt: skip
_VIT = _Setting("t3-vit", "ImageNet, ViT-L", 3, _vision("ViT-Large", "ImageNet-1K"),
                "table3_imagenet_vitl")  # fmt: skip
_MEAN = _Setting("t5-glue", "GLUE, mean of eight tasks", 5, {"task": "Avg"}, *_GLUE,
                 compared="best")  # fmt: skip
_COLA = _Setting("t5-cola", "CoLA", 5, {"task": "CoLA"}, "table5_glue_albert_cola", compared="best")
_RTE = _Setting("t5-rte", "RTE", 5, {"task": "RTE"}, "table5_glue_albert_rte", compared="best")
_ABLATED = (
    _Setting("t6-c100-r50", "CIFAR-100, ResNet-50", 6, _vision("ResNet-50", "CIFAR-100"),
             "table6_cifar100_resnet50"),
    _Setting("t6-cola", "CoLA", 6, {"task": "CoLA"}, "table6_cola_albert", compared="best"),
)  # fmt: skip
_PRUNED = (
    _Setting("t7-cola", "CoLA", 7, {"task": "CoLA"}, "table7_cola_albert"),
    _Setting("t7-sst2", "SST-2", 7, {"task": "SST-2"}, "table7_sst2_albert"),
)
_ANNEALED = _Setting("t8", "CIFAR-100, ResNet-18", 8, {}, "table8_cifar100_resnet18")


def _from_scratch() -> list[Claim]:
    claims = []
    for setting in (_C10_R18, _C100_R18, _C100_R50):
        claims += [
            setting.lossless("es", primary=True),
            setting.lossless("eswp"),
            setting.ahead("es"),
            setting.ahead("eswp"),
            setting.saves("es"),
            setting.saves("eswp"),
            setting.better("es", *_BATCH_LEVEL),
            setting.better("es", *_SET_LEVEL),
        ]
    return claims


def _fine_tuning() -> list[Claim]:
    peak = ("table3_imagenet_vitl_memory",)
    return [
        _VIT.lossless("es", primary=True),
        _VIT.ahead("es"),
        _VIT.ahead("eswp"),
        _VIT.better("es", "baseline"),
        _VIT.better("eswp", "baseline"),
        _VIT.better("es", *_BATCH_LEVEL, *_SET_LEVEL),
        _VIT.better("eswp", *_BATCH_LEVEL, *_SET_LEVEL),
        _VIT.saves("es"),
        _VIT.saves("eswp"),
        *(
            Claim(
                f"memory/{row}", f"ImageNet, ViT-L: {_SHOWN[row]} needs less memory",
                "Sec. 4.1 (ii)", (),
                (LessMemory(Arm(peak, row), Arm(peak, "baseline"), _SHOWN[row]),),
                remark="The largest peak of the run, annealed epochs included.",
            )
            for row in ("es", "eswp")
        ),
    ]  # fmt: skip


def _pretraining() -> list[Claim]:
    tuned, trained = ("table4_mae_finetune_vitl",), ("table4_mae_pretrain_vitl",)
    accuracy, hours = "accuracy_after_finetuning", "pretraining_wallclock"

    def cell(shown: str, metric: str, **where: str) -> Cell:
        return Cell(f"{shown} {where.get('setting', '')}".strip(), 4,
                    {"method": shown, "metric": metric, **where})  # fmt: skip

    claims = []
    for ratio in ("0.3", "0.5"):
        row, at = f"eswp_r{ratio}", {"setting": f"r={ratio}"}
        claims += [
            Claim(
                f"t4/r{ratio}-lossless",
                f"MAE pre-training with ESWP, r = {ratio}, loses no accuracy after fine-tuning",
                "Table 4", (cell("ESWP", accuracy, **at), cell("Baseline", accuracy)),
                (NotWorse(Arm(tuned, row), Arm(tuned, "baseline"), Arm(tuned, f"short_{row}")),),
                primary=ratio == "0.3",
            ),
            Claim(
                f"t4/r{ratio}-over-short",
                f"MAE pre-training: {_at_own_flops(f'ESWP, r = {ratio},')}", "Table 4", (),
                (Ahead(Arm(tuned, row), Arm(tuned, f"short_{row}"), paid_in=trained),),
                primary=True,
            ),
            _difference(
                f"t4/r{ratio}-over-infobatch",
                f"MAE pre-training: ESWP, r = {ratio}, beats InfoBatch after fine-tuning",
                "Table 4", (cell("ESWP", accuracy, **at), cell("InfoBatch", accuracy)),
                Arm(tuned, row), Arm(tuned, "infobatch"),
            ),
            Claim(
                f"t4/r{ratio}-saves",
                f"MAE pre-training: ESWP, r = {ratio}, saves training time",
                "Table 4, abstract" if ratio == "0.5" else "Table 4",
                (cell("ESWP", hours, **at), cell("Baseline", hours)),
                (Saves(Arm(trained, row), Arm(trained, "baseline"), (cell("ESWP", hours, **at),)),),
            ),
        ]  # fmt: skip
    return claims


def _language() -> list[Claim]:
    return [
        _MEAN.lossless("es", primary=True),
        _MEAN.ahead("es"),
        _MEAN.ahead("eswp"),
        _MEAN.better("es", "baseline"),
        _MEAN.better("eswp", "baseline"),
        _MEAN.better("es", "infobatch", *_BATCH_LEVEL),
        _MEAN.saves("es"),
        _MEAN.saves("eswp"),
        _COLA.better("es", "baseline"),
        _RTE.better("es", "baseline"),
    ]


def _ablations() -> list[Claim]:
    claims = []
    for at in _ABLATED:
        rows = {
            "loss": "Loss", "nondif": "Loss + NonDif", "dif": "Loss + Dif",
            "loss_anneal": "Loss + A", "nondif_anneal": "Loss + A + NonDif",
            "es": "ES = Loss + A + Dif",
        }  # fmt: skip
        claims += [
            _differences(
                f"{at.name}/annealing", f"{at.words}: annealing helps, whatever the weights", at,
                rows, ("loss_anneal", "loss"), ("nondif_anneal", "nondif"), ("es", "dif"),
            ),
            _differences(
                f"{at.name}/history", f"{at.words}: past losses help beyond the current one", at,
                rows, ("nondif", "loss"), ("nondif_anneal", "loss_anneal"),
            ),
            _differences(
                f"{at.name}/differences", f"{at.words}: differences help beyond history", at,
                rows, ("dif", "nondif"), ("es", "nondif_anneal"),
            ),
            _differences(
                f"{at.name}/es-over-loss-anneal",
                f"{at.words}: ES beats its own form without history (Loss + A)", at,
                rows, ("es", "loss_anneal"), primary=True,
            ),
        ]  # fmt: skip
    claims += [
        _difference(
            f"{at.name}/random", f"{at.words}: ESWP beats pruning at random", "Table 7",
            (at.cell("ESWP"), at.cell("Random")), at.arm("eswp"), at.arm("random"),
        )
        for at in _PRUNED
    ]  # fmt: skip
    ratios = {"es": "0.05", "dif": "0.0", "es_anneal_0.075": "0.075", "es_anneal_0.1": "0.1"}
    cells = {
        row: Cell(f"ES, ar={ratio}", 8, {"setting": f"ar={ratio}"}) for row, ratio in ratios.items()
    }
    best, *others = ratios
    claims.append(
        Claim(
            "t8/annealing-ratio", "CIFAR-100, ResNet-18: an annealing ratio of 0.05 is the best",
            "Table 8", tuple(cells.values()),
            tuple(Better(_ANNEALED.arm(best), _ANNEALED.arm(x), (cells[best], cells[x]))
                  for x in others),
        )
    )  # fmt: skip
    return claims


def _difference(
    name: str, sentence: str, where: str, cells: tuple[Cell, Cell], first: Arm, second: Arm
) -> Claim:
    return Claim(name, sentence, where, cells, (Better(first, second, cells),))


def _differences(
    name: str, sentence: str, at: _Setting, rows: Mapping[str, str], *pairs: tuple[str, str],
    primary: bool = False,
) -> Claim:  # fmt: skip
    """That the first of each pair is better."""
    cells = {row: at.cell(shown) for row, shown in rows.items()}
    tests = tuple(Better(at.arm(a), at.arm(b), (cells[a], cells[b])) for a, b in pairs)
    shown = tuple(cells[row] for pair in pairs for row in pair)
    return Claim(name, sentence, f"Table {at.table}, Sec. 4.3", shown, tests, primary)


def _figures() -> list[Claim]:
    def kept(experiment: str, row: str, at: _Setting, short: str) -> NotWorse:
        return NotWorse(Arm((experiment,), row), at.arm("baseline"), at.arm(short))

    left, right = "fig5_left_vitl_ratio", "fig5_right_cifar100_resnet18_prune"
    grids = (
        ("fig6/c10", "fig6_betas_cifar10_resnet18", _C10_R18),
        ("fig6/c100", "fig6_betas_cifar100_resnet18", _C100_R18),
        ("fig6/cola", "fig6_betas_cola_albert", _COLA),
        ("fig7/c100", "fig7_betas_local_cifar100_resnet18", _C100_R18),
    )
    claims = [
        Claim(
            "fig5/ratio-lossless", "ImageNet, ViT-L: ES is lossless for b/B of 1/16 or more",
            "Fig. 5 left, Sec. 4.3", (),
            tuple(kept(left, f"es_f{f}", _VIT, "short_es") for f in (0.5, 0.25, 0.125, 0.0625)),
            remark="short@ES costs more than b/B < 1/4 and so makes the margin narrower there.",
        ),
        Claim(
            "fig5/ratio-degraded", "ImageNet, ViT-L: ES loses accuracy for b/B of 1/32 or less",
            "Fig. 5 left, Sec. 4.3", (),
            tuple(Better(_VIT.arm("baseline"), Arm((left,), f"es_f{f}"))
                  for f in (0.03125, 0.015625)),
        ),
        Claim(
            "fig5/prune", "CIFAR-100, ResNet-18: ESWP is lossless for r of 20 to 30%",
            "Fig. 5 right, Sec. 4.3", (),
            tuple(kept(right, f"eswp_r{r}", _C100_R18, "short_eswp") for r in (0.2, 0.3)),
            remark="The paper calls these ratios efficient; we read that as lossless.",
        ),
    ]  # fmt: skip
    claims += [
        Claim(
            name, f"{at.words}: no betas of the grid are better than the default (0.2, 0.9)",
            "Fig. 6, Sec. 4.3" if name.startswith("fig6") else "Fig. 7, Sec. 4.3", (),
            (NotWorse(Arm((grid,), "es_b0.2_0.9", at.arm("es").compared), at.arm("baseline"),
                      at.arm("short_es"), Arm((grid,), "es_b*", at.arm("es").compared)),),
            remark="Against every other cell: less is lost than half of what short@ES loses.",
        )
        for name, grid, at in grids
    ]  # fmt: skip
    pictures = {
        "fig3": "MAE pre-training: ESWP's loss follows Baseline's in less time",
        "fig9": "CIFAR-100, ResNet-50: ESWP's share of each class changes over training",
        "fig10": "ES and ESWP reach Baseline's accuracy with fewer samples back-propagated",
    }
    claims += [
        Claim(f"{name}/seen", sentence, f"Fig. {name[3:]}", (), (Picture(name),))
        for name, sentence in pictures.items()
    ]
    return claims


def _maths() -> list[Claim]:
    sets = ("math500", "aime24", "olympiadbench")

    def arm(row: str, steps: int) -> Arm:
        metrics = tuple(f"evaluation/step-{steps}/{name}/accuracy" for name in sets)
        return Arm(("table9_qwen_sft",), row, metrics=metrics)

    def cell(shown: str, steps: int, task: str = "Averaged") -> Cell:
        setting = f"steps={steps // 1000}K"
        return Cell(f"{shown} {steps // 1000}K", 9,
                    {"method": shown, "task": task, "setting": setting})  # fmt: skip

    claims = [
        _difference(
            f"t9/{ours}-over-{theirs}",
            f"Qwen2.5-Math: ESWP after {ours:,} steps beats Baseline after {theirs:,}",
            "Table 9, Fig. 4", (cell("ESWP", ours), cell("Baseline", theirs)),
            arm("eswp", ours), arm("baseline", theirs),
        )
        for ours, theirs in ((1000, 1000), (2000, 2000), (4000, 4000), (2000, 4000))
    ]  # fmt: skip
    run = ("table9_qwen_sft",)
    minutes = (cell("ESWP", 4000, "SFT"), cell("Baseline", 4000, "SFT"))
    saved = Saves(Arm(run, "eswp"), Arm(run, "baseline"), minutes)
    return [
        *claims,
        Claim("t9/saves", "Qwen2.5-Math: ESWP saves training time at equal steps",
              "Table 9, Fig. 4", minutes, (saved,)),
    ]  # fmt: skip


def _noise() -> list[Claim]:
    noisy = ("noise_cifar10_resnet18",)
    return [
        Claim(
            "noise/es-over-baseline", "With 20% wrong labels ES beats Baseline",
            "an earlier version", (), (Better(Arm(noisy, "es"), Arm(noisy, "baseline")),),
            remark="Its numbers are not in the version whose tables are kept here.",
        )
    ]  # fmt: skip


CLAIMS: tuple[Claim, ...] = (
    *_from_scratch(), *_fine_tuning(), *_pretraining(), *_language(), *_ablations(), *_figures(),
    *_maths(), *_noise(),
)  # fmt: skip
