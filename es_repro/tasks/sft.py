"""Supervised fine-tuning: a causal language model on the tokens of its responses."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection

from es_repro.rows import Inputs, Tokens
from es_repro.selection.checks import as_choice
from es_repro.tasks.base import Output

__all__ = ["Sft"]


class Sft:
    """One loss a sample, over its response alone.

    The mean over response tokens by default: with a sum, selection by loss becomes a sort by length
    (methods 5). A mini-batch then weighs samples, not tokens, alike.

    Args:
        reduction: of a sample's token losses, mean or sum.

    Raises:
        ValueError: another one.
    """

    signals = frozenset[str]()
    headline = "loss"
    larger_is_better = False

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        self.reduction = as_choice("reduction", reduction, Literal["mean", "sum"])

    def __call__(
        self, model: nn.Module, inputs: Inputs, targets: Tensor, signals: frozenset[str]
    ) -> Output:
        losses = self._by_token(model, inputs).sum(1)
        if self.reduction == "mean":
            losses = losses / targets
        return Output(losses, losses.detach())

    def metrics(self) -> MetricCollection:
        metrics: dict[str, Metric | MetricCollection] = {
            "loss": MeanMetric(),  # over response tokens
            "sample_loss": MeanMetric(),  # over samples, each the mean of its own
        }
        return MetricCollection(metrics)

    def evaluate(
        self,
        model: nn.Module,
        inputs: Inputs,
        targets: Tensor,
        metrics: MetricCollection,
        first: int,
    ) -> None:
        with torch.no_grad():
            means = self._by_token(model, inputs).sum(1) / targets
            metrics["loss"].update(means, weight=targets)
            metrics["sample_loss"].update(means)

    def _by_token(self, model: nn.Module, inputs: Inputs) -> Tensor:
        """Losses [m, L - 1] float32 of the tokens, 0 where the label is none."""
        if not isinstance(inputs, Tokens):
            raise TypeError("task=sft: needs a data set of token sequences, not of tensors")
        losses: Tensor = model(**inputs.fields)
        return losses.float()
