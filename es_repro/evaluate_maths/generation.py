"""Answers sampled from a model: by vLLM where it is and a GPU too, else by transformers."""

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor

from es_repro.data.chat import Chat
from es_repro.models.causal import FILES
from es_repro.pretrained.hub import find_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Answer", "Backend", "Sampling", "open_backend", "seed_of"]

BackendName = Literal["auto", "vllm", "transformers"]


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: the likeliest tokens that have this probability together, in (0, 1].
        max_new_tokens: of an answer.

    Raises:
        ValueError: a value outside its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 3072

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"temperature={self.temperature}: must be >= 0")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: must be in (0, 1]")
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens={self.max_new_tokens}: must be at least 1")


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        text: without special tokens.
        tokens: that it took.
        finished: it ended by itself, not at the limit.
    """

    text: str
    tokens: int
    finished: bool


class Backend(Protocol):
    """Samples one answer a prompt; the same seed and batch give the same answer."""

    name: str

    def answer(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Answer]: ...


def seed_of(seed: int, name: str, number: int, sample: int) -> int:
    """The seed of one answer, from that of the evaluation, its problem and its sample."""
    digest = hashlib.blake2b(f"{seed}/{name}/{number}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # 63 bits: a signed number in vLLM


def open_backend(
    model: str, chat: Chat, sampling: Sampling, backend: BackendName = "auto"
) -> Backend:
    """The backend asked for; `auto` is vLLM where it is installed and there is a GPU.

    Raises:
        ValueError: vLLM is asked for and cannot be had, or a model that cannot be read.
    """
    possible = importlib.util.find_spec("vllm") is not None and torch.cuda.is_available()
    if backend == "vllm" and not possible:
        raise ValueError("backend=vllm: must be transformers here: vLLM or a GPU is missing")
    if possible and backend != "transformers":
        return VllmBackend(model, chat, sampling)
    return TransformersBackend(model, chat, sampling)


class TransformersBackend:
    """`generate` of transformers, in float32 on a CPU and bfloat16 on a GPU.

    Tokens are drawn by the Gumbel trick with a generator a row: what an answer draws depends on its
    own seed alone, not on its neighbours in the batch.
    """

    name = "transformers"

    def __init__(self, model: str, chat: Chat, sampling: Sampling) -> None:
        from transformers import AutoModelForCausalLM, GenerationConfig
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        folder = find_folder("model", model, FILES)
        try:
            found: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"model={model}: must be a causal language model ({reason})"
            ) from error
        self._model: PreTrainedModel = found.to(self._device).eval()
        rows = found.get_input_embeddings().num_embeddings
        if chat.vocab_size > rows:
            raise ValueError(
                f"model={model}: its tokenizer has {chat.vocab_size} tokens and the model {rows}; "
                "must be a model and its own tokenizer"
            )
        self._chat, self._sampling = chat, sampling
        self._context = getattr(found.config, "max_position_embeddings", None)
        own = found.generation_config.eos_token_id if found.generation_config else None
        listed = own if isinstance(own, list) else [own]
        # Tokens that end an answer: of the template, and of the model itself.
        self._ends = {chat.end_id, *(int(token) for token in listed if token is not None)}
        # Nothing else of what the model's authors recommend: it may penalise repetition.
        self._model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._ends), pad_token_id=chat.pad_id, do_sample=False
        )

    def answer(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Answer]:
        from transformers import LogitsProcessorList, TopPLogitsWarper

        ids, mask = self._padded(self._chat.encode(prompts))
        most = self._sampling.max_new_tokens
        if self._context is not None:
            most = min(most, self._context - ids.shape[1])
        if most < 1:
            return [Answer("", 0, finished=False) for _ in prompts]  # no room behind the prompt
        rules = LogitsProcessorList()
        if self._sampling.temperature > 0:
            rules.append(_Temperature(self._sampling.temperature))
            if self._sampling.top_p < 1:
                rules.append(TopPLogitsWarper(self._sampling.top_p))
            rules.append(_Gumbel(seeds, self._device))
        with torch.no_grad():
            found = self._model.generate(  # type: ignore[operator]  # transformers' own typing
                input_ids=ids,
                attention_mask=mask,
                logits_processor=rules,
                max_new_tokens=most,
            )
        return [self._read(row) for row in found[:, ids.shape[1] :].tolist()]

    def _padded(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Prompts padded on the left, and where they are not padding; [m, L] int64 each."""
        longest = max(map(len, prompts))
        rows = [[self._chat.pad_id] * (longest - len(x)) + x for x in prompts]
        seen = [[0] * (longest - len(x)) + [1] * len(x) for x in prompts]
        return torch.tensor(rows, device=self._device), torch.tensor(seen, device=self._device)

    def _read(self, tokens: list[int]) -> Answer:
        length = next((at for at, token in enumerate(tokens) if token in self._ends), None)
        kept = tokens[:length]
        text = self._chat.tokenizer.decode(kept, skip_special_tokens=True)
        return Answer(str(text), len(kept), finished=length is not None)


class VllmBackend:
    """vLLM, a seed a request; written after its documentation, so far not run by its authors."""

    name = "vllm"

    def __init__(self, model: str, chat: Chat, sampling: Sampling) -> None:
        import vllm  # type: ignore[import-not-found]  # optional

        self._vllm, self._chat, self._sampling = vllm, chat, sampling
        self._engine: Any = vllm.LLM(model=model, dtype="bfloat16")

    def answer(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Answer]:
        wanted = [
            self._vllm.SamplingParams(
                temperature=self._sampling.temperature,
                top_p=self._sampling.top_p,
                max_tokens=self._sampling.max_new_tokens,
                seed=seed,
                stop_token_ids=[self._chat.end_id],
            )
            for seed in seeds
        ]
        asked = [{"prompt_token_ids": ids} for ids in self._chat.encode(prompts)]
        outputs = self._engine.generate(asked, wanted, use_tqdm=False)
        firsts = [output.outputs[0] for output in outputs]
        return [Answer(x.text, len(x.token_ids), x.finish_reason == "stop") for x in firsts]


class _Temperature:
    """Divides logits; transformers' own warns unless it is asked to sample itself."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature

    def __call__(self, _ids: Tensor, logits: Tensor) -> Tensor:
        return logits.float() / self._temperature


class _Gumbel:
    """Adds standard Gumbel noise, so that the largest is a draw from the softmax."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self._streams = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, _ids: Tensor, logits: Tensor) -> Tensor:
        noise = torch.empty_like(logits)
        for row, stream in zip(noise, self._streams, strict=True):
            row.exponential_(generator=stream)
        return logits - noise.log()
