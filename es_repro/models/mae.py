"""Masked autoencoders (He et al. 2022), transformers' ViTMAE with the authors' initial weights."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from es_repro.selection import require
from es_repro.selection.checks import as_int, as_real

if TYPE_CHECKING:  # it takes seconds to import
    from transformers import ViTMAEForPreTraining

__all__ = ["masked_autoencoder", "sine_cosine"]

MLP_RATIO = 4
NORM_EPS = 1e-6  # timm's ViT and MAE's own; ViTMAE's default is 1e-12
TOKEN_STD = 0.02


def masked_autoencoder(
    *,
    image_size: int,
    in_channels: int,
    patch_size: int = 16,
    width: int = 1024,
    depth: int = 24,
    heads: int = 16,
    decoder_width: int = 512,
    decoder_depth: int = 8,
    decoder_heads: int = 16,
    mask_ratio: float = 0.75,
) -> nn.Module:
    """An encoder of the visible patches and a decoder of all; defaults: MAE's ViT-L/16.

    Called with (images [m, C, H, W], noise [m, L] or None, return_dict=False) it answers (loss,
    predictions [m, L, P*P*C], mask [m, L] with 1 where a patch was hidden, order [m, L]). Each row
    hides the patches with the largest noise, drawn from the global generator where none is given.

    Args:
        image_size: H and W.
        in_channels: C.
        patch_size: P, a divisor of the image size.
        width: of the encoder's tokens.
        depth: blocks of the encoder.
        heads: of its attention.
        decoder_width: of the decoder's tokens.
        decoder_depth: blocks of the decoder.
        decoder_heads: of its attention.
        mask_ratio: share of the L patches that the encoder does not see, in (0, 1).

    Raises:
        ValueError: a value outside its range; the message names it.
    """
    from transformers import ViTMAEConfig, ViTMAEForPreTraining  # as above

    require(
        as_int("patch_size", patch_size, minimum=1) <= image_size and image_size % patch_size == 0,
        "patch_size",
        patch_size,
        f"a divisor of the image's size, {image_size}",
    )
    for prefix, size, count in (("", width, heads), ("decoder_", decoder_width, decoder_heads)):
        require(size % 4 == 0, f"{prefix}width", size, "a multiple of 4 (positions are sines)")
        allowed = f"a divisor of {prefix}width, {size}"
        require(count >= 1 and size % count == 0, f"{prefix}heads", count, allowed)
    patches = (image_size // patch_size) ** 2
    as_real("mask_ratio", mask_ratio, "(0, 1)")
    visible = int(patches * (1 - mask_ratio))
    sensible = f"such that of {patches} patches some are seen and some are not"
    require(0 < visible < patches, "mask_ratio", mask_ratio, sensible)
    config = ViTMAEConfig(
        image_size=image_size,
        patch_size=patch_size,
        num_channels=in_channels,
        hidden_size=width,
        num_hidden_layers=as_int("depth", depth, minimum=1),
        num_attention_heads=heads,
        intermediate_size=MLP_RATIO * width,
        decoder_hidden_size=decoder_width,
        decoder_num_hidden_layers=as_int("decoder_depth", decoder_depth, minimum=1),
        decoder_num_attention_heads=decoder_heads,
        decoder_intermediate_size=MLP_RATIO * decoder_width,
        layer_norm_eps=NORM_EPS,
        mask_ratio=mask_ratio,
    )
    model = ViTMAEForPreTraining(config)
    _initialise(model, image_size // patch_size)
    return model


@torch.no_grad()
def _initialise(model: "ViTMAEForPreTraining", side: int) -> None:
    """Give `model` the initial weights of MAE's own code.

    transformers 5.23 leaves both tables of positions and both tokens at zero when a model is built
    from its config (the tables are not trained, so nothing would ever tell patches apart), and
    draws matrices from N(0, 0.02) where MAE has Xavier's uniform.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            # Queries, keys and values are one matrix there, three times as high.
            gain = 0.5**0.5 if name.endswith(("q_proj", "k_proj", "v_proj")) else 1.0
            nn.init.xavier_uniform_(module.weight.flatten(1), gain)  # through a view of the weight
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    embeddings, decoder = model.vit.embeddings, model.decoder
    for table in (embeddings.position_embeddings, decoder.decoder_pos_embed):
        table.copy_(sine_cosine(side, table.shape[-1]))
    for token in (embeddings.cls_token, decoder.mask_token):
        nn.init.normal_(token, std=TOKEN_STD)


def sine_cosine(side: int, width: int) -> Tensor:
    """Positions of a square of patches, as MAE lays them out.

    Args:
        side: patches in a row and in a column.
        width: of each vector, a multiple of 4.

    Returns:
        [1, 1 + side * side, width]: zeros for the class token, then row by row the sines and
        cosines of the column, those of the row, at width / 4 frequencies from 1 down to almost
        1 / 10,000.
    """
    quarter = width // 4
    frequencies = 10_000 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    angles = torch.arange(side, dtype=torch.float64).outer(frequencies)  # [side, width / 4]
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    columns, rows = waves.repeat(side, 1), waves.repeat_interleave(side, dim=0)
    patches = torch.cat([columns, rows], dim=1)  # [side * side, width]
    return torch.cat([torch.zeros(1, width), patches]).float().unsqueeze(0)
