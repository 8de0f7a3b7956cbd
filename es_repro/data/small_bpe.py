"""A small byte-level BPE with chat tokens, made from texts at hand: no network is needed."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from es_repro.selection.checks import as_int

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["small_bpe"]

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
BYTES = 256

# The turns of ChatML, as Qwen2.5 has them, with a step-by-step system prompt in the manner of
# Qwen2.5-Math where a conversation brings none.
TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "<|im_start|>system\nSolve it step by step, and put the final answer in \\boxed{}.<|im_end|>\n"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{% endif -%}"
)


def small_bpe(texts: Sequence[str], size: int, cache: Path) -> "PreTrainedTokenizerFast":
    """The tokenizer of at most `size` tokens that these texts make, made once and kept in `cache`.

    Digits stand alone, as in Qwen2.5. The same texts make the same tokens.

    Raises:
        ValueError: a size that does not hold all bytes and the chat tokens.
    """
    from transformers import PreTrainedTokenizerFast  # here, for it takes seconds

    as_int("vocab_size", size, minimum=BYTES + 3)
    digest = hashlib.sha256(f"{size}\n{TEMPLATE}".encode())
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    folder = cache / f"bpe-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        made = _train(texts, size)
        cache.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".bpe-", dir=cache))
        try:
            made.save_pretrained(str(draft))
            _publish(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    found: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(str(folder))
    return found


def _train(texts: Sequence[str], size: int) -> "PreTrainedTokenizerFast":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, chat_template=TEMPLATE
    )


def _publish(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:  # another job was faster
        if not place.is_dir():
            raise
