"""Table 4's recipes: pre-training and fine-tuning carry the paper's values and find each other."""

import pytest
from hydra.utils import instantiate

from es_repro.record import join


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
    controls = ["random_r0.3", "short_eswp_r0.3", "random_r0.5", "short_eswp_r0.5"]
    assert rows[:4] == ["baseline", "infobatch", "eswp_r0.3", "eswp_r0.5"]
    assert rows[4:] == (controls if preset == "demo/" else [])
