"""The token loader: padding by hand, planned ids once, equal rows by id, nothing that waits."""

import pytest
import torch

from es_repro.data import DataDamaged, Sequences, TokenData, TokenLoader, pack
from es_repro.rows import same_rows
from es_repro.selection import PlannedBatchSampler, create

SAMPLES = [[11, 12, 13], [21], [31, 32, 33, 34, 35], [41, 42]]


def small(**changes):
    labels = [[-100, *sample[1:]] for sample in SAMPLES]
    split = pack({"input_ids": SAMPLES, "labels": labels}, torch.tensor([0, 1, 0, 1]))
    settings = {
        "split": "test", "facts": {"num_classes": 2}, "has_classes": True, "multiple": 4,
        "padding": {"labels": -100},
    }  # fmt: skip
    return TokenData(train=split, evaluation=split.take(torch.tensor([2, 0])), **settings | changes)


def large(n=50):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 30, (n,), generator=generator)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    ids = torch.randint(1, 900, (int(offsets[-1]),), generator=generator, dtype=torch.int32)
    split = Sequences({"input_ids": ids, "token_type_ids": ids % 2}, offsets, torch.randn(n))
    return TokenData(train=split, evaluation=split, split="validation", facts={})


def loader_of(data, *, method="baseline", batch=16, device="cpu", epoch=0):
    settings = {"prune_ratio": 0.4} if method == "random" else {}
    selector = create(method, data.num_samples, 10, seed=0, **settings)
    loader = TokenLoader(data, PlannedBatchSampler(selector, batch, seed=0), device=device)
    loader.set_epoch(epoch)
    return loader


def test_a_batch_is_padded_to_its_longest_row_by_hand():
    loader = loader_of(small(), batch=2)
    (index, inputs, targets), _ = loader.visit(torch.tensor([1, 0, 2, 3]), 2)
    assert index.tolist() == [1, 0]
    assert targets.tolist() == [1, 0]
    assert inputs.lengths.tolist() == [1, 3]
    assert {name: field.tolist() for name, field in inputs.fields.items()} == {
        "input_ids": [[21, 0, 0, 0], [11, 12, 13, 0]],
        "labels": [[-100, -100, -100, -100], [-100, 12, 13, -100]],
        "attention_mask": [[1, 0, 0, 0], [1, 1, 1, 0]],
    }
    assert all(field.dtype == torch.int64 for field in inputs.fields.values())


def test_padded_lengths_are_multiples():
    loader = loader_of(small(), batch=4)
    shapes = {inputs.padded_length for _, inputs, _ in loader.batches()}
    assert shapes == {8}  # the longest has five tokens
    loader = loader_of(small(multiple=1), batch=4)
    assert {inputs.padded_length for _, inputs, _ in loader.batches()} == {5}


@pytest.mark.parametrize("batch", [1, 7, 16, 64])
@pytest.mark.parametrize("method", ["baseline", "random"])
def test_every_planned_id_once_and_rows_agree_bit_for_bit(batch, method):
    data = large()
    loader = loader_of(data, method=method, batch=batch)
    visited = []
    for index, inputs, targets in loader.batches():
        again, same_targets = loader.rows(index)
        assert same_rows(inputs, again)
        assert torch.equal(inputs.lengths, again.lengths)
        assert torch.equal(targets, same_targets)
        assert torch.equal(targets, data.train.targets[index])
        visited += index.tolist()
    assert sorted(visited) == sorted(loader.plan.indices.tolist())
    assert len(list(loader.batches())) == len(loader)


def test_a_sample_out_of_place_would_be_noticed():
    loader = loader_of(large())
    index, inputs, _ = next(loader.batches())
    assert not same_rows(inputs, loader.rows(index.roll(1))[0])


def test_an_epoch_goes_on_in_its_middle():
    loader = loader_of(large())
    whole = [index.tolist() for index, _, _ in loader.batches()]
    assert [index.tolist() for index, _, _ in loader.batches(start=2)] == whole[2:]
    assert list(loader.batches(start=len(loader))) == []
    assert list(loader.visit(torch.arange(0), 4)) == []


def test_evaluation_is_in_order():
    loader = loader_of(small())
    (first, targets), (second, _) = loader.evaluation(1)
    assert first.fields["input_ids"].tolist() == [[31, 32, 33, 34, 35, 0, 0, 0]]
    assert second.fields["input_ids"].tolist() == [[11, 12, 13, 0]]
    assert targets.tolist() == [0]


def test_labels_are_counted_where_there_are_classes():
    assert loader_of(small()).labels.tolist() == [0, 1, 0, 1]
    assert loader_of(large()).labels is None
    assert loader_of(large()).split == "validation"


def test_nothing_on_the_path_reads_from_the_device():
    """Meta tensors have no values to read; what needs one raises."""
    loader = loader_of(large(), device="meta")
    for index, inputs, targets in [*loader.batches(), *loader.visit(torch.arange(5), 2)]:
        assert {x.device.type for x in (index, targets, *inputs.fields.values())} == {"meta"}
        assert inputs.lengths.device.type == "cpu"


def test_taking_rows_keeps_each_sample_whole():
    taken = small().train.take(torch.tensor([3, 0]), torch.tensor([5.0, 6.0]))
    assert taken.fields["input_ids"].tolist() == [41, 42, 11, 12, 13]
    assert taken.offsets.tolist() == [0, 2, 5]
    assert taken.targets.tolist() == [5.0, 6.0]


def test_the_fingerprint_is_the_content():
    first, second = small(), small()
    assert first.fingerprint == second.fingerprint
    second.train.fields["input_ids"][3] += 1
    assert (
        small().fingerprint
        != TokenData(
            train=second.train, evaluation=second.evaluation, split="test", facts={}
        ).fingerprint
    )


def test_parts_that_disagree_are_refused():
    with pytest.raises(DataDamaged, match="sample 1 has no tokens"):
        pack({"input_ids": [[1], []]}, torch.zeros(2))
    with pytest.raises(DataDamaged, match="field labels"):
        pack({"input_ids": [[1, 2]], "labels": [[1]]}, torch.zeros(1))
    with pytest.raises(DataDamaged, match="must agree"):
        pack({"input_ids": [[1, 2]]}, torch.zeros(2))


def test_asking_before_an_epoch_is_set_says_so():
    selector = create("baseline", 4, 10)
    loader = TokenLoader(small(), PlannedBatchSampler(selector, 2), device="cpu")
    for ask in (lambda: loader.plan, lambda: next(loader.batches())):
        with pytest.raises(RuntimeError, match="no epoch is planned"):
            ask()
