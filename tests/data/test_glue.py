"""GLUE from files in the hub's layout: eight tasks, tokens by hand, what is wrong in one line."""

import pyarrow as pa
import pytest
import torch
from glue_files import WORDS, write_split, write_task, write_tokenizer
from tokenizers import Tokenizer

from es_repro.data import DataDamaged, DataNotFound, glue
from es_repro.data.glue import GLUE_TASKS


@pytest.fixture
def make(tmp_path):
    """Read a task below `tmp_path`, which is written where it is not there yet."""
    tokenizer = write_tokenizer(tmp_path / "tokenizer")

    def read(name="cola", **changes):
        if not (tmp_path / "glue" / name).is_dir() and changes.pop("write", True):
            write_task(tmp_path, name)
        settings = {
            "tokenizer": str(tokenizer), "data_root": tmp_path, "cache_root": tmp_path / "cache",
            "download": "never",
        }  # fmt: skip
        return glue(name, **settings | changes)

    return read


def row(split, i):
    span = slice(*split.offsets[i : i + 2].tolist())
    return [WORDS[token] for token in split.fields["input_ids"][span]]


@pytest.mark.parametrize("name", list(GLUE_TASKS))
def test_every_task_reads(make, name):
    data = make(name)
    classes = GLUE_TASKS[name].num_classes
    assert (data.num_samples, len(data.evaluation), data.split) == (24, 9, "test")
    assert data.facts["num_outputs"] == (classes or 1)
    assert data.facts.get("num_classes") == classes
    assert data.facts["vocab_size"] == len(WORDS)
    assert data.train.targets.dtype == (torch.int64 if classes else torch.float32)
    assert data.has_classes == (classes is not None)


def test_a_sentence_and_a_pair_by_hand(make):
    single, pair = make("cola").train, make("mrpc").train
    assert row(single, 2) == ["[CLS]", "c", "d", "e", "[SEP]"]
    assert row(pair, 0) == ["[CLS]", "a", "[SEP]", "a", "b", "[SEP]"]
    span = slice(*pair.offsets[:2].tolist())
    assert pair.fields["token_type_ids"][span].tolist() == [0, 0, 0, 1, 1, 1]


def test_long_samples_are_cut_the_longer_text_first(make, tmp_path):
    rows = [("a b c d e f", "g"), ("a", "b")]
    for split in ("train", "validation"):
        labels = pa.array([0, 1])
        path = tmp_path / "glue" / "rte" / f"{split}.parquet"
        write_split(path, ("sentence1", "sentence2"), rows, labels)
    data = make("rte", max_length=8)
    assert row(data.train, 0) == ["[CLS]", "a", "b", "c", "d", "[SEP]", "g", "[SEP]"]
    assert row(data.train, 1) == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]


def test_a_tokenizer_without_kinds_gives_none(make, tmp_path):
    plain = write_tokenizer(tmp_path / "plain", paired=False)
    assert set(make("mrpc", tokenizer=str(plain)).train.fields) == {"input_ids"}


def test_subsets_cuts_and_noise_keep_texts_and_labels_together(make):
    whole = make("cola")
    labels = {tuple(row(whole.train, i)): int(whole.train.targets[i]) for i in range(10)}
    part = make("cola", split="validation", validation=0.25, subset=10)
    assert (len(part.train), len(part.evaluation), part.split) == (10, 6, "validation")
    assert part.train.targets.bincount().tolist() == [5, 5]
    for split in (part.train, part.evaluation):
        for i in range(len(split)):
            assert labels[tuple(row(split, i))] == int(split.targets[i])
    noisy = make("cola", label_noise=1.0)
    assert torch.equal(noisy.train.targets, 1 - whole.train.targets)
    assert torch.equal(noisy.evaluation.targets, whole.evaluation.targets)


def test_numbers_are_cut_uniformly_and_have_no_noise(make):
    part = make("stsb", split="validation", validation=0.25, subset=0.5)
    assert (len(part.train), len(part.evaluation)) == (9, 6)
    whole = make("stsb").train.targets.tolist()
    assert set(part.train.targets.tolist()) <= set(whole)
    with pytest.raises(ValueError, match=r"^label_noise=0.1: must be 0: the labels of stsb"):
        make("stsb", label_noise=0.1)


def test_shards_of_the_hub_read_as_one(make, tmp_path):
    whole = make("cola").fingerprint
    import pyarrow.parquet as pq

    path = tmp_path / "glue" / "cola" / "train.parquet"
    table = pq.read_table(path)
    path.unlink()
    for i, piece in enumerate((table.slice(0, 7), table.slice(7))):
        pq.write_table(piece, path.with_name(f"train-{i:05d}-of-00002.parquet"))
    assert make("cola").fingerprint == whole


def test_the_hub_is_asked_where_nothing_lies_here(make, tmp_path, monkeypatch):
    import huggingface_hub

    folder = write_task(tmp_path / "hub", "mnli")
    (folder / "train.parquet").rename(folder / "train-00000-of-00001.parquet")
    held = folder / "validation_matched.parquet"
    held.rename(folder / "validation_matched-00000-of-00001.parquet")
    asked = {}

    def snapshot(repository, **more):
        asked.update(more, repository=repository)
        return str(folder.parent)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert make("mnli", write=False, download="auto").num_samples == 24
    assert (asked["repository"], asked["repo_type"]) == ("nyu-mll/glue", "dataset")
    assert asked["allow_patterns"] == ["mnli/train-*.parquet", "mnli/validation_matched-*.parquet"]


def test_no_network_is_one_line(make, monkeypatch):
    import huggingface_hub

    def fail(*args, **more):
        raise ConnectionError("no route to the hub\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(DataNotFound, match=r"qnli: not found under DATA_ROOT=.*no route") as found:
        make("qnli", write=False, download="auto")
    assert "\n" not in str(found.value)
    with pytest.raises(DataNotFound, match=r"^tokenizer=someone/model: neither a folder here nor"):
        make("cola", tokenizer="someone/model")


def test_bad_input_is_named(make, tmp_path):
    with pytest.raises(ValueError, match=r"^name='wnli': must be 'cola' or 'sst2'"):
        make("wnli", write=False)
    with pytest.raises(DataNotFound, match=r"^tokenizer=here.model: no such file, nor under DATA"):
        make(tokenizer="here.model")
    with pytest.raises(DataNotFound, match="no such folder"):
        make(tokenizer="/nowhere/at/all")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match=r"broken.json: holds no tokenizer"):
        make(tokenizer="broken.json")
    with pytest.raises(ValueError, match=r"^max_length=3: must be an integer >= 8"):
        make(max_length=3)
    with pytest.raises(ValueError, match=r"^subset=99: must be a count in \[2, 24\]"):
        make(subset=99)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p, _: p.write_bytes(p.read_bytes()[:-40]), "no whole parquet file"),
        (lambda p, _: p.unlink(), "no train parquet file beside the other"),
        (lambda p, _: write_split(p, ("text",), [("a",)], pa.array([0])), "no sentence"),
        (lambda p, c: write_split(p, c, [("a",), (None,)], pa.array([0, 1])), "must hold text"),
        (lambda p, c: write_split(p, c, [("a",)], pa.array([0.5])), "must hold a class id"),
        (lambda p, c: write_split(p, c, [("a",), ("b",)], pa.array([0, 2])), "labels run from"),
        (lambda p, c: write_split(p, c, [("a",), ("b",)], pa.array([0, -1])), "labels run from"),
        (lambda p, c: write_split(p, c, [], pa.array([], pa.int64())), "holds no rows|must hold"),
    ],
)
def test_damaged_files_are_named(make, tmp_path, spoil, message):
    folder = write_task(tmp_path, "cola")
    spoil(folder / "train.parquet", ("sentence",))
    with pytest.raises(DataDamaged, match=message):
        make("cola")


@pytest.mark.parametrize("label", [5.5, -0.1, float("nan")])
def test_similarities_lie_within_their_scale(make, tmp_path, label):
    path = write_task(tmp_path, "stsb") / "train.parquet"
    columns = ("sentence1", "sentence2")
    write_split(path, columns, [("a", "b"), ("c", "d")], pa.array([1.0, label], pa.float32()))
    with pytest.raises(DataDamaged, match=r"not within 0\.\.5"):
        make("stsb")


def test_tokens_are_made_once_and_a_damaged_file_is_made_again(make, tmp_path, monkeypatch, caplog):
    first = make("cola").fingerprint
    files = sorted((tmp_path / "cache" / "tokens").iterdir())
    assert len(files) == 2

    def refuse(*args, **more):
        raise AssertionError("tokenised again")

    with monkeypatch.context() as patched:
        patched.setattr("es_repro.data.token_cache._encode", refuse)
        assert make("cola").fingerprint == first
        assert make("cola", subset=10).num_samples == 10
    whole = files[0].read_bytes()
    flipped = whole.replace(
        torch.load(files[0])["tensors"]["offsets"].numpy().tobytes(), b"\1" * 8, 1
    )
    for spoilt in (whole[:100], b"", b"\1" + whole, flipped):
        files[0].write_bytes(spoilt)
        caplog.clear()
        assert make("cola").fingerprint == first
        assert "damaged" in caplog.text
        assert files[0].read_bytes() == whole
    assert make("cola", max_length=16).fingerprint == first  # nothing is that long: equal tokens
    assert len(list((tmp_path / "cache" / "tokens").iterdir())) == 4


def test_another_vocabulary_is_another_fact(make, tmp_path):
    other = write_tokenizer(tmp_path / "other", [*WORDS[:4], *reversed(WORDS[4:])])
    first, second = make(), make(tokenizer=str(other))
    assert first.facts["vocab_size"] == second.facts["vocab_size"]
    assert first.facts["vocabulary"] != second.facts["vocabulary"]
    assert first.fingerprint != second.fingerprint
    assert Tokenizer.from_file(str(other / "tokenizer.json")).get_vocab_size() == len(WORDS)
