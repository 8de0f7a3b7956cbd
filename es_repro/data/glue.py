"""GLUE: eight tasks on English sentences, from the hub's parquet files, as tokens.

GLUE hides the labels of its test sets, so what is reported everywhere, and is called `test` here,
are its public validation sets (MNLI: the matched one). `split=validation` is a cut of the training
set, for tuning.

Source: Wang et al. 2019; https://huggingface.co/datasets/nyu-mll/glue.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor

from es_repro.data.cuts import Choice, Rows, choose_rows
from es_repro.data.errors import DataDamaged, DataNotFound
from es_repro.data.images import SplitName
from es_repro.data.parquet import find_shards
from es_repro.data.sequences import Sequences, TokenData
from es_repro.data.texts import Texts, read_texts
from es_repro.data.token_cache import tokenized
from es_repro.pretrained.hub import fetch
from es_repro.pretrained.tokenization import load_tokenizer, vocabulary_id
from es_repro.selection import require
from es_repro.selection.checks import as_choice, as_int

__all__ = ["GLUE_TASKS", "GlueTask", "glue"]

REPOSITORY = "nyu-mll/glue"
LOCAL_FOLDERS = ("glue", REPOSITORY)  # relative to the data root
SHORTEST = 8  # tokens: the marks around two sentences and something between them


@dataclass(frozen=True)
class GlueTask:
    """What is in a task's files.

    Attributes:
        columns: of the text, one or two.
        num_classes: C, None where labels are numbers.
        held: the split that results are reported on.
    """

    columns: tuple[str, ...]
    num_classes: int | None = 2
    held: str = "validation"


GlueName = Literal["cola", "sst2", "qnli", "qqp", "mnli", "mrpc", "rte", "stsb"]
GLUE_TASKS: dict[str, GlueTask] = {
    "cola": GlueTask(("sentence",)),
    "sst2": GlueTask(("sentence",)),
    "qnli": GlueTask(("question", "sentence")),
    "qqp": GlueTask(("question1", "question2")),
    "mnli": GlueTask(("premise", "hypothesis"), 3, "validation_matched"),
    "mrpc": GlueTask(("sentence1", "sentence2")),
    "rte": GlueTask(("sentence1", "sentence2")),
    "stsb": GlueTask(("sentence1", "sentence2"), None),
}
HIGHEST_SCORE = 5.0  # STS-B's similarities lie in [0, 5]


def glue(
    name: GlueName,
    *,
    tokenizer: str,
    data_root: str | Path,
    cache_root: str | Path,
    max_length: int = 128,
    download: Literal["auto", "never"] = "auto",
    split: SplitName = "test",
    validation: float = 0.1,
    subset: int | float | None = None,
    subset_seed: int = 0,
    label_noise: float = 0.0,
    noise_seed: int = 0,
) -> TokenData:
    """One task of GLUE.

    Args:
        name: which.
        tokenizer: what makes ids of the texts (`tokenization.load_tokenizer`); the model's own.
        data_root: the folder that holds data sets (`DATA_ROOT`), with `glue/NAME/*.parquet`.
        cache_root: where tokens are kept between runs.
        max_length: tokens a sample has at most; longer ones are cut.
        download: `never` looks under the data root only.
        split: what to evaluate on, `test` (GLUE's validation set) or `validation`.
        validation: share of the training split in a validation cut.
        subset: how many samples (int) or which share of them (float) to train on; None: all.
        subset_seed: of the subset and of the validation cut.
        label_noise: chance of a training label to be flipped; 0 where labels are numbers.
        noise_seed: of the flips.

    Raises:
        DataNotFound: the task or the tokenizer is neither here nor to be had.
        DataDamaged: a file of it is truncated or contradicts itself.
        ValueError: a value outside its range; the message names it.
    """
    as_choice("name", name, GlueName)
    as_int("max_length", max_length, minimum=SHORTEST)
    as_choice("download", download, Literal["auto", "never"])
    task, root = GLUE_TASKS[name], Path(data_root).expanduser()
    choice = Choice(split, validation, subset, subset_seed, label_noise, noise_seed)
    classes = task.num_classes is not None
    allowed = f"0: the labels of {name} are no classes"
    require(classes or label_noise == 0, "label_noise", label_noise, allowed)
    try:
        words = load_tokenizer(tokenizer, root)
    except FileNotFoundError as error:
        raise DataNotFound(str(error)) from error
    folder = _folder(name, root, task, download)
    texts = {
        part: read_texts(find_shards(folder, file), task.columns, classes=classes)
        for part, file in (("train", "train"), ("test", task.held))
    }
    cache = Path(cache_root).expanduser() / "tokens"
    sequences = {
        part: _sequences(split_texts, words, max_length, cache)
        for part, split_texts in texts.items()
    }
    kept, held = choose_rows(
        _labelled(texts["train"], task), _labelled(texts["test"], task), choice,
        task.num_classes or 1,
    )  # fmt: skip
    return TokenData(
        train=_taken(sequences, kept, classes),
        evaluation=_taken(sequences, held, classes),
        split=split,
        facts=_facts(task, words, max_length),
        has_classes=classes,
        padding={"input_ids": _pad_id(words)},
        corrupted=kept.corrupted,
    )


def _folder(name: str, root: Path, task: GlueTask, download: str) -> Path:
    """The folder that holds both splits of the task."""
    reason = "download=never"
    for place in (root / local / name for local in LOCAL_FOLDERS):
        if _complete(place, task):
            return place
    if download == "auto":
        patterns = tuple(f"{name}/{split}-*.parquet" for split in ("train", task.held))
        try:
            place = fetch(REPOSITORY, patterns, "dataset") / name
        except OSError as error:
            reason = f"the hub cannot be had: {error}"
        else:
            if _complete(place, task):
                return place
            reason = f"the hub's {REPOSITORY} no longer has {' and '.join(patterns)}"
    raise DataNotFound(
        f"{name}: not found under DATA_ROOT={root}; set DATA_ROOT to a folder that holds "
        f"glue/{name}/train.parquet and {task.held}.parquet, as the hub's {REPOSITORY} has them "
        f"({reason})"
    )


def _complete(folder: Path, task: GlueTask) -> bool:
    found = {split: bool(find_shards(folder, split)) for split in ("train", task.held)}
    if len(set(found.values())) == 2:
        missing = next(split for split, there in found.items() if not there)
        raise DataDamaged(f"{folder}: no {missing} parquet file beside the other; fetch it")
    return all(found.values())


def _sequences(texts: Texts, words: Tokenizer, max_length: int, cache: Path) -> Sequences:
    tokens = tokenized(texts, words, max_length, cache)
    return Sequences(tokens.fields, tokens.offsets, texts.targets)


@dataclass(frozen=True, eq=False)
class _Labelled:
    """A split's classes; numbers count as one class, so that subsets are uniform draws."""

    origin: str
    targets: Tensor


def _labelled(texts: Texts, task: GlueTask) -> _Labelled:
    if task.num_classes is not None:
        return _Labelled(texts.origin, texts.targets)
    # NaN lies outside too.
    inside = (texts.targets >= 0) & (texts.targets <= HIGHEST_SCORE)
    if not bool(inside.all()):
        worst = float(texts.targets[~inside][0])
        raise DataDamaged(f"{texts.origin}: a label is {worst}, not within 0..{HIGHEST_SCORE:.0f}")
    return _Labelled(texts.origin, torch.zeros(len(texts.targets), dtype=torch.int64))


def _taken(splits: dict[str, Sequences], part: Rows, classes: bool) -> Sequences:
    return splits[part.split].take(part.rows, part.targets if classes else None)


def _facts(task: GlueTask, words: Tokenizer, max_length: int) -> dict[str, int]:
    classes = {} if task.num_classes is None else {"num_classes": task.num_classes}
    return classes | {
        "num_outputs": task.num_classes or 1,
        "vocab_size": max(words.get_vocab().values()) + 1,
        "vocabulary": vocabulary_id(words),
        "max_length": max_length,
    }


def _pad_id(words: Tokenizer) -> int:
    """The id of padding, which the attention mask hides in any case."""
    named = (words.token_to_id(piece) for piece in ("[PAD]", "<pad>"))
    return next((found for found in named if found is not None), 0)
