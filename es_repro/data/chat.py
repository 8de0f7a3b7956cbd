"""Chat format: what a tokenizer's template makes of a problem and its solution."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from es_repro.pretrained.hub import find_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Chat", "load_tokenizer"]

FILES = ("tokenizer*", "vocab.json", "merges.txt", "*.jinja", "config.json", "*tokens*.json")

# A solution that no template alters, to see what stands behind one.
PROBE = "0"


def load_tokenizer(place: str) -> "PreTrainedTokenizerBase":
    """The tokenizer in a folder, or of a name on the hub.

    Raises:
        FileNotFoundError: it is neither, or cannot be had.
        ValueError: nothing there that transformers reads.
    """
    from transformers import AutoTokenizer  # here, for it takes seconds

    folder = find_folder("tokenizer", place, FILES)
    try:
        found = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"tokenizer={place}: holds no tokenizer ({reason})") from error
    return cast("PreTrainedTokenizerBase", found)


@dataclass(frozen=True, eq=False)
class Chat:
    """One problem, one answer, in the words of a tokenizer's own template.

    Its default system prompt is meant (Qwen2.5-Math's asks for reasoning step by step and a boxed
    answer), so no other is given.

    Attributes:
        tokenizer: with a chat template.
        name: what it is called in messages.

    Raises:
        ValueError: a tokenizer without a template, or one that cannot be split into prompt and
            response.
    """

    tokenizer: "PreTrainedTokenizerBase"
    name: str

    def __post_init__(self) -> None:
        if not self.tokenizer.chat_template:
            raise ValueError(f"tokenizer={self.name}: must have a chat template; this one has none")
        if not self.tokenizer.is_fast:
            raise ValueError(f"tokenizer={self.name}: must be a fast one (tokenizer.json)")
        self.response(PROBE, PROBE)

    def prompt(self, problem: str) -> str:
        """All that stands before the answer, the opening of its turn included."""
        return self._render([{"role": "user", "content": problem}], opens=True)

    def response(self, problem: str, solution: str) -> str:
        """What the model is to say: the solution and the mark that ends its turn."""
        turns = [
            {"role": "user", "content": problem},
            {"role": "assistant", "content": solution},
        ]
        prompt, whole = self.prompt(problem), self._render(turns, opens=False)
        if not whole.startswith(prompt):
            raise ValueError(
                f"tokenizer={self.name}: must have a chat template whose prompt is the beginning "
                "of the whole conversation"
            )
        return whole[len(prompt) :].rstrip("\n")  # nothing is generated behind the mark

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids; a template has written all special tokens already."""
        return cast(
            list[list[int]], self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        )

    @property
    def end_id(self) -> int:
        """The token that ends an answer."""
        return self.encode([self.response(PROBE, PROBE)])[0][-1]

    @property
    def pad_id(self) -> int:
        """What fills up a batch; never looked at."""
        found = self.tokenizer.pad_token_id
        return self.end_id if found is None else int(cast(int, found))

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return max(self.tokenizer.get_vocab().values()) + 1

    @property
    def fingerprint(self) -> str:
        """Hash of the vocabulary, the rules and the template."""
        rules = self.tokenizer.backend_tokenizer.to_str()
        return hashlib.sha256(f"{rules}\n{self.tokenizer.chat_template}".encode()).hexdigest()

    def _render(self, turns: list[dict[str, str]], *, opens: bool) -> str:
        found = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=opens
        )
        return cast(str, found)
