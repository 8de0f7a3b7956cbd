"""Builders of image classifiers, on timm's and torch's own classes."""

from es_repro.models.encoders import encoder
from es_repro.models.perceptron import mlp
from es_repro.models.residual import cifar_resnet, small_resnet

__all__ = ["cifar_resnet", "encoder", "mlp", "small_resnet"]
