"""Tokenizers as the `tokenizers` package runs them, from the files that models come with."""

import zlib
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from es_repro.pretrained.hub import find_folder

__all__ = ["TOKENIZER_FILES", "load_tokenizer", "tokenizer_in", "vocabulary_id"]

TOKENIZER_FILES = ("tokenizer.json", "spiece.model")
NUMBER_COMMA_PENALTY = 100  # as transformers' converter: pieces like `9,` are never taken whole


def load_tokenizer(place: str, root: Path) -> Tokenizer:
    """The tokenizer that `dataset.tokenizer` names.

    Args:
        place: a SentencePiece model file of ALBERT's kind, a folder with `tokenizer.json` or
            `spiece.model`, `package:NAME`, or a repository on the hub; files and folders may be
            given relative to `root`.
        root: the data root.

    Raises:
        FileNotFoundError: it is not here and cannot be had.
        ValueError: a file that holds no tokenizer.
    """
    inside = root / place
    found = inside if inside.exists() else Path(place).expanduser()
    if found.is_file():
        return _read(found)
    if found.suffix in (".model", ".json"):
        raise FileNotFoundError(f"tokenizer={place}: no such file, nor under DATA_ROOT={root}")
    folder = found if found.is_dir() else find_folder("tokenizer", place, TOKENIZER_FILES)
    tokenizer = tokenizer_in(folder)
    if tokenizer is None:
        raise FileNotFoundError(f"tokenizer={place}: has neither {' nor '.join(TOKENIZER_FILES)}")
    return tokenizer


def tokenizer_in(folder: Path) -> Tokenizer | None:
    """The tokenizer that lies in a model's folder, or None.

    Raises:
        ValueError: a file that holds no tokenizer.
    """
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            return _read(folder / name)
    return None


def vocabulary_id(tokenizer: Tokenizer) -> int:
    """A checksum of the pairs (piece, id): equal for tokenizers that mean the same by an id."""
    pairs = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    return zlib.crc32(repr(pairs).encode())


def _read(path: Path) -> Tokenizer:
    try:
        tokenizer = _albert(path) if path.suffix == ".model" else Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` and protobuf raise bare ones of their own
        raise ValueError(
            f"tokenizer={path}: holds no tokenizer ({error}); fetch it again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _albert(path: Path) -> Tokenizer:
    """ALBERT's tokenizer from its SentencePiece model.

    transformers' converter splits on the user-defined pieces (`-`, `.`, ...) before it segments and
    so puts a word boundary behind each: a third of MRPC came out otherwise than SentencePiece has
    it. With their score of 0 the unigram model takes them whole by itself: on 32,000 sentences of
    GLUE one came out otherwise, by a tie of scores.
    """
    from transformers.convert_slow_tokenizer import import_protobuf  # here, for it takes a second

    spec = import_protobuf().ModelProto()
    spec.ParseFromString(path.read_bytes())
    pieces = [(piece.piece, _score(piece.piece, piece.score)) for piece in spec.pieces]
    names = [piece for piece, _ in pieces]
    ids = {name: names.index(name) for name in ("[CLS]", "[SEP]")}
    tokenizer = Tokenizer(models.Unigram(pieces, spec.trainer_spec.unk_id, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            *_character_map(spec.normalizer_spec.precompiled_charsmap),
            normalizers.Strip(),
            normalizers.Replace(Regex(r"\s+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=list(ids.items()),
    )
    special = [name for name in ("<pad>", "[CLS]", "[SEP]", "[MASK]") if name in names]
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in special])
    return tokenizer


def _character_map(compiled: bytes) -> list[normalizers.Normalizer]:
    return [normalizers.Precompiled(compiled)] if compiled else []


def _score(piece: str, score: float) -> float:
    number_comma = len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()
    return score - NUMBER_COMMA_PENALTY if number_comma else score
