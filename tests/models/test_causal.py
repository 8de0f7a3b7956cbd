"""Token losses in chunks, against transformers' own loss."""

import pytest
import torch
from guards import NoWaiting
from transformers import AlbertConfig, AlbertForMaskedLM

from es_repro.models import pretrained_causal, small_qwen2
from es_repro.models.causal import TokenLosses

FACTS = {"vocab_size": 60, "max_length": 32, "pad_token_id": 0, "eos_token_id": 1}


def tiny(**other):
    torch.manual_seed(0)
    return small_qwen2(width=16, layers=2, heads=2, **other, **FACTS)


def batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 60, (3, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 9:], ids[1, 9:] = 0, 0
    labels = ids.clone()
    labels[0, :4], labels[1, :6], labels[2, :11] = -100, -100, -100
    labels[mask == 0] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.mark.parametrize("chunk", [1, 5, 33, 1000])
def test_the_mean_over_tokens_is_transformers_own_loss(chunk):
    model = tiny(chunk_tokens=chunk)
    losses, fields = model(**batch()), batch()
    known = fields["labels"][:, 1:] != -100

    assert losses.dtype == torch.float32
    assert (losses[~known] == 0).all()
    own = model.language_model(**fields).loss
    torch.testing.assert_close(losses.sum() / known.sum(), own)
    alone = [
        model.language_model(**{name: x[row : row + 1] for name, x in fields.items()}).loss
        for row in range(3)
    ]
    torch.testing.assert_close(losses.sum(1) / known.sum(1), torch.stack(alone))


@pytest.mark.parametrize("grad", [False, True])
def test_no_pass_waits_for_the_device(grad):
    model, fields = tiny(), batch()
    with torch.set_grad_enabled(grad), NoWaiting():
        model(**fields)


def test_attention_that_knows_the_mask_alone_is_given_it():
    model = tiny()
    expected = model(**batch())
    eager = tiny()
    eager.language_model.set_attn_implementation("eager")
    again = TokenLosses(eager.language_model)
    torch.testing.assert_close(again(**batch()), expected)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_chunks_and_recomputed_activations_change_no_gradient(checkpointing):
    found, passes = [], []
    for how in (
        {"chunk_tokens": 1000},
        {"chunk_tokens": 5, "activation_checkpointing": checkpointing},
    ):
        model, seen = tiny(**how), []
        model.language_model.base_model.layers[0].mlp.register_forward_pre_hook(
            lambda *_, seen=seen: seen.append(1)
        )
        model.train()
        model(**batch()).sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        passes.append(len(seen))
    torch.testing.assert_close(found[1], found[0])
    assert passes == [1, 2 if checkpointing else 1]


def test_no_more_than_a_chunk_of_logits_exists_at_once():
    model, seen = tiny(chunk_tokens=7), []
    head = model.language_model.get_output_embeddings()
    head.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape))
    model(**batch()).sum().backward()
    assert {shape[0] for shape in seen} == {7, 5}  # 33 = 4 * 7 + 5
    assert len(seen) == 10  # forward, and again in the backward pass
    with torch.no_grad():
        model(**batch())
    assert len(seen) == 15


def test_an_exported_model_is_read_again(tmp_path):
    model = tiny()
    model.save_pretrained(tmp_path)
    again = pretrained_causal(str(tmp_path), vocab_size=60)
    with torch.no_grad():
        assert torch.equal(again(**batch()), model(**batch()))
    assert next(again.parameters()).dtype == torch.float32


def test_a_tokenizer_that_does_not_fit_is_named(tmp_path):
    tiny().save_pretrained(tmp_path)
    for vocab_size in (61, 151665):
        with pytest.raises(
            ValueError, match=rf"has {vocab_size} tokens and model.weights=.* has 60"
        ):
            pretrained_causal(str(tmp_path), vocab_size=vocab_size)


def test_weights_that_cannot_be_used_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=r"^model.weights=None: must be a folder or a name"):
        pretrained_causal(None, vocab_size=60)
    with pytest.raises(FileNotFoundError, match=r"^model.weights=.*none: no such folder"):
        pretrained_causal(str(tmp_path / "none"), vocab_size=60)
    with pytest.raises(ValueError, match=r"^model.weights=.*: must be a causal language model"):
        pretrained_causal(str(tmp_path), vocab_size=60)
    other = AlbertForMaskedLM(
        AlbertConfig(vocab_size=60, hidden_size=16, num_attention_heads=2, intermediate_size=16)
    )
    other.save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"^model.weights=.*: must be a causal language model"
    ) as e:
        pretrained_causal(str(tmp_path), vocab_size=60)
    assert "\n" not in str(e.value)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match=r"^width=18: must be a multiple of 4, twice the heads$"):
        small_qwen2(width=18, heads=2, **FACTS)
    with pytest.raises(ValueError, match=r"^chunk_tokens=0: must be an integer >= 1$"):
        tiny(chunk_tokens=0)
