"""Builders of models, on timm's, transformers' and torch's own classes."""

from es_repro.models.causal import pretrained_causal, small_qwen2
from es_repro.models.conversion import encoder_file
from es_repro.models.encoders import encoder
from es_repro.models.mae import masked_autoencoder
from es_repro.models.perceptron import mlp
from es_repro.models.residual import cifar_resnet, small_resnet
from es_repro.models.timm_models import timm_model

__all__ = [
    "cifar_resnet",
    "encoder",
    "encoder_file",
    "masked_autoencoder",
    "mlp",
    "pretrained_causal",
    "small_qwen2",
    "small_resnet",
    "timm_model",
]
