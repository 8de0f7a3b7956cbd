"""What is known of the data sets without reading them: for plans, not for runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from es_repro.rows import Inputs, Tokens

__all__ = ["Known", "known"]

# Rows of the training splits as their sources publish them; imagenet10: of the sample that
# `conf/dataset/imagenet10.yaml` describes; digits: less the fifth of each class that is held out.
ROWS = {
    "digits": 1438, "cifar10": 50_000, "cifar100": 50_000, "imagenet": 1_281_167,
    "imagenet10": 800, "gsm8k": 7_473, "numinamath": 859_494,
    "cola": 8_551, "sst2": 67_349, "qnli": 104_743, "qqp": 363_846, "mnli": 392_702,
    "mrpc": 3_668, "rte": 2_490, "stsb": 5_749,
}  # fmt: skip
# Tokens of a row as it is padded, on average: assumptions, no counts.
TOKENS = {"glue": 40, "gsm8k": 200, "numinamath": 512}
CLASSES = {"digits": 10, "cifar10": 10, "cifar100": 100, "mnli": 3, "stsb": 1}
VOCABULARY = 30_000


@dataclass(frozen=True)
class Known:
    """A data set, as far as its config tells.

    Attributes:
        num_samples: n, after the validation cut and the subset.
        facts: what models and tasks ask for, by name.
        tokens: of a row; None: rows are images.
    """

    num_samples: int
    facts: Mapping[str, int]
    tokens: int | None = None

    def row(self, device: str) -> tuple[Inputs, torch.Tensor]:
        """One row [1, ...] of the data's shape, zeros, and its target."""
        with torch.device(device):
            target = torch.ones(1, dtype=torch.int64)
            if self.tokens is None:
                size = self.facts["image_size"]
                return torch.zeros(1, self.facts["in_channels"], size, size), target
            ids = torch.zeros(1, self.tokens, dtype=torch.int64)
            names = ["input_ids", "attention_mask"]
            names += ["labels"] * ("eos_token_id" in self.facts)
            return Tokens(dict.fromkeys(names, ids), torch.tensor([1], device="cpu")), target


def known(dataset: Mapping[str, Any]) -> Known | None:
    """What a data set's config tells of it, or None for one that is not known here.

    Args:
        dataset: the resolved group of the config.
    """
    builder = str(dataset["_target_"]).rpartition(".")[2]
    places = dataset.get("places") or [""]
    name = str(dataset.get("name") or (places[0] if builder == "streamed_images" else builder))
    if name not in ROWS:
        return None
    rows = ROWS[name]
    if dataset.get("of_classes"):
        rows = rows * dataset["num_classes"] // dataset["of_classes"]
    found = Known(rows, _facts(builder, name, dataset))
    if (tokens := TOKENS.get(builder)) is not None:
        found = replace(found, tokens=min(tokens, dataset["max_length"]))
    return replace(found, num_samples=_chosen(rows, dataset))


def _facts(builder: str, name: str, dataset: Mapping[str, Any]) -> dict[str, int]:
    if builder == "streamed_images":
        size, classes = dataset["image_size"], dataset["num_classes"]
        return {"num_classes": classes, "in_channels": 3, "image_size": size}
    if builder not in TOKENS:
        channels, size = (1, 8) if builder == "digits" else (3, 32)
        return {"num_classes": CLASSES[name], "in_channels": channels, "image_size": size}
    length = {"max_length": dataset["max_length"]}
    if builder == "glue":
        outputs = CLASSES.get(name, 2)
        classes = {"num_classes": outputs} if outputs > 1 else {}
        return classes | length | {"num_outputs": outputs, "vocab_size": VOCABULARY}
    vocabulary = dataset.get("vocab_size") or VOCABULARY
    return length | {"vocab_size": vocabulary, "pad_token_id": 0, "eos_token_id": 1}


def _chosen(rows: int, dataset: Mapping[str, Any]) -> int:
    if dataset.get("split") == "validation" and "validation" in dataset:
        rows -= math.floor(dataset["validation"] * rows + 0.5)
    subset = dataset.get("subset")
    if isinstance(subset, float):
        return math.floor(subset * rows + 0.5)
    return rows if subset is None else min(int(subset), rows)
