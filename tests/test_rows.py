"""Rows of images and of token sequences, taken and split."""

import pytest
import torch

from es_repro.rows import (
    Tokens,
    first_row,
    micro_batches,
    row_shape,
    same_rows,
    split_rows,
    take_rows,
)

LENGTHS = (3, 11, 8, 1)


def tokens(multiple=4, trims=False):
    ids = torch.zeros(4, 12, dtype=torch.int64)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = 10 * row + torch.arange(1, length + 1)
    return Tokens({"ids": ids, "mask": (ids > 0).long()}, torch.tensor(LENGTHS), multiple, trims)


def test_images_keep_their_memory_format():
    images = torch.randn(5, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    taken = take_rows(images, torch.tensor([4, 1]))
    assert torch.equal(taken, images[[4, 1]])
    assert taken.is_contiguous(memory_format=torch.channels_last)
    plain = take_rows(torch.arange(6).view(3, 2), torch.tensor([2]))
    assert plain.tolist() == [[4, 5]]


def test_sequences_that_are_taken_lose_the_padding_of_those_that_are_not():
    taken = take_rows(tokens(), torch.tensor([0, 3]))
    assert taken.fields["ids"].tolist() == [[1, 2, 3, 0], [31, 0, 0, 0]]
    assert taken.fields["mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert taken.lengths.tolist() == [3, 1]


def test_pieces_are_as_short_as_their_longest_row():
    pieces = split_rows(tokens(multiple=1), 2)
    assert [row_shape(piece) for piece in pieces] == [(11,), (8,)]
    assert [piece.lengths.tolist() for piece in pieces] == [[3, 11], [8, 1]]
    assert pieces[1].fields["ids"][1].tolist() == [31] + [0] * 7


@pytest.mark.parametrize("size", [1, 2, 3, 4, None])
def test_micro_batches_hold_every_row_once_in_order(size):
    index, targets = torch.arange(4), torch.arange(4) * 2
    pieces = list(micro_batches(index, tokens(), targets, size))
    assert torch.cat([ids for ids, _, _ in pieces]).tolist() == [0, 1, 2, 3]
    assert torch.cat([labels for _, _, labels in pieces]).tolist() == [0, 2, 4, 6]
    assert sum(int(rows.fields["mask"].sum()) for _, rows, _ in pieces) == sum(LENGTHS)


def test_one_row_stands_for_the_shape_of_all():
    assert row_shape(first_row(tokens())) == row_shape(tokens()) == (12,)
    assert row_shape(torch.zeros(2, 3, 4)) == row_shape(first_row(torch.zeros(2, 3, 4))) == (3, 4)


def test_equal_rows_are_equal_bit_for_bit():
    assert same_rows(tokens(), tokens())
    other = tokens()
    other.fields["ids"][2, 7] += 1
    assert not same_rows(tokens(), other)
    assert not same_rows(tokens(), torch.zeros(4, 12))
    assert same_rows(torch.ones(2), torch.ones(2))
