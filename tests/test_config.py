"""Every YAML composes and builds; recipes carry the values that they claim."""

from pathlib import Path

import pytest
from hydra.utils import instantiate

from es_repro.build import run_epochs
from es_repro.config import config_folder, departures, weights_fingerprint
from es_repro.selection import create

CONF = Path(config_folder())
EXPERIMENTS = sorted(
    str(x.relative_to(CONF / "experiment").with_suffix(""))
    for x in CONF.glob("experiment/**/*.yaml")
)
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
        net = built(num_classes=10, in_channels=3, image_size=32)
        assert sum(p.numel() for p in net.parameters()) > 0
    elif group == "task":
        assert built(num_classes=10).headline == "accuracy"
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
        "orderdp",  # a rival since
    }  # fmt: skip
    rows = {x.stem for x in (CONF / "method").glob("*.yaml")} - others
    for sweep in ("table2", "demo/table2", "demo/digits"):
        config = compose_run(f"sweep={sweep}")
        assert set(config.hydra.sweeper.params.method.split(",")) == rows


@pytest.mark.parametrize(
    "sweep", ["table6", "table8", "fig5_right", "fig6", "fig7", "small/table8", "demo/fig5_left"]
)
def test_sweeps_of_ablations_name_experiments_and_methods_that_there_are(compose_run, sweep):
    for form in {sweep, f"demo/{sweep.removeprefix('demo/').removeprefix('small/')}"}:
        params = compose_run(f"sweep={form}").hydra.sweeper.params
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


def test_what_a_command_may_say_without_leaving_the_recipe():
    swept = {"method.beta1": "0,0.2", "seed": 0}
    stays = ["experiment=x", "method=es", "seed=7", "run.threads=1", "tracker=none"]
    stays += ["method.beta1=0.2", "dataset.download=never", "resume=never"]
    leaves = ["epochs=3", "method.beta1=0.3", "subset=500", "+task.x=1", "model=mlp", "row=es"]

    assert departures([*stays, *leaves], swept) == leaves
