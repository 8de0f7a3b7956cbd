"""Which tokens carry loss, which rows are used, and what is said about the others."""

import pytest
import torch

from es_repro.data.chat import Chat
from es_repro.data.conversations import conversations
from es_repro.data.errors import DataDamaged
from es_repro.data.responses import IGNORED, Draw, Pairs, encode
from es_repro.selection import PlannedBatchSampler, create
from tests.data.problems import small_chat, sums


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    return small_chat(tmp_path_factory.mktemp("bpe"))


def pairs(count=40):
    return Pairs("made", *sums(count))


def test_the_response_alone_carries_loss(chat, tmp_path):
    problem, solution = "Add 1 and 2.", "It is 3."
    data = conversations(
        Pairs("made", [problem], [solution]),
        Pairs("made", [problem], [solution]),
        chat,
        Draw(200, None, 1),
        tmp_path,
    )
    ids, labels = data.train.fields["input_ids"], data.train.fields["labels"]
    prompt = chat.encode([chat.prompt(problem)])[0]

    decoded = chat.tokenizer.decode(ids.tolist())
    assert decoded == chat.prompt(problem) + f"{solution}<|im_end|>"
    assert decoded.startswith("<|im_start|>system\nSolve it step by step")
    assert labels[: len(prompt)].tolist() == [IGNORED] * len(prompt)
    assert labels[len(prompt) :].tolist() == ids[len(prompt) :].tolist()
    assert chat.tokenizer.decode(labels[len(prompt) :].tolist()) == f"{solution}<|im_end|>"
    assert data.train.targets.tolist() == [len(ids) - len(prompt)]
    assert int(ids[-1]) == chat.end_id == data.facts["eos_token_id"]


def test_batches_are_padded_with_labels_that_carry_none(chat, tmp_path):
    data = conversations(pairs(), None, chat, Draw(300, 16, 4), tmp_path)
    loader = data.loader(PlannedBatchSampler(create("baseline", 16, 2), 8), seed=0, device="cpu")
    loader.set_epoch(0)
    for index, inputs, targets in loader.batches():
        fields = inputs.fields
        padding = fields["attention_mask"] == 0
        assert padding.any()
        assert (fields["labels"][padding] == IGNORED).all()
        assert (fields["input_ids"][padding] == chat.pad_id).all()
        assert torch.equal((fields["labels"] != IGNORED).sum(1), targets)
        assert torch.equal(loader.lengths[index], targets)
        again, _ = loader.rows(index)
        assert torch.equal(again.fields["labels"], fields["labels"])


def test_rows_that_are_too_long_or_empty_are_counted_not_cut(chat):
    long = "word " * 300
    found, reasons = encode(
        Pairs("made", ["a", "b", long, "c"], ["one", " \n", "x", long]), [0, 1, 2, 3], chat, 150
    )
    assert reasons == ["", "no_response", "too_long", "too_long"]
    assert len(found[0][0]) + len(found[0][1]) <= 150


def test_the_limit_is_the_last_length_that_fits(chat):
    one = Pairs("made", ["a"], ["one"])
    (tokens,), _ = encode(one, [0], chat, 10**6)
    length = len(tokens[0]) + len(tokens[1])
    assert encode(one, [0], chat, length)[1] == [""]
    assert encode(one, [0], chat, length - 1)[1] == ["too_long"]


def test_the_sample_is_uniform_over_the_rows_that_fit_and_keyed_by_its_seed(chat, tmp_path):
    source = pairs(40)
    limit = 115
    fits = [not reason for reason in encode(source, range(40), chat, limit)[1]]
    assert 10 < sum(fits) < 40
    hits = torch.zeros(40)
    draws = 200
    for seed in range(draws):
        data = conversations(source, None, chat, Draw(limit, 4, 1, seed), tmp_path)
        problems = [texts_of(data, row, chat) for row in range(4)]
        assert len(set(problems)) == 4
        for problem in problems:
            hits[source.problems.index(problem)] += 1
    assert (hits[~torch.tensor(fits)] == 0).all()
    expected = draws * 4 / sum(fits)
    # Each row: at most binomial; 5 standard deviations, false alarm < 1e-4 over all rows.
    assert ((hits[torch.tensor(fits)] - expected).abs() < 5 * expected**0.5).all()


def texts_of(data, row, chat):
    begin, end = data.train.offsets[row : row + 2].tolist()
    text = chat.tokenizer.decode(data.train.fields["input_ids"][begin:end].tolist())
    return text.split("<|im_start|>user\n")[1].split("<|im_end|>")[0]


def test_held_out_rows_are_never_trained_on_and_do_not_depend_on_the_count(chat, tmp_path):
    few = conversations(pairs(), None, chat, Draw(300, 5, 6), tmp_path)
    many = conversations(pairs(), None, chat, Draw(300, 30, 6), tmp_path)
    assert torch.equal(few.evaluation.fields["input_ids"], many.evaluation.fields["input_ids"])
    assert few.split == "validation"
    whole = conversations(pairs(), None, chat, Draw(300, None, 6), tmp_path)
    assert (whole.num_samples, len(whole.evaluation)) == (34, 6)


def test_tokens_are_made_once(chat, tmp_path, monkeypatch, caplog):
    first = conversations(pairs(), None, chat, Draw(115, 5, 2), tmp_path)
    assert "are longer than 115 tokens" in caplog.text
    assert first.notes["dropped_too_long"] > 0

    def fail(*_):
        raise AssertionError("tokenised again")

    with monkeypatch.context() as patch:
        patch.setattr("es_repro.data.conversations.tokenise", fail)
        again = conversations(pairs(), None, chat, Draw(115, 5, 2), tmp_path)
    assert again.fingerprint == first.fingerprint
    assert again.notes == first.notes
    (kept,) = tmp_path.glob("tokens-*.pt")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 255
    kept.write_bytes(content)
    assert (
        conversations(pairs(), None, chat, Draw(115, 5, 2), tmp_path).fingerprint
        == first.fingerprint
    )
    assert "damaged; made again" in caplog.text


def test_what_cannot_be_used_is_one_line(chat, tmp_path):
    with pytest.raises(DataDamaged, match="no row has a response and max_length=3"):
        conversations(pairs(), None, chat, Draw(3, None, 2), tmp_path)
    with pytest.raises(ValueError, match=r"^subset=500: must be at most 38: so many rows of made"):
        conversations(pairs(), None, chat, Draw(300, 500, 2), tmp_path)
    with pytest.raises(ValueError, match=r"^held=0: must be at least 1$"):
        Draw(10, None, 0)
    with pytest.raises(ValueError, match=r"^held=40: must be fewer than the 40 rows that fit$"):
        conversations(pairs(), None, chat, Draw(300, None, 40), tmp_path)


def test_a_tokenizer_needs_a_template_whose_prompt_opens_the_conversation(chat):
    bare = type(chat.tokenizer).from_pretrained(chat.tokenizer.name_or_path)
    bare.chat_template = None
    with pytest.raises(ValueError, match=r"^tokenizer=bare: must have a chat template"):
        Chat(bare, "bare")
    bare.chat_template = "{% for m in messages %}{{ loop.length }}{{ m.content }}{% endfor %}"
    with pytest.raises(ValueError, match="prompt is the beginning of the whole conversation"):
        Chat(bare, "bare")
