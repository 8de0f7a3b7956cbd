"""Parameter groups: who is decayed, and how learning rates fall from layer to layer."""

import pytest
from torch import nn

from es_repro.models.parameter_groups import all_alike, layer_decay, no_decay

RATES = {"lr": 0.1, "weight_decay": 0.05}


def test_all_alike_is_one_group_without_frozen_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    model[0].bias.requires_grad_(False)
    (group,) = all_alike(model, **RATES)
    assert [p.shape for p in group["params"]] == [(4, 3), (4,), (4,)]
    assert group.keys() == {"params"}


def test_vectors_are_not_decayed():
    vectors, matrices = no_decay(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), **RATES)
    assert (vectors["weight_decay"], len(vectors["params"])) == (0.0, 3)
    assert "weight_decay" not in matrices
    assert [p.shape for p in matrices["params"]] == [(4, 3)]


def test_rates_fall_from_the_head_down():
    import timm

    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=3
    )
    groups = layer_decay(model, **RATES, decay=0.5)
    rates = {
        name: group["lr"]
        for group in groups
        for name, parameter in model.named_parameters()
        if any(parameter is p for p in group["params"])
    }
    assert rates["head.weight"] == pytest.approx(0.1)
    assert rates["blocks.1.mlp.fc1.weight"] == pytest.approx(0.05)
    assert rates["blocks.0.mlp.fc1.weight"] == pytest.approx(0.025)
    assert rates["patch_embed.proj.weight"] == pytest.approx(0.0125)
    decays = {
        name: group["weight_decay"]
        for group in groups
        for name, parameter in model.named_parameters()
        if any(parameter is p for p in group["params"])
    }
    exempt = {name for name, p in model.named_parameters() if p.ndim == 1}
    exempt |= {"cls_token", "pos_embed"}  # MAE's fine-tuning, by the model's own word
    assert decays == {name: 0.0 if name in exempt else 0.05 for name in rates}
    assert len(rates) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("model", "decay", "message"),
    [
        (nn.Linear(2, 2), 0.5, "parameter_groups='layer_decay': must be all or no_decay"),
        (nn.Linear(2, 2), 0.0, r"decay=0.0: must be in \(0, 1\]"),
    ],
)
def test_what_does_not_fit_is_named(model, decay, message):
    with pytest.raises(ValueError, match=message):
        layer_decay(model, **RATES, decay=decay)
