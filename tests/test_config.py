"""Every YAML composes and builds; recipes carry the values that they claim."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from es_repro.build import run_epochs, told
from es_repro.config import config_folder, plain, run_hash, weights_fingerprint
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
    if "weights" in config[group]:
        config[group].weights = None  # those are files that a user has
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


def test_sweeps_ask_for_every_method_and_control(compose_run):
    ablations = {"eswp_r0.3", "eswp_r0.5"}  # rows of other tables
    rows = {x.stem for x in (CONF / "method").glob("*.yaml")} - ablations
    for sweep in ("table2", "demo/table2", "demo/digits", "table3", "small/table3", "demo/table3"):
        config = compose_run(f"sweep={sweep}")
        assert set(config.hydra.sweeper.params.method.split(",")) == rows


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
