"""A model of random weights on disk, for evaluations of seconds."""

import torch

from es_repro.models import small_qwen2
from tests.data.problems import small_chat

__all__ = ["write_model", "write_problems"]


def write_model(folder, cache):
    torch.manual_seed(0)
    chat = small_chat(cache)
    facts = {
        "vocab_size": chat.vocab_size,
        "pad_token_id": chat.pad_id,
        "eos_token_id": chat.end_id,
    }
    model = small_qwen2(width=16, layers=1, heads=2, max_length=128, **facts)
    model.save_pretrained(folder)
    chat.tokenizer.save_pretrained(str(folder))
    return folder


def write_problems(folder, **rows):
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in rows.items():
        problems, answers = zip(*pairs, strict=True)
        frame = pd.DataFrame({"problem": problems, "answer": answers})
        frame.to_parquet(folder / f"{name}.parquet")
    return folder
