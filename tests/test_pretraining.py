"""Masked pre-training from the command line, and what it leaves for those who come after."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from es_repro.engine import Engine, Stopped
from es_repro.train import train
from tests.ranks import handed_over, launch, traced

# Digits: 8x8, of which a patch of 2 makes 16 patches.
MAE = (
    "model=vit_mae_tiny", "model.patch_size=2", "model.width=16", "model.depth=1",
    "model.heads=2", "model.decoder_width=16", "model.decoder_heads=2",
    "task=masked_autoencoding", "optimizer=adamw", "parameter_groups=no_decay",
    "schedule=warmup_cosine", "recipe.max_lr.default=0.01", "+recipe.batch_ratio=1.0",
)  # fmt: skip
LEAVE = (
    "+artifacts.encoder={_target_: es_repro.models.encoder_file, _partial_: true}",
    "+artifacts.pictures={_target_: es_repro.tasks.pictures, _partial_: true, count: 2, "
    "mean: [0.305], std: [0.376], _convert_: all}",
)


@pytest.fixture
def pretrain(quick, tmp_path):
    def run(*overrides):
        summary = train(quick(*MAE, *LEAVE, *overrides))
        return summary, tmp_path / "runs" / summary["run"]

    return run


def test_pretraining_learns_and_leaves_its_encoder_and_pictures(pretrain):
    summary, folder = pretrain("method=baseline", "epochs=6", "subset=800")

    assert summary["headline"] == "test/loss"
    assert summary["test/loss"] < 0.95  # about 1 for a model that predicts nothing
    lines = [json.loads(x) for x in (folder / "history.jsonl").read_text().splitlines()]
    losses = [x["test/loss"] for x in lines if x["kind"] == "epoch"]
    assert len(losses) == 6
    assert summary["test/loss_best"] == min(losses)  # not the largest
    encoder = load_file(folder / "encoder.safetensors")
    assert encoder["blocks.0.attn.qkv.weight"].shape == (48, 16)
    assert encoder["pos_embed"].shape == (1, 17, 16)
    with Image.open(folder / "reconstructions.png") as picture:
        assert picture.size == (3 * 128 + 8, 2 * 128 + 4)


@pytest.mark.parametrize(
    ("method", "share"), [("eswp", 0.8), ("eswp_r0.3", 0.7), ("eswp_r0.5", 0.5)]
)
def test_with_b_equal_to_b_nothing_is_scored(pretrain, method, share):
    summary, _ = pretrain(
        f"method={method}", "epochs=4", "method.annealing_start=0", "method.annealing_end=0"
    )

    assert summary["steps/selecting"] == 0
    assert summary["cost/forward_samples"] == summary["cost/bp_samples"]
    assert summary["cost/bp_samples"] == 200 * 4 * share


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_masks_of_the_evaluation_are_one_process_s_on_two_ranks(quick, tmp_path, strategy):
    still = (*MAE, "method=baseline", "epochs=1", "subset=160", "meta_batch_size=40")
    config = quick(*still, "recipe.max_lr.default=0", f"run.strategy={strategy}")
    alone = train(quick(*still, "recipe.max_lr.default=0", f"run.root={tmp_path / 'alone'}"))
    ranks = launch(traced, tmp_path / "answers", handed_over(config))

    for rank in ranks:
        assert rank["summary"]["test/loss"] == pytest.approx(alone["test/loss"], rel=1e-6)


def test_the_pruned_rows_have_labels_of_their_own(pretrain, tmp_path):
    pretrain("method=eswp_r0.3", "epochs=1")
    member = json.loads((tmp_path / "runs" / "members.jsonl").read_text())
    assert member["row"] == "eswp_r0.3"


def test_pictures_reach_the_tracker(pretrain):
    _, folder = pretrain("method=baseline", "epochs=1", "tracker=wandb")
    shown = list(folder.rglob("media/images/*.png"))
    assert len(shown) == 1
    assert shown[0].read_bytes() == (folder / "reconstructions.png").read_bytes()


def test_what_a_run_leaves_is_the_same_when_it_runs_again(pretrain):
    _, folder = pretrain("method=baseline", "epochs=1")
    files = ("encoder.safetensors", "reconstructions.png")
    first = [(folder / name).read_bytes() for name in files]
    pretrain("method=baseline", "epochs=1", "resume=never")
    assert [(folder / name).read_bytes() for name in files] == first


def test_a_resumed_run_goes_on_with_the_same_masks(pretrain, quick, tmp_path, monkeypatch):
    asked = ("method=eswp", "epochs=4", "meta_batch_size=20")
    whole = train(quick(*MAE, *asked, f"run.root={tmp_path / 'whole'}"))
    after_step = Engine.after_step

    def stopped(self):
        self.stop = self.step == 13
        after_step(self)

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "after_step", stopped)
        with pytest.raises(Stopped):
            pretrain(*asked)
    summary, _ = pretrain(*asked)

    assert summary["resumed"] == 1
    assert summary["test/loss"] == whole["test/loss"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method=ka", "method='ka': must be one that needs no confidence and no correct"),
        ("model.patch_size=3", "patch_size=3: must be a divisor of the image's size, 8"),
        ("model.mask_ratio=0", "mask_ratio=0: must be in (0, 1)"),
        ("task.normalise_pixels=maybe", "normalise_pixels='maybe': must be true or false"),
    ],
)
def test_bad_input_is_one_line(cli, override, message):
    code, _, err = cli(*MAE, override)
    assert code == 1
    assert message in err
    assert len(err.splitlines()) == 1


VIT = (
    "task=mixed_classification", "optimizer=adamw", "parameter_groups=layer_decay",
    "schedule=warmup_cosine", "recipe.max_lr.default=0.01", "method=baseline",
    "model=vit_tiny_p8", "model.options.patch_size=2", "model.options.embed_dim=16",
    "model.options.depth=1", "model.options.num_heads=2", "+model.options.global_pool=avg",
    "+model.new=[norm,fc_norm]",
)  # fmt: skip
LEFT = "model.weights='${left_by:${run.root},default,${row},${seed},encoder.safetensors}'"


def test_fine_tuning_starts_from_the_encoder_of_its_row(pretrain, quick, monkeypatch):
    rows = ("baseline", "eswp_r0.5")
    folders = [pretrain(f"method={row}", "epochs=1", "subset=100")[1] for row in rows]
    seen = []
    fit = Engine.fit

    def watched(self):
        seen.append({name: value.clone() for name, value in self.net.state_dict().items()})
        return fit(self)

    monkeypatch.setattr(Engine, "fit", watched)
    runs = [train(quick(*VIT, LEFT, f"row={row}", "epochs=1", "subset=100")) for row in rows]

    for folder, state in zip(folders, seen, strict=True):
        encoder = load_file(folder / "encoder.safetensors")
        for name in encoder.keys() - {"norm.weight", "norm.bias"}:
            assert torch.equal(state[name], encoder[name])
    assert runs[0]["run"] != runs[1]["run"]  # the weights are part of what determines a run
    assert 0 <= runs[0]["test/accuracy"] <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("row=infobatch", "model.weights: default, row infobatch, seed 0 has not been run"),
        ("model.weights=nowhere.safetensors", "weights='nowhere.safetensors': must be"),
        ("model.options.embed_dim=32", "cls_token is [1, 1, 16], not [1, 1, 32]"),
        ("model.options.depth=2", "12 of 28 tensors are missing, blocks.1.norm1.weight the first"),
    ],
)
def test_an_encoder_that_does_not_fit_is_one_line(cli, change, message):
    common = ("seed=0", "subset=100", "epochs=1")
    assert cli(*MAE, *LEAVE, "method=baseline", *common)[0] == 0
    code, _, err = cli(*VIT, LEFT, "row=baseline", *common, change)
    assert code == 1
    assert message in err
    assert len(err.splitlines()) == 1
