"""Builders of models: image classifiers on timm's and torch's classes, language models."""

from es_repro.models.causal import pretrained_causal, small_qwen2
from es_repro.models.encoders import encoder
from es_repro.models.perceptron import mlp
from es_repro.models.residual import cifar_resnet, small_resnet
from es_repro.models.timm_models import timm_model

__all__ = [
    "cifar_resnet",
    "encoder",
    "mlp",
    "pretrained_causal",
    "small_qwen2",
    "small_resnet",
    "timm_model",
]
