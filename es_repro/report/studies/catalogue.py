"""Every study of the suite. Their contrasts were fixed before the first run: results/PLAN.md."""

from es_repro.report.studies.study import Study

__all__ = ["STUDIES"]

_BUDGETS = ("short_eswp", "short_es", "short_75")
_SHORTS = {
    "es": "short_es", "eswp": "short_eswp", "loss_anneal": "short_es", "infobatch": "short_75",
    "orderdp": "short_es", "random_flops": "short_es",
}  # fmt: skip
_SST2_ARMS = {
    "baseline": "Baseline", "short_es": "Baseline, 5 epochs",
    "short_eswp": "Baseline, 4 epochs", "es": "ES", "eswp": "ESWP",
    "loss_anneal": "loss_anneal: ES without history",
    "random_flops": "random rows, ES's FLOPs",
}  # fmt: skip
_SST2_SHORTS = {
    "es": "short_es", "eswp": "short_eswp", "loss_anneal": "short_es", "random_flops": "short_es"
}  # fmt: skip
_SST2_RIVALS = {"es": ("loss_anneal", "random_flops"), "eswp": ("es",)}
_ELSEWHERE = "the rate of the study that tuned it"
_PRIMARY = frozenset({("es", "baseline"), ("es", "short_es"), ("es", "loss_anneal")})

_SPECS = (
    Study(
        name="cpu_cifar10", experiment="cpu/cifar10", tuning="cpu/cifar10_rates",
        title="A fifth of CIFAR-10 on a residual net of 8 layers",
        arms={
            "baseline": "Baseline", "short_75": "Baseline, 18 epochs",
            "short_es": "Baseline, 15 epochs", "short_eswp": "Baseline, 12 epochs",
            "es": "ES", "eswp": "ESWP", "loss_anneal": "loss_anneal: ES without history",
            "infobatch": "InfoBatch", "orderdp": "OrderDP",
            "random_flops": "random rows, ES's FLOPs",
        },
        frontier=_BUDGETS, shorts=_SHORTS,
        rivals={
            "es": ("loss_anneal", "random_flops"), "eswp": ("es",), "infobatch": ("random_flops",),
            "orderdp": ("random_flops",),
        },
        primary=_PRIMARY, margin=0.5, seeds=12,
    ),
    Study(
        name="cpu_cifar10_noise", experiment="cpu/cifar10_noise",
        title="A fifth of CIFAR-10 with a fifth of its training labels wrong",
        arms={
            "baseline": "Baseline", "short_75": "Baseline, 18 epochs",
            "short_es": "Baseline, 15 epochs", "es": "ES",
            "loss_anneal": "loss_anneal: ES without history", "infobatch": "InfoBatch",
        },
        frontier=("short_es", "short_75"),
        shorts={"es": "short_es", "loss_anneal": "short_es", "infobatch": "short_75"},
        rivals={"es": ("loss_anneal",)},
        primary=_PRIMARY, margin=0.5, seeds=5, rates=_ELSEWHERE,
        remarks=("Rates are those of the study without noise.",),
    ),
    Study(
        name="cpu_cifar10_scoring", experiment="cpu/cifar10_scoring",
        title="ES scored in train or in eval mode: batch norm's statistics",
        arms={
            "baseline": "Baseline", "short_es": "Baseline, 15 epochs", "es": "ES, train mode",
            "es_eval": "ES, eval mode",
        },
        frontier=("short_es",),
        shorts={"es": "short_es", "es_eval": "short_es"},
        rivals={"es_eval": ("es",)},
        primary=frozenset({("es_eval", "es")}), margin=0.5, seeds=12, rates=_ELSEWHERE,
        remarks=("All runs but those of eval mode are the decisive run's; so are the rates.",),
    ),
    Study(
        name="cpu_cifar10_picks", experiment="cpu/cifar10_picks",
        tuning="cpu/cifar10_picks_rates",
        title="A quarter of each meta-batch by ES's weights or by chance",
        arms={
            "baseline": "Baseline", "short_es": "Baseline, 15 epochs", "es": "ES",
            "random_batch": "random_batch: as many rows of each batch, by chance, unscored",
        },
        frontier=("short_es",),
        shorts={"es": "short_es"},
        rivals={"es": ("random_batch",)},
        primary=frozenset({("es", "random_batch")}), margin=0.5, seeds=12,
        remarks=(
            "ES and random_batch train on as many rows in the same steps; ES pays for scoring too.",
            "Asked after three seeds of the decisive run had been seen, before random_batch's own.",
        ),
    ),
    Study(
        name="cpu_sst2", experiment="cpu/sst2", tuning="cpu/sst2_rates",
        title="Half of MiniLM-L6 fine-tuned on 8,000 sentences of SST-2",
        arms=_SST2_ARMS, frontier=("short_eswp", "short_es"), shorts=_SST2_SHORTS,
        rivals=_SST2_RIVALS, primary=_PRIMARY, margin=0.5, seeds=5, alike="albert_base",
        remarks=(
            "Accuracy on 10,000 sentences cut from the training split of SST-2.",
            "Rates were chosen by one run each: read it beside cpu_sst2_one_rate, where the "
            "baselines have the methods' rate.",
        ),
    ),
    Study(
        name="cpu_sst2_one_rate", experiment="cpu/sst2_one_rate",
        title="The fine-tuning on SST-2 with every arm at one rate",
        arms=_SST2_ARMS, frontier=("short_eswp", "short_es"), shorts=_SST2_SHORTS,
        rivals=_SST2_RIVALS, primary=frozenset({("es", "baseline"), ("es", "short_es")}),
        margin=0.5, seeds=5, rates="the rate tuned for the methods", alike="albert_base",
        remarks=(
            "The methods' runs are those of cpu_sst2; new are the baselines, at the methods' rate.",
            "Asked after cpu_sst2 had been seen, before its own first run.",
        ),
    ),
)  # fmt: skip
STUDIES = {study.name: study for study in _SPECS}
