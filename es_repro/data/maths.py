"""Maths problems with worked solutions: NuminaMath-CoT and GSM8K, as `conf/dataset/` calls them."""

import math
import re
from pathlib import Path
from typing import Literal

from es_repro.data.chat import Chat, load_tokenizer
from es_repro.data.conversations import Conversations, conversations
from es_repro.data.errors import DataDamaged, DataNotFound
from es_repro.data.responses import Draw, Pairs
from es_repro.data.small_bpe import small_bpe
from es_repro.pretrained.hub import fetch
from es_repro.selection.checks import as_choice, as_int, as_real

__all__ = ["gsm8k", "numinamath"]

Download = Literal["auto", "never"]
SplitName = Literal["test", "validation"]

# Folders under the data root, and the repositories of the hub that hold the same files.
NUMINAMATH, NUMINAMATH_HUB = "numinamath", "AI-MO/NuminaMath-CoT"
GSM8K_HUB = "openai/gsm8k"

CALCULATOR = re.compile(r"<<[^>]*>>")  # GSM8K's annotations: 48/2 = <<48/2=24>>24


def numinamath(
    *,
    data_root: str | Path,
    tokenizer: str | None,
    cache_root: str | Path,
    download: Download = "auto",
    max_length: int = 1024,
    subset: int | float | None = None,
    subset_seed: int = 0,
    held: int = 500,
) -> Conversations:
    """A uniform sample of NuminaMath-CoT, 859,494 competition problems with worked solutions.

    Args:
        data_root: holds `numinamath/` (or `numinamath/data/`) with parquet files of the columns
            problem and solution; else they come from the hub.
        tokenizer: a folder or a name on the hub.
        cache_root: a folder for tokens.
        download: `never` looks under the data root only.
        max_length: tokens of a sample; longer ones are left out before the sample is drawn.
        subset: how many rows (int) or which share of all (float) to train on; None: all that fit.
        subset_seed: of the sample and of the held-out cut.
        held: rows that are evaluated on and never trained on.

    Raises:
        DataNotFound: it is neither there nor to be had.
        DataDamaged: a file of it is broken.
        ValueError: a value outside its range, or a tokenizer that cannot be used.
    """
    as_choice("download", download, Download)
    if tokenizer is None:
        raise ValueError("tokenizer=None: must be the model's own, a folder or a name on the hub")
    root = Path(data_root).expanduser()
    places = root / NUMINAMATH, root / NUMINAMATH / "data", root / NUMINAMATH_HUB / "data"
    files = next((found for place in places if (found := sorted(place.glob("train*.parquet")))), [])
    if not files:
        where = f"train*.parquet in {NUMINAMATH}/ or {NUMINAMATH}/data/"
        copy = _fetched(NUMINAMATH_HUB, "data/train-*.parquet", root, download, where)
        files = sorted((copy / "data").glob("train*.parquet"))
    pairs = _read(files, "problem", "solution")
    count = _count(subset, len(pairs.problems))
    chat = Chat(load_tokenizer(tokenizer), tokenizer)
    draw = _draw(max_length, count, held, subset_seed)
    return conversations(pairs, None, chat, draw, Path(cache_root))


def gsm8k(
    *,
    data_root: str | Path,
    tokenizer: str | None,
    cache_root: str | Path,
    download: Download = "auto",
    split: SplitName = "test",
    vocab_size: int = 2048,
    max_length: int = 1024,
    subset: int | float | None = None,
    subset_seed: int = 0,
    held: int = 500,
) -> Conversations:
    """GSM8K: 7,473 and 1,319 grade-school problems; the final number stands in a box, as in MATH.

    Args:
        data_root: holds `math/gsm8k_{train,test}.parquet` with the columns question and answer;
            else they come from the hub.
        tokenizer: a folder or a name on the hub; None: a small BPE made of the training problems.
        cache_root: a folder for tokens and for that tokenizer.
        download: `never` looks under the data root only.
        split: evaluate on the test split or on a cut of the training one.
        vocab_size: tokens of that small BPE.
        max_length: tokens of a sample; longer ones are left out before the sample is drawn.
        subset: how many rows (int) or which share of all (float) to train on; None: all that fit.
        subset_seed: of the sample and of the validation cut.
        held: rows that are evaluated on: the first that fit.

    Raises:
        DataNotFound: it is neither there nor to be had.
        DataDamaged: a file of it is broken.
        ValueError: a value outside its range, or a tokenizer that cannot be used.
    """
    as_choice("download", download, Download)
    as_choice("split", split, SplitName)
    root = Path(data_root).expanduser()
    train, test = (_gsm8k_split(root, name, download) for name in ("train", "test"))
    if tokenizer is None:
        texts = [*train.problems, *train.solutions]
        chat = Chat(small_bpe(texts, vocab_size, Path(cache_root)), "small_bpe")
    else:
        chat = Chat(load_tokenizer(tokenizer), tokenizer)
    draw = _draw(max_length, _count(subset, len(train.problems)), held, subset_seed)
    return conversations(train, test if split == "test" else None, chat, draw, Path(cache_root))


def _gsm8k_split(root: Path, name: str, download: Download) -> Pairs:
    hub = root / "gsm8k" / "main" / f"{name}-00000-of-00001.parquet"
    places = root / "math" / f"gsm8k_{name}.parquet", hub
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        where = "math/gsm8k_train.parquet and math/gsm8k_test.parquet"
        copy = _fetched(GSM8K_HUB, f"main/{hub.name}", root, download, where)
        path = copy / "main" / hub.name
    found = _read([path], "question", "answer")
    return Pairs(found.origin, found.problems, [_boxed(x, path) for x in found.solutions])


def _boxed(answer: str, path: Path) -> str:
    steps, mark, number = answer.rpartition("####")
    if not mark:
        raise DataDamaged(f"{path}: an answer does not end in '#### N'; it is another data set")
    return f"{CALCULATOR.sub('', steps).strip()}\nThe answer is $\\boxed{{{number.strip()}}}$."


def _read(paths: list[Path], problem: str, solution: str) -> Pairs:
    import pyarrow as pa  # here, for most data sets do without it
    import pyarrow.parquet as pq

    problems: list[str] = []
    solutions: list[str] = []
    for path in paths:
        try:
            names = pq.read_schema(path).names
            if problem not in names or solution not in names:
                raise DataDamaged(
                    f"{path}: has the columns {names}; needs {problem} and {solution}"
                )
            table = pq.read_table(path, columns=[problem, solution], use_threads=False)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise DataDamaged(
                f"{path}: no whole parquet file ({reason}); fetch it again"
            ) from error
        problems += [text or "" for text in table[problem].to_pylist()]
        solutions += [text or "" for text in table[solution].to_pylist()]
    origin = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and its other shards"
    if not problems:
        raise DataDamaged(f"{origin}: holds no rows; fetch it again")
    return Pairs(origin, problems, solutions)


def _fetched(repository: str, pattern: str, root: Path, download: Download, where: str) -> Path:
    if download == "auto":
        try:
            return fetch(repository, (pattern,), kind="dataset")
        except OSError as error:
            reason = f"the download failed: {error}"
    else:
        reason = "download=never"
    raise DataNotFound(
        f"{repository}: not found under DATA_ROOT={root}; set DATA_ROOT to a folder that holds "
        f"{where} ({reason})"
    )


def _count(subset: int | float | None, rows: int) -> int | None:
    if isinstance(subset, float):
        return max(1, math.floor(as_real("subset", subset, "(0, 1]") * rows + 0.5))
    return None if subset is None else as_int("subset", subset, minimum=1)


def _draw(max_length: int, count: int | None, held: int, seed: int) -> Draw:
    return Draw(
        as_int("max_length", max_length), count, as_int("held", held), as_int("subset_seed", seed)
    )
