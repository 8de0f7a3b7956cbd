"""Every YAML composes and builds; recipes carry the values that they claim."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from es_repro.build import run_epochs, told
from es_repro.config import config_folder, weights_fingerprint
from es_repro.record import join
from es_repro.selection import create

CONF = Path(config_folder())
EXPERIMENTS = sorted(
    str(x.relative_to(CONF / "experiment").with_suffix(""))
    for x in CONF.glob("experiment/**/*.yaml")
)
FACTS = {"num_classes": 10, "in_channels": 3, "image_size": 32}
GROUPS = ("method", "model", "dataset", "optimizer", "schedule", "task", "tracker")
OPTIONS = [(group, x.stem) for group in GROUPS for x in sorted((CONF / group).glob("*.yaml"))]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_of_every_group_builds(compose_run, group, option):
    config = compose_run(f"{group}={option}")
    built = instantiate(config[group])

    if group == "method":
        assert built(num_samples=100, num_epochs=20).num_samples == 100
        assert config.row == option
    elif group == "model":
        with torch.device("meta"):  # a ViT-L takes seconds and a gigabyte
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
    assert config.recipe.paper == (not experiment.startswith(("demo/", "small/")))


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


def test_sweeps_ask_for_every_method_and_control(compose_run):
    ablations = {"eswp_r0.3", "eswp_r0.5"}  # rows of other tables
    rows = {x.stem for x in (CONF / "method").glob("*.yaml")} - ablations
    for sweep in ("table2", "demo/table2", "demo/digits"):
        config = compose_run(f"sweep={sweep}")
        assert set(config.hydra.sweeper.params.method.split(",")) == rows


@pytest.mark.parametrize(
    ("method", "ratio", "pruned"),
    [
        ("baseline", None, None),
        ("eswp_r0.3", 1, 0.3),
        ("eswp_r0.5", 1, 0.5),
        ("infobatch", None, 0.5),
    ],
)
def test_mae_pretraining_follows_the_paper(compose_run, method, ratio, pruned):
    config = compose_run("experiment=table4_mae_pretrain_vitl", f"method={method}")

    assert config.row == method
    assert (config.epochs, config.meta_batch_size) == (300, 1024)
    assert config.optimizer.lr == 6e-4  # 1.5e-4 * 1024 / 256
    assert (list(config.optimizer.betas), config.optimizer.weight_decay) == ([0.9, 0.95], 0.05)
    assert config.schedule.warmup == pytest.approx(40 / 300)
    assert config.method.get("batch_ratio") == ratio
    assert config.method.get("prune_ratio") == pruned
    if method.startswith("eswp"):
        selector = instantiate(config.method)(num_samples=100, num_epochs=config.epochs)
        assert not selector.selects_batches
        kept = [len(selector.plan_epoch(epoch).indices) for epoch in (14, 15, 284, 285)]
        assert kept == [100, 100 * (1 - pruned), 100 * (1 - pruned), 100]


@pytest.mark.parametrize("preset", ["", "demo/", "small/"])
def test_mae_fine_tuning_takes_the_encoder_of_its_own_row_and_preset(compose_run, tmp_path, preset):
    name = f"{preset}table4_mae_pretrain_vitl"
    for row in ("baseline", "eswp_r0.5"):
        join(tmp_path, experiment=name, row=row, seed=0, run=f"of-{row}")
        (tmp_path / f"of-{row}").mkdir()
        for file in ("done", "encoder.safetensors"):
            (tmp_path / f"of-{row}" / file).touch()
        config = compose_run(
            f"experiment={preset}table4_mae_finetune_vitl", f"row={row}", f"run.root={tmp_path}"
        )
        assert config.model.weights == str(tmp_path / f"of-{row}" / "encoder.safetensors")
        assert config.method.name == "baseline"


def test_mae_fine_tuning_follows_the_paper(compose_run):
    config = compose_run("experiment=table4_mae_finetune_vitl", "row=baseline")

    assert (config.epochs, config.meta_batch_size) == (50, 1024)
    assert config.optimizer.lr == 4e-3  # 1e-3 * 1024 / 256
    assert (list(config.optimizer.betas), config.optimizer.weight_decay) == ([0.9, 0.999], 0.05)
    assert config.schedule.warmup == 5 / 50
    assert config.parameter_groups.decay == 0.75
    assert (config.task.mixup, config.task.cutmix, config.task.label_smoothing) == (0.8, 1.0, 0.1)
    assert (config.model.drop_path, config.model.options.global_pool) == (0.2, "avg")


@pytest.mark.parametrize("preset", ["", "demo/", "small/"])
@pytest.mark.parametrize("part", ["pretrain", "finetune"])
def test_table_4_is_swept_in_two_parts_over_the_same_rows(compose_run, preset, part):
    params = compose_run(f"sweep={preset}table4_mae_{part}").hydra.sweeper.params

    assert params.experiment == f"{preset}table4_mae_{part}_vitl"
    rows = params["method" if part == "pretrain" else "row"].split(",")
    assert rows == ["baseline", "infobatch", "eswp_r0.3", "eswp_r0.5"]


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
