"""The tokenizer that needs no network."""

import pytest

from es_repro.data.small_bpe import small_bpe
from tests.data.problems import sums

TEXTS = [text for part in sums(30) for text in part]


def test_the_same_texts_make_the_same_tokens_and_others_do_not(tmp_path):
    first = small_bpe(TEXTS, 280, tmp_path / "a")
    second = small_bpe(TEXTS, 280, tmp_path / "b")
    assert first.get_vocab() == second.get_vocab()
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()
    assert len(small_bpe(TEXTS, 285, tmp_path / "a")) == 285
    assert len(list((tmp_path / "a").glob("bpe-*"))) == 2


@pytest.mark.parametrize("text", ["Tom has 12 apples.", "π ≈ 3.14 \\frac{1}{2}\n", "🍎 été"])
def test_any_text_survives(tmp_path, text):
    made = small_bpe(TEXTS, 280, tmp_path)
    assert made.decode(made(text)["input_ids"]) == text


def test_digits_stand_alone_and_chat_tokens_are_one_each(tmp_path):
    made = small_bpe(TEXTS, 280, tmp_path)
    assert made.tokenize("1234") == ["1", "2", "3", "4"]
    ids = made("<|im_start|>user\n<|im_end|><|endoftext|>")["input_ids"]
    assert [ids[0], *ids[-2:]] == [1, 2, 0]
    assert (made.pad_token_id, made.eos_token_id) == (0, 2)


def test_it_is_made_once(tmp_path, monkeypatch):
    small_bpe(TEXTS, 280, tmp_path)
    monkeypatch.setattr("es_repro.data.small_bpe._train", None)
    assert len(small_bpe(TEXTS, 280, tmp_path)) == 280


def test_all_bytes_need_room(tmp_path):
    with pytest.raises(ValueError, match=r"^vocab_size=258: must be an integer >= 259$"):
        small_bpe(TEXTS, 258, tmp_path)
