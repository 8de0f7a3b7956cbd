"""Rows of batches of every make."""

from collections import UserDict, namedtuple

import pytest
import torch

from es_repro.advise import take_rows

ROWS = torch.tensor([0, 3])
COLUMN = torch.arange(8).reshape(4, 2)
TAKEN = [[0, 1], [6, 7]]


def test_tensors_give_up_rows_and_keep_their_memory_format():
    images = torch.rand(4, 3, 5, 5).to(memory_format=torch.channels_last)
    taken = take_rows(images, ROWS)

    assert torch.equal(taken, images[ROWS])
    assert taken.is_contiguous(memory_format=torch.channels_last)
    assert take_rows(COLUMN, ROWS).tolist() == TAKEN
    assert take_rows(torch.tensor(3.0), ROWS) == 3


def test_tuples_lists_and_mappings_give_up_those_of_their_members():
    Pair = namedtuple("Pair", ["x", "names"])
    batch = {"pair": Pair(COLUMN, ["a", "b", "c", "d"]), "list": [COLUMN, 7], "scale": 0.5}
    taken = take_rows(batch, ROWS)

    assert taken["pair"].x.tolist() == TAKEN
    assert taken["pair"].names == ["a", "d"]
    assert isinstance(taken["pair"], Pair)
    assert taken["list"][0].tolist() == TAKEN
    assert taken["list"][1] == 7
    assert taken["scale"] == 0.5
    assert batch["list"][0] is COLUMN


def test_mappings_keep_their_class():
    class Encoding(UserDict):
        pass

    batch = Encoding({"input_ids": COLUMN})
    taken = take_rows(batch, ROWS)
    assert isinstance(taken, Encoding)
    assert taken["input_ids"].tolist() == TAKEN
    assert batch["input_ids"] is COLUMN


def test_tokenizers_encodings_too():
    transformers = pytest.importorskip("transformers")
    taken = take_rows(transformers.BatchEncoding({"input_ids": COLUMN}), ROWS)
    assert taken.input_ids.tolist() == TAKEN


def test_anything_else_is_refused():
    with pytest.raises(TypeError, match="rows of a object"):
        take_rows({"x": object()}, ROWS)
