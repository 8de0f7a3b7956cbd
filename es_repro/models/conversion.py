"""The encoder of a masked autoencoder under timm's names, for `timm.models.VisionTransformer`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:  # it takes seconds to import
    from transformers import ViTMAEForPreTraining

__all__ = ["ENCODER_FILE", "encoder_file", "encoder_state"]

ENCODER_FILE = "encoder.safetensors"

# A layer's parts, ViTMAE's name -> timm's; queries, keys and values are one matrix in timm.
_PARTS = {
    "layernorm_before": "norm1", "layernorm_after": "norm2", "attention.o_proj": "attn.proj",
    "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
}  # fmt: skip
_FUSED = ("attention.q_proj", "attention.k_proj", "attention.v_proj")


def encoder_state(model: "ViTMAEForPreTraining") -> dict[str, Tensor]:
    """The weights of a ViTMAE's encoder as timm's `VisionTransformer` names them, without a head.

    Args:
        model: as `masked_autoencoder` builds it.

    Returns:
        CPU tensors: cls_token, pos_embed, patch_embed.proj, blocks.*, norm.
    """
    encoder = model.vit.state_dict()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in _renamed(encoder)}


def encoder_file(model: "ViTMAEForPreTraining", _inputs: object) -> dict[str, bytes]:
    """`encoder_state` as a file of a run's record; it loads without executing code.

    Args:
        model: as `masked_autoencoder` builds it.
    """
    from safetensors.torch import save

    return {ENCODER_FILE: save(encoder_state(model))}


def _renamed(encoder: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    yield "cls_token", encoder["embeddings.cls_token"]
    yield "pos_embed", encoder["embeddings.position_embeddings"]
    for kind in ("weight", "bias"):
        yield f"patch_embed.proj.{kind}", encoder[f"embeddings.patch_embeddings.projection.{kind}"]
        yield f"norm.{kind}", encoder[f"layernorm.{kind}"]
    depth = 1 + max(int(name.split(".")[1]) for name in encoder if name.startswith("layers."))
    for number in range(depth):
        theirs, ours = f"layers.{number}.", f"blocks.{number}."
        for kind in ("weight", "bias"):
            fused = torch.cat([encoder[f"{theirs}{part}.{kind}"] for part in _FUSED])
            yield f"{ours}attn.qkv.{kind}", fused
            for part, name in _PARTS.items():
                yield f"{ours}{name}.{kind}", encoder[f"{theirs}{part}.{kind}"]
