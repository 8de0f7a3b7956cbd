"""Classes or a number for a sequence of tokens, with GLUE's official metrics."""

import warnings
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import (
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassMatthewsCorrCoef,
)
from torchmetrics.regression import PearsonCorrCoef, SpearmanCorrCoef

from es_repro.rows import Inputs, Tokens
from es_repro.selection import require
from es_repro.selection.checks import as_choice
from es_repro.tasks.base import Output
from es_repro.tasks.classification import class_signals

__all__ = ["SequenceClassification"]

Headline = Literal["accuracy", "f1", "matthews", "pearson", "spearman", "correlation"]
OF_NUMBERS = ("pearson", "spearman", "correlation")


class SequenceClassification:
    """Models of transformers (`model(**fields).logits`), with a loss for each sequence.

    Cross-entropy over classes; the squared error where the data have numbers (STS-B). Scores are
    the losses. Numbers offer no signals, for nothing there is right or sure.

    Args:
        headline: the metric that tables show: accuracy, f1 (two classes), matthews; of numbers
            pearson, spearman, or correlation, the mean of both.
        num_classes: C; the model answers [m, C] logits. None: numbers, [m, 1].

    Raises:
        ValueError: a metric that these data do not have.
    """

    signals: frozenset[str]
    headline: str

    def __init__(self, *, headline: Headline = "accuracy", num_classes: int | None = None) -> None:
        as_choice("headline", headline, Headline)
        self.num_classes = num_classes
        offered = [str(name) for name in self.metrics() if name != "loss"]
        require(headline in offered, "headline", headline, f"one of {', '.join(offered)}")
        self.headline = headline
        self.larger_is_better = True
        self.signals = frozenset({"correct", "confidence"} if num_classes else ())

    def __call__(
        self, model: nn.Module, inputs: Inputs, targets: Tensor, signals: frozenset[str]
    ) -> Output:
        answers = self._answers(model, inputs)
        losses = self._losses(answers, targets)
        found = class_signals(answers.detach(), targets, signals)
        return Output(losses, losses.detach(), found)

    def metrics(self) -> MetricCollection:
        found: dict[str, Metric | MetricCollection]
        if self.num_classes is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Spearman keeps all predictions: as it must
                # `correlation` adds two metrics, which then feed and answer as one.
                found = {
                    "pearson": PearsonCorrCoef(),
                    "spearman": SpearmanCorrCoef(),
                    "correlation": (PearsonCorrCoef() + SpearmanCorrCoef()) / 2,
                }
        else:
            found = {
                "accuracy": MulticlassAccuracy(self.num_classes, average="micro"),
                "matthews": MulticlassMatthewsCorrCoef(self.num_classes),
            }
            if self.num_classes == 2:
                found["f1"] = BinaryF1Score()  # of class 1, as GLUE does
        return MetricCollection(found | {"loss": MeanMetric()}, compute_groups=False)

    def evaluate(
        self,
        model: nn.Module,
        inputs: Inputs,
        targets: Tensor,
        metrics: MetricCollection,
        first: int,
    ) -> None:
        with torch.no_grad():
            answers = self._answers(model, inputs)
        for name, metric in metrics.items():
            if name == "loss":
                metric.update(self._losses(answers, targets))
            else:
                # Classes as ids: a binary metric would take logits of two columns amiss.
                metric.update(answers if self.num_classes is None else answers.argmax(1), targets)

    def _answers(self, model: nn.Module, inputs: Inputs) -> Tensor:
        """[m, C] logits or [m] numbers, float32: bf16 would make ties in the score table."""
        assert isinstance(inputs, Tokens)
        fields = dict(inputs.fields)
        # Of a mask [m, L] transformers asks whether it is all ones, and waits for the device to
        # answer; one of four dimensions it takes as it is: which keys a query sees.
        fields["attention_mask"] = fields["attention_mask"][:, None, None, :].bool()
        logits: Tensor = model(**fields).logits.float()
        return logits.squeeze(1) if self.num_classes is None else logits

    def _losses(self, answers: Tensor, targets: Tensor) -> Tensor:
        if self.num_classes is None:
            return F.mse_loss(answers, targets, reduction="none")
        return F.cross_entropy(answers, targets, reduction="none")
