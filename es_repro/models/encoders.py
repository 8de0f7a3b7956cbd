"""Encoders of transformers that classify sequences, pretrained or from their config."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from es_repro.pretrained.hub import find_folder
from es_repro.pretrained.tokenization import TOKENIZER_FILES, tokenizer_in, vocabulary_id
from es_repro.selection import require
from es_repro.selection.checks import as_int

__all__ = ["encoder"]

WEIGHT_FILES = ("config.json", "*.safetensors", *TOKENIZER_FILES)


def encoder(
    weights: str | None = None,
    config: Mapping[str, Any] | None = None,
    num_layers: int | None = None,
    *,
    num_outputs: int,
    vocab_size: int,
    max_length: int,
    vocabulary: int | None = None,
) -> nn.Module:
    """A sequence classifier: `model(**fields).logits` is [m, num_outputs].

    Its new classifier is drawn from torch's global generator, as all of it is without weights.

    Args:
        weights: a folder of transformers, `package:NAME` or a repository on the hub; None: random
            initialisation of what `config` says.
        config: transformers' config by key, `model_type` among them; used without weights alone.
        num_layers: how many of the weights' layers to keep, from below; None: all.
        num_outputs: classes, or 1 for a number.
        vocab_size: of the data's tokenizer: ids are smaller.
        max_length: of the data: no sequence is longer.
        vocabulary: checksum of that tokenizer's vocabulary, compared with the one that lies
            beside the weights.

    Raises:
        FileNotFoundError: the weights are neither here nor to be had.
        ValueError: weights or a config that are none, or that do not fit the tokenizer.
    """
    if num_layers is not None:
        as_int("num_layers", num_layers, minimum=1)
    with _quiet():
        if weights is None:
            model = _from_config(dict(config or {}), num_outputs)
        else:
            folder = _find(weights)
            _check_vocabulary(weights, folder, vocabulary)
            model = _from_weights(weights, folder, num_outputs, num_layers)
    rows = model.get_input_embeddings().weight.shape[0]
    if vocab_size > rows:
        raise ValueError(
            f"dataset.tokenizer: has {vocab_size} ids, but the model embeds {rows}; take the "
            "tokenizer that belongs to the model"
        )
    positions = getattr(model.config, "max_position_embeddings", max_length)
    require(max_length <= positions, "max_length", max_length, f"at most {positions} here")
    return model


def _find(weights: str) -> Path:
    try:
        return find_folder("model.weights", weights, WEIGHT_FILES)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; or model.weights=null to start from random ones"
        ) from error


def _from_config(config: dict[str, Any], num_outputs: int) -> Any:  # noqa: ANN401 - untyped there
    from transformers import AutoConfig, AutoModelForSequenceClassification  # here: a second

    kind = config.pop("model_type", None)
    require(kind is not None, "model.config.model_type", kind, "a model type of transformers")
    try:
        known = AutoConfig.for_model(kind, num_labels=num_outputs, **config)
    except (ValueError, TypeError) as error:
        raise ValueError(f"model.config: {str(error).splitlines()[0]}") from error
    return AutoModelForSequenceClassification.from_config(
        known, attn_implementation="sdpa", dtype=torch.float32
    )


def _from_weights(name: str, folder: Path, num_outputs: int, num_layers: int | None) -> Any:  # noqa: ANN401 - as above
    from transformers import AutoModelForSequenceClassification  # as above

    changes = {} if num_layers is None else {"num_hidden_layers": num_layers}
    try:
        return AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=num_outputs,
            attn_implementation="sdpa",
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # a classifier for another number of classes is redrawn
            local_files_only=True,
            **changes,
        )
    except Exception as error:  # the package and safetensors raise many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"model.weights={name}: no encoder of transformers ({reason})") from error


def _check_vocabulary(name: str, folder: Path, vocabulary: int | None) -> None:
    own = tokenizer_in(folder) if vocabulary is not None else None
    if own is not None and vocabulary_id(own) != vocabulary:
        raise ValueError(
            f"dataset.tokenizer: is not the one of model.weights={name}, whose embeddings would "
            f"mean other pieces; set dataset.tokenizer={name}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar, and no report on the classifier that is new on purpose."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
