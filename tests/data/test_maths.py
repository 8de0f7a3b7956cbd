"""GSM8K and NuminaMath-CoT in the layouts that they are served in."""

import pandas as pd
import pytest

from es_repro.data import DataDamaged, DataNotFound, gsm8k, numinamath
from es_repro.data.maths import _boxed
from tests.data.problems import small_chat, write_gsm8k, write_numinamath

HERE = {"download": "never"}


def made(root, **other):
    return gsm8k(
        data_root=root, tokenizer=None, cache_root=root / "cache", vocab_size=280, **HERE, **other
    )


def test_gsm8k_s_calculator_goes_and_its_answer_is_boxed(tmp_path):
    text = "Tom sold 48/2 = <<48/2=24>>24 clips.\n#### 24"
    assert _boxed(text, tmp_path) == "Tom sold 48/2 = 24 clips.\nThe answer is $\\boxed{24}$."
    with pytest.raises(DataDamaged, match="does not end in '#### N'"):
        _boxed("It is 24.", tmp_path)


def test_gsm8k_in_full_and_in_part(tmp_path):
    write_gsm8k(tmp_path)
    whole = made(tmp_path, held=5)
    assert (whole.num_samples, len(whole.evaluation), whole.split) == (40, 5, "test")
    cut = made(tmp_path, split="validation", held=10, subset=0.5)
    assert (cut.num_samples, len(cut.evaluation), cut.split) == (20, 10, "validation")
    assert set(whole.facts) == {"vocab_size", "max_length", "pad_token_id", "eos_token_id"}
    assert whole.facts["vocab_size"] == 280


@pytest.mark.parametrize("place", ["numinamath", "numinamath/data", "AI-MO/NuminaMath-CoT/data"])
def test_numinamath_wherever_it_lies(tmp_path, place):
    tokenizer = tmp_path / "tokenizer"
    small_chat(tmp_path / "cache").tokenizer.save_pretrained(str(tokenizer))
    write_numinamath(tmp_path / place)
    data = numinamath(
        data_root=tmp_path,
        tokenizer=str(tokenizer),
        cache_root=tmp_path / "cache",
        subset=20,
        held=4,
        max_length=200,
        **HERE,
    )
    assert (data.num_samples, len(data.evaluation), data.split) == (20, 4, "validation")


def test_what_is_missing_or_broken_is_one_line(tmp_path):
    with pytest.raises(DataNotFound, match=r"openai/gsm8k: not found .* \(download=never\)$"):
        made(tmp_path)
    with pytest.raises(DataNotFound, match="AI-MO/NuminaMath-CoT: not found"):
        numinamath(data_root=tmp_path, tokenizer="none", cache_root=tmp_path, **HERE)
    write_gsm8k(tmp_path)
    path = tmp_path / "math" / "gsm8k_train.parquet"
    pd.DataFrame({"problem": ["a"]}).to_parquet(path)
    with pytest.raises(DataDamaged, match=r"has the columns .*; needs question and answer"):
        made(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataDamaged, match="no whole parquet file"):
        made(tmp_path)


def test_values_out_of_range_are_named(tmp_path):
    write_gsm8k(tmp_path)
    with pytest.raises(ValueError, match=r"^subset=0: must be an integer >= 1$"):
        made(tmp_path, subset=0)
    with pytest.raises(ValueError, match=r"^subset=1.5: must be in \(0, 1\]$"):
        made(tmp_path, subset=1.5)
    with pytest.raises(FileNotFoundError, match=r"^tokenizer=.*nowhere: no such folder"):
        gsm8k(data_root=tmp_path, tokenizer=str(tmp_path / "nowhere"), cache_root=tmp_path, **HERE)
