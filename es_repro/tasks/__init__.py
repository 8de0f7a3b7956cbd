"""Tasks: what a model is asked, as per-sample losses, signals and metrics."""

from es_repro.tasks.base import Output, Task
from es_repro.tasks.classification import Classification
from es_repro.tasks.masked_autoencoding import MaskedAutoencoding
from es_repro.tasks.reconstructions import pictures
from es_repro.tasks.sequence_classification import SequenceClassification
from es_repro.tasks.sft import Sft

__all__ = [
    "Classification",
    "MaskedAutoencoding",
    "Output",
    "SequenceClassification",
    "Sft",
    "Task",
    "pictures",
]
