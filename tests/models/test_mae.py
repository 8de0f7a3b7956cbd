"""The masked autoencoder as built, and its encoder under timm's names."""

import math

import pytest
import torch
from safetensors.torch import load
from timm.models import VisionTransformer

from es_repro.models import encoder_file, masked_autoencoder
from es_repro.models.conversion import ENCODER_FILE, encoder_state
from es_repro.models.mae import sine_cosine

TINY = {
    "image_size": 16, "in_channels": 3, "patch_size": 4, "width": 32, "depth": 2, "heads": 4,
    "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2,
}  # fmt: skip


def shaken(seed=0, **changes):
    """A small MAE with every weight random, so that no term of a comparison is zero."""
    torch.manual_seed(seed)
    model = masked_autoencoder(**(TINY | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def test_the_default_is_maes_vit_l():
    with torch.device("meta"):
        model = masked_autoencoder(image_size=224, in_channels=3)
    encoder = sum(p.numel() for p in model.vit.parameters())
    # ViT-L/16 without a head: 303,301,632 of timm's vit_large_patch16_224.
    assert encoder == 303_301_632
    assert model.decoder.decoder_pred.out_features == 16 * 16 * 3
    assert len(model.decoder.decoder_layers) == 8


def test_positions_are_sines_and_cosines_of_column_and_row():
    side, width = 3, 8
    table = sine_cosine(side, width)[0]
    assert table.shape == (1 + side * side, width)
    assert (table[0] == 0).all()
    for row in range(side):
        for column in range(side):
            waves = []
            for place in (column, row):
                angles = [place / 10_000 ** (k / 2) for k in range(2)]
                waves += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            torch.testing.assert_close(table[1 + row * side + column], torch.tensor(waves))


def test_a_new_model_tells_patches_apart():
    model = masked_autoencoder(**TINY)
    for table in (model.vit.embeddings.position_embeddings, model.decoder.decoder_pos_embed):
        assert not table.requires_grad
        distances = torch.pdist(table[0])
        assert distances.min() > 0.1
    for token in (model.vit.embeddings.cls_token, model.decoder.mask_token):
        assert 0.01 < token.std() < 0.04


def test_initial_matrices_are_xaviers():
    torch.manual_seed(0)
    model = masked_autoencoder(**(TINY | {"width": 128}))
    layer = model.vit.layers[0]
    fused = torch.cat([getattr(layer.attention, f"{x}_proj").weight for x in "qkv"])
    for weight in (
        fused,
        layer.mlp.fc1.weight,
        model.vit.embeddings.patch_embeddings.projection.weight,
    ):
        rows, columns = weight.flatten(1).shape
        bound = (6 / (rows + columns)) ** 0.5
        assert 0.98 * bound < weight.abs().max() <= bound
    assert (layer.mlp.fc1.bias == 0).all()


@pytest.mark.parametrize("heads", [1, 4])
def test_the_encoder_answers_the_same_features_in_timm(heads):
    model = shaken(heads=heads)
    twin = VisionTransformer(
        img_size=16, patch_size=4, embed_dim=32, depth=2, num_heads=heads, num_classes=0
    ).eval()  # fmt: skip
    twin.load_state_dict(encoder_state(model))  # strict: every name, every shape
    images = torch.randn(5, 3, 16, 16)

    model.config.mask_ratio = 0.0
    noise = torch.arange(16.0).expand(5, 16)  # in their own order
    with torch.no_grad():
        theirs = model.vit(images, noise=noise).last_hidden_state
        ours = twin.forward_features(images)

    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_the_encoders_file_holds_the_same_and_is_the_same_every_time():
    model = shaken()
    ((name, content),) = encoder_file(model, None).items()

    assert name == ENCODER_FILE
    assert encoder_file(model, None)[name] == content
    for key, tensor in encoder_state(model).items():
        assert torch.equal(load(content)[key], tensor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": 5}, r"^patch_size=5: must be a divisor of the image's size, 16$"),
        ({"patch_size": 32}, r"^patch_size=32: must be a divisor of the image's size, 16$"),
        ({"patch_size": 0}, r"^patch_size=0: must be an integer >= 1$"),
        ({"heads": 5}, r"^heads=5: must be a divisor of width, 32$"),
        ({"width": 30, "heads": 3}, r"^width=30: must be a multiple of 4"),
        ({"decoder_heads": 3}, r"^decoder_heads=3: must be a divisor of decoder_width, 16$"),
        ({"mask_ratio": 1.0}, r"^mask_ratio=1.0: must be in \(0, 1\)$"),
        ({"mask_ratio": 0.99}, r"^mask_ratio=0.99: must be such that of 16 patches some are seen"),
        ({"depth": 0}, r"^depth=0: must be an integer >= 1$"),
    ],
)
def test_a_bad_size_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        masked_autoencoder(**(TINY | change))
