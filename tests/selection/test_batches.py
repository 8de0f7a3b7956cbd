"""Rows of batches of every make."""

from collections import UserDict, namedtuple

import pytest
import torch

from es_repro.selection.batches import take_rows

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


def test_an_array_is_no_tensor_but_a_number_of_numpy_is_a_number():
    numpy = pytest.importorskip("numpy")
    assert take_rows({"x": COLUMN, "scale": numpy.float32(2)}, ROWS)["scale"] == 2
    with pytest.raises(ValueError, match=r"^batch\['x'\]='ndarray': must be a tensor, a list"):
        take_rows({"x": numpy.zeros(4)}, ROWS)


def test_anything_else_is_refused_by_its_place():
    with pytest.raises(ValueError, match=r"^batch\[0\]\['x'\]='object': must be a tensor, a list"):
        take_rows([{"x": object()}], ROWS)


@pytest.mark.parametrize(
    ("batch", "rows", "message"),
    [
        ((COLUMN, torch.ones(3)), None, r"len\(batch\[1\]\)=3: must be 4, the rows of the batch"),
        ({"x": COLUMN, "names": ["a"]}, None, r"len\(batch\['names'\]\)=1: must be 4"),
        ([["a", "b"], COLUMN], None, r"len\(batch\[1\]\)=4: must be 2"),
        (COLUMN, 5, r"len\(batch\)=4: must be 5"),
    ],
)
def test_parts_of_other_lengths_are_refused(batch, rows, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        take_rows(batch, ROWS[:1], rows)


def test_what_has_no_rows_goes_whole():
    assert take_rows({"scale": 0.5, "name": "train", "none": None, "empty": []}, ROWS) == {
        "scale": 0.5, "name": "train", "none": None, "empty": [],
    }  # fmt: skip
