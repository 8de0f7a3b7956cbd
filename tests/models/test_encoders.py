"""Encoders: from weights and from a config, and what does not fit in one line."""

import pytest
import torch
from glue_files import WORDS, write_tokenizer

from es_repro.models import encoder
from es_repro.pretrained.tokenization import tokenizer_in, vocabulary_id

CONFIG = {
    "model_type": "bert", "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32,
}  # fmt: skip
FITS = {"num_outputs": 2, "vocab_size": len(WORDS), "max_length": 16}


@pytest.fixture
def folder(tmp_path):
    """A transformers folder with random weights and its tokenizer."""
    torch.manual_seed(7)
    encoder(config=CONFIG, **FITS).save_pretrained(tmp_path / "weights")
    return write_tokenizer(tmp_path / "weights")


def test_weights_are_the_folder_s_and_the_classifier_is_drawn(folder):
    original = encoder(str(folder), **FITS).state_dict()
    torch.manual_seed(1)
    other = encoder(str(folder), **FITS | {"num_outputs": 3}).state_dict()
    assert other["classifier.weight"].shape == (3, 16)
    for name, tensor in original.items():
        if not name.startswith("classifier"):
            assert torch.equal(tensor, other[name]), name
            assert tensor.dtype == torch.float32
    torch.manual_seed(1)
    again = encoder(str(folder), **FITS | {"num_outputs": 3}).state_dict()
    assert torch.equal(other["classifier.weight"], again["classifier.weight"])


def test_lower_layers_alone(folder):
    whole, half = encoder(str(folder), **FITS), encoder(str(folder), num_layers=1, **FITS)
    assert len(half.bert.encoder.layer) == 1
    kept = half.state_dict()
    assert all(torch.equal(kept[name], whole.state_dict()[name]) for name in kept)


def test_without_weights_the_seed_draws_it_all():
    first, second, third = ({}, {}, {})
    for seed, state in ((0, first), (0, second), (1, third)):
        torch.manual_seed(seed)
        state.update(encoder(config=CONFIG, **FITS).state_dict())
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(first[name], second[name])
    assert not torch.equal(first[name], third[name])


def test_albert_base_is_the_published_size(compose_run):
    from hydra.utils import instantiate

    make = instantiate(compose_run("model=albert_base", "model.weights=null").model)
    net = make(num_outputs=2, vocab_size=30000, max_length=128)
    classifier = 768 * 2 + 2
    assert sum(p.numel() for p in net.parameters()) - classifier == 11_683_584


def test_the_tokenizer_must_be_the_model_s(folder, tmp_path):
    own = vocabulary_id(tokenizer_in(folder))
    encoder(str(folder), vocabulary=own, **FITS)
    words = [*WORDS[:4], *reversed(WORDS[4:])]
    other = vocabulary_id(tokenizer_in(write_tokenizer(tmp_path / "other", words)))
    with pytest.raises(ValueError, match=r"^dataset.tokenizer: is not the one of model.weights="):
        encoder(str(folder), vocabulary=other, **FITS)
    with pytest.raises(ValueError, match=r"^dataset.tokenizer: has 99 ids, but the model embeds"):
        encoder(config=CONFIG, **FITS | {"vocab_size": 99})
    with pytest.raises(ValueError, match=r"^max_length=64: must be at most 32"):
        encoder(config=CONFIG, **FITS | {"max_length": 64})


def test_weights_that_are_none_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^model.weights=/nowhere/at/all: no such folder"):
        encoder("/nowhere/at/all", **FITS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: no encoder of transformers") as found:
        encoder(str(tmp_path / "empty"), **FITS)
    assert "\n" not in str(found.value)
    with pytest.raises(ValueError, match=r"^model.config.model_type=None: must be"):
        encoder(**FITS)
    with pytest.raises(ValueError, match=r"^model.config: "):
        encoder(config={"model_type": "no-such-model"}, **FITS)


def test_a_damaged_weight_file_is_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"weights: no encoder of transformers"):
        encoder(str(folder), **FITS)
