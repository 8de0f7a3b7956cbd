"""Classification: one label a sample, cross-entropy with optional label smoothing."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from es_repro.rows import Inputs
from es_repro.selection import require
from es_repro.selection.checks import as_real
from es_repro.tasks.base import Output
from es_repro.tasks.mixing import Mixing

__all__ = ["Classification", "class_signals"]


class Classification:
    """Image classification with per-sample cross-entropy.

    Args:
        num_classes: C; the model answers [m, C] logits.
        label_smoothing: in [0, 1). It puts a floor under every loss (0.5003 for 10 classes at
            0.1), which flattens what loss-proportional methods draw from.
        score_loss: what selectors see: the training loss (`same`) or the cross-entropy without
            smoothing (`unsmoothed`).
        mixup, cutmix: see `Mixing`; in training passes alone. A blended image's loss belongs to
            two samples: not to be used with selection.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    signals = frozenset({"correct", "confidence"})
    headline = "accuracy"
    larger_is_better = True

    def __init__(
        self,
        *,
        num_classes: int,
        label_smoothing: float = 0.0,
        score_loss: Literal["same", "unsmoothed"] = "same",
        mixup: float = 0.0,
        cutmix: float = 0.0,
    ) -> None:
        label_smoothing = as_real("label_smoothing", label_smoothing, "[0, 1)")
        require(
            score_loss in ("same", "unsmoothed"), "score_loss", score_loss, "same or unsmoothed"
        )
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.unsmoothed_scores = score_loss == "unsmoothed" and label_smoothing > 0
        self.mixing = Mixing(mixup, cutmix)

    def __call__(
        self, model: nn.Module, inputs: Inputs, targets: Tensor, signals: frozenset[str]
    ) -> Output:
        own = 1.0  # share of a row's own label
        if self.mixing and model.training and torch.is_grad_enabled():
            assert isinstance(inputs, Tensor)
            inputs, own = self.mixing(inputs)
        # float32 before the loss: bf16 has three digits and would make ties in the score table.
        logits = model(inputs).float()
        losses = self._losses(logits, targets)
        if own < 1:
            losses = own * losses + (1 - own) * self._losses(logits, targets.flip(0))
        known = logits.detach()
        scores = losses.detach()
        if self.unsmoothed_scores:
            scores = F.cross_entropy(known, targets, reduction="none")
        return Output(losses, scores, class_signals(known, targets, signals))

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.label_smoothing
        return F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)

    def metrics(self) -> MetricCollection:
        metrics: dict[str, Metric | MetricCollection] = {
            "accuracy": MulticlassAccuracy(self.num_classes, average="micro"),
            "loss": MeanMetric(),
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
            logits = model(inputs).float()
            metrics["accuracy"].update(logits, targets)
            metrics["loss"].update(F.cross_entropy(logits, targets, reduction="none"))


def class_signals(logits: Tensor, targets: Tensor, wanted: frozenset[str]) -> dict[str, Tensor]:
    """What logits [m, C], detached, say about a prediction beside its loss: only what is wanted."""
    found = {}
    if "correct" in wanted:
        found["correct"] = logits.argmax(1) == targets
    if "confidence" in wanted:
        # Over the classes; KAKURENBO's released code normalises over the batch.
        found["confidence"] = logits.softmax(1).amax(1)
    return found
