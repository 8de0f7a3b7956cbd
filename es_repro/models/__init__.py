"""Builders of image classifiers, on timm's and torch's own classes."""

from es_repro.models.perceptron import mlp
from es_repro.models.residual import cifar_resnet, small_resnet
from es_repro.models.timm_models import timm_model

__all__ = ["cifar_resnet", "mlp", "small_resnet", "timm_model"]
