"""Causal language models of transformers, asked for token losses and never for all logits."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from es_repro.pretrained.hub import find_folder
from es_repro.selection.checks import as_int, require_bool

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["TokenLosses", "pretrained_causal", "small_qwen2"]

FILES = ("*.json", "*.safetensors", "merges.txt", "*.jinja")  # of a repository, tokenizer included

IGNORED = -100  # transformers' label of a token without loss

# Embeddings are padded beyond the tokenizer's tokens to a round number (271 rows in Qwen2.5-Math).
MOST_SPARE_ROWS = 1024


class TokenLosses(nn.Module):
    """A causal language model whose forward answers the cross-entropy of every token.

    Logits exist for `chunk_tokens` tokens at a time: 8 rows of 1,024 tokens over Qwen's 152
    thousand would be 5 GB in float32, and as much again for their gradient. With a gradient each
    chunk's logits are computed anew in the backward pass. Everything happens inside `forward`, as
    wrappers that shard or synchronise parameters require.

    Args:
        language_model: one of transformers'.
        chunk_tokens: so many rows of logits at a time.

    Raises:
        ValueError: less than one.
    """

    def __init__(self, language_model: "PreTrainedModel", chunk_tokens: int = 1024) -> None:
        super().__init__()
        self.language_model = language_model
        self.chunk_tokens = as_int("chunk_tokens", chunk_tokens, minimum=1)
        self._needs_mask = not _is_causal_alone(language_model.config)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        """Losses [m, L - 1] float32: of each label but the first, given the tokens before it.

        Args:
            input_ids: [m, L] int64.
            attention_mask: [m, L], 0 at padding, which lies on the right.
            labels: [m, L] int64, -100 where there is no loss: it is 0 there.
        """
        # No token sees padding on its right. Given the mask, transformers would read it to find out
        # whether there is any, and wait for the device in every pass.
        mask = attention_mask if self._needs_mask else {"full_attention": None}
        hidden = self.language_model.base_model(
            input_ids=input_ids, attention_mask=mask, use_cache=False
        ).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        pieces = [
            self._losses(states, answers)
            for states, answers in zip(
                hidden.flatten(0, 1).split(self.chunk_tokens),
                wanted.flatten().split(self.chunk_tokens),
                strict=True,
            )
        ]
        return torch.cat(pieces).view(wanted.shape)

    def save_pretrained(self, folder: Path, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write the language model as transformers reads it: config.json and safetensors.

        Args:
            folder: it is there.
            state_dict: of this module, in place of its own.
        """
        prefix = "language_model."
        mine = state_dict and {k.removeprefix(prefix): v for k, v in state_dict.items()}
        self.language_model.save_pretrained(folder, state_dict=mine)

    def _losses(self, states: Tensor, answers: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self._chunk(states, answers)
        found: Tensor = checkpoint(
            self._chunk, states, answers, use_reentrant=False, preserve_rng_state=False
        )
        return found

    def _chunk(self, states: Tensor, answers: Tensor) -> Tensor:
        logits = self.language_model.get_output_embeddings()(states).float()
        return F.cross_entropy(logits, answers, ignore_index=IGNORED, reduction="none")


def _is_causal_alone(config: "PretrainedConfig") -> bool:
    """Whether each layer attends to all tokens before it without being given a mask."""
    whole = set(getattr(config, "layer_types", None) or ()) == {"full_attention"}
    takes_masks_by_layer = config.model_type in ("qwen2", "qwen3")
    knows = config._attn_implementation == "sdpa"  # eager attention has the mask alone
    return whole and takes_masks_by_layer and knows


def pretrained_causal(
    weights: str | None,
    activation_checkpointing: bool = True,
    chunk_tokens: int = 1024,
    *,
    vocab_size: int,
) -> TokenLosses:
    """A pretrained causal language model, in float32: autocast computes in less, masters stay.

    Args:
        weights: a folder that transformers reads, or a name on its hub.
        activation_checkpointing: compute each layer's activations anew in the backward pass.
        chunk_tokens: see `TokenLosses`.
        vocab_size: tokens that the data's tokenizer knows.

    Raises:
        FileNotFoundError: nothing there, and nothing to be had.
        ValueError: another kind of model, or a tokenizer that does not fit it.
    """
    require_bool("activation_checkpointing", activation_checkpointing)
    if not weights:
        raise ValueError(f"model.weights={weights}: must be a folder or a name on the hub")
    from transformers import AutoModelForCausalLM  # here, for it takes seconds

    folder = find_folder("model.weights", weights, FILES)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"model.weights={weights}: must be a causal language model ({reason})"
        ) from error
    language_model, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"model.weights={weights}: lacks {missing[0]} and {len(missing) - 1} more")
    rows = language_model.get_input_embeddings().num_embeddings
    if not vocab_size <= rows <= vocab_size + MOST_SPARE_ROWS:
        raise ValueError(
            f"dataset.tokenizer: has {vocab_size} tokens and model.weights={weights} has {rows}; "
            "must be the tokenizer that belongs to the model"
        )
    return _ready(language_model, activation_checkpointing, chunk_tokens)


def small_qwen2(
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    activation_checkpointing: bool = False,
    chunk_tokens: int = 4096,
    *,
    vocab_size: int,
    max_length: int,
    pad_token_id: int,
    eos_token_id: int,
) -> TokenLosses:
    """Qwen2's architecture at any size, with random weights.

    Args:
        width: of the residual stream; the feed-forward layers are 2.75 times as wide.
        layers: of the decoder.
        heads: of attention; half as many for keys and values.
        activation_checkpointing: compute each layer's activations anew in the backward pass.
        chunk_tokens: see `TokenLosses`.
        vocab_size: tokens that the data's tokenizer knows.
        max_length: of a training sample; twice as much is left for answers.
        pad_token_id: the tokenizer's padding.
        eos_token_id: the token that ends an answer.

    Raises:
        ValueError: a size that is no size, or a width that the heads do not divide evenly.
    """
    require_bool("activation_checkpointing", activation_checkpointing)
    width, layers = as_int("width", width, minimum=8), as_int("layers", layers, minimum=1)
    heads = as_int("heads", heads, minimum=1)
    if width % (2 * heads):
        raise ValueError(f"width={width}: must be a multiple of {2 * heads}, twice the heads")
    from transformers import Qwen2Config, Qwen2ForCausalLM  # here, for it takes seconds

    config = Qwen2Config(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        max_position_embeddings=2 * max_length,
        tie_word_embeddings=True,
        pad_token_id=pad_token_id,
        eos_token_id=eos_token_id,
        bos_token_id=None,
    )
    return _ready(Qwen2ForCausalLM(config), activation_checkpointing, chunk_tokens)


def _ready(
    language_model: "PreTrainedModel", checkpointing: bool, chunk_tokens: int
) -> TokenLosses:
    from transformers.utils import logging

    logging.disable_progress_bar()  # of writing and reading weights: a run has a bar of its own
    if checkpointing:
        # The re-entrant kind of it does not go with FSDP2. transformers has renamed the switch.
        new = hasattr(language_model, "activation_checkpointing_enable")
        name = "activation_checkpointing" if new else "gradient_checkpointing"
        switch = getattr(language_model, f"{name}_enable")
        switch(**{f"{name}_kwargs": {"use_reentrant": False}})
    return TokenLosses(language_model, chunk_tokens)
