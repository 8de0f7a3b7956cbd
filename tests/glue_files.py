"""Tiny GLUE tasks in the hub's layout, and tokenizers small enough to read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from es_repro.data.glue import GLUE_TASKS

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghij"]


def write_tokenizer(folder: Path, words=WORDS, paired=True) -> Path:
    """A word-level tokenizer of ten words, BERT's marks around them."""
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    kind = 1 if paired else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B:{kind} [SEP]:{kind}",
        special_tokens=[(w, words.index(w)) for w in ("[CLS]", "[SEP]")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_split(path: Path, columns, rows, labels) -> None:
    """One parquet file with the hub's columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    index = pa.array(range(len(rows)), pa.int32())
    pq.write_table(pa.table({**texts, "label": labels, "idx": index}), path)


def write_task(root: Path, name: str, n=24, held=9) -> Path:
    """`glue/NAME/` with texts that say which row they are of; labels by turns."""
    task, folder = GLUE_TASKS[name], root / "glue" / name
    for split, count in (("train", n), (task.held, held)):
        rows = [
            tuple(" ".join("abcdefghij"[(i + k) % 10] for k in range(1 + (i + side) % 5))
                  for side in range(len(task.columns)))
            for i in range(count)
        ]  # fmt: skip
        classes = task.num_classes
        labels = [i % classes if classes else (i % 11) / 2 for i in range(count)]
        kind = pa.int64() if classes else pa.float32()
        write_split(folder / f"{split}.parquet", task.columns, rows, pa.array(labels, kind))
    return folder
