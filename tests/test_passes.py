"""FLOPs counted on shapes alone are those of the model itself."""

import pytest
import torch

from es_repro.models import encoder, masked_autoencoder, mlp, small_qwen2, small_resnet
from es_repro.parallel.sharding import outline
from es_repro.passes import ForwardFlops
from es_repro.rows import Tokens
from es_repro.tasks import Classification, MaskedAutoencoding, SequenceClassification, Sft

LABELS = torch.zeros(3, dtype=torch.int64)


def images(size, channels=3):
    return torch.rand(3, channels, size, size, generator=torch.Generator().manual_seed(0))


def sentences(padding, *more):
    """Three rows of 16 tokens, the last `padding` of them none."""
    mask = (torch.arange(16) < 16 - padding).long().repeat(3, 1)
    fields = {"input_ids": mask * 7, "attention_mask": mask} | dict.fromkeys(more, mask * 7)
    return Tokens(fields, torch.full((3,), 16 - padding))


def small_encoder(kind, **more):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = {"model_type": kind, "intermediate_size": 64, "vocab_size": 64} | sizes | more
    return encoder(config=config, num_outputs=2, vocab_size=60, max_length=32)


CASES = {
    "mlp": lambda: (
        mlp(hidden=[16], num_classes=2, image_size=8, in_channels=1),
        Classification(num_classes=2),
        images(8, 1),
    ),
    "resnet": lambda: (
        small_resnet(num_classes=2, in_channels=3, image_size=16),
        Classification(num_classes=2),
        images(16),
    ),
    "mae": lambda: (
        masked_autoencoder(
            image_size=16, in_channels=3, patch_size=4, width=16, depth=1, heads=2,
            decoder_width=16, decoder_depth=1, decoder_heads=2,
        ),
        MaskedAutoencoding(),
        images(16),
    ),
    "albert": lambda: (
        small_encoder("albert", embedding_size=16),
        SequenceClassification(num_classes=2),
        sentences(5),
    ),
    "qwen2": lambda: (
        small_qwen2(vocab_size=64, max_length=32, pad_token_id=0, eos_token_id=1),
        Sft(),
        sentences(0, "labels"),
    ),
    "padded qwen2": lambda: (
        small_qwen2(vocab_size=64, max_length=32, pad_token_id=0, eos_token_id=1),
        Sft(),
        sentences(5, "labels"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_outline_costs_what_its_model_does(case):
    model, task, rows = CASES[case]()
    bare = outline(model)

    assert all(x.is_meta for x in (*bare.parameters(), *bare.buffers()))
    assert [name for name, _ in bare.named_parameters()] == [n for n, _ in model.named_parameters()]
    counted = ForwardFlops(task, bare)(rows, LABELS)
    assert counted == ForwardFlops(task, model)(rows, LABELS) > 0
