"""Tiny maths data in the public layouts, and a tokenizer made of it."""

import pandas as pd

from es_repro.data.chat import Chat
from es_repro.data.small_bpe import small_bpe

__all__ = ["small_chat", "sums", "write_gsm8k", "write_numinamath"]


def sums(count):
    """Problems and solutions of different lengths."""
    problems = [f"Tom has {i} apples and gets {i % 7} more. How many?" for i in range(count)]
    steps = ["He counts them.\n" * (i % 5) + f"{i} + {i % 7} = {i + i % 7}." for i in range(count)]
    return problems, steps


def write_gsm8k(root, train=40, test=8):
    (root / "math").mkdir(parents=True, exist_ok=True)
    for name, count in (("train", train), ("test", test)):
        problems, steps = sums(count)
        answers = [
            f"{step[:-1]} <<{i}+{i % 7}={i + i % 7}>>\n#### {i + i % 7}"
            for i, step in enumerate(steps)
        ]
        frame = pd.DataFrame({"question": problems, "answer": answers})
        frame.to_parquet(root / "math" / f"gsm8k_{name}.parquet")


def write_numinamath(folder, shards=2, rows=30):
    folder.mkdir(parents=True, exist_ok=True)
    problems, steps = sums(shards * rows)
    frame = pd.DataFrame({"source": "made", "problem": problems, "solution": steps})
    for shard in range(shards):
        part = frame[shard * rows : (shard + 1) * rows]
        part.to_parquet(folder / f"train-{shard:05d}-of-{shards:05d}.parquet")


def small_chat(cache):
    problems, steps = sums(40)
    return Chat(small_bpe([*problems, *steps], 320, cache), "small")
