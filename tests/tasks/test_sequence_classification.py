"""Sequence classification: losses are transformers' own, metrics scikit-learn's and scipy's."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk

from es_repro.models import encoder
from es_repro.passes import ForwardFlops
from es_repro.rows import Tokens, first_row
from es_repro.tasks import SequenceClassification

CONFIG = {
    "model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": 16,
    "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout_prob": 0.0,
}  # fmt: skip
BOTH = frozenset({"correct", "confidence"})


def tokens(m=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 9, (m,), generator=generator)
    mask = (torch.arange(8) < lengths[:, None]).long()
    ids = torch.randint(1, 50, (m, 8), generator=generator) * mask
    return Tokens({"input_ids": ids, "attention_mask": mask}, lengths)


def model(num_outputs):
    torch.manual_seed(0)
    return encoder(config=CONFIG, num_outputs=num_outputs, vocab_size=50, max_length=8)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_mean_loss_of_classes_is_transformers_own(num_classes):
    net, inputs = model(num_classes), tokens()
    targets = torch.arange(6) % num_classes
    output = SequenceClassification(num_classes=num_classes)(net, inputs, targets, BOTH)
    theirs = net(**inputs.fields, labels=targets)
    torch.testing.assert_close(output.losses.mean(), theirs.loss)
    assert output.losses.shape == (6,)
    assert torch.equal(output.scores, output.losses.detach())
    assert torch.equal(output.signals["correct"], theirs.logits.argmax(1) == targets)
    chances = theirs.logits.softmax(1).amax(1)
    torch.testing.assert_close(output.signals["confidence"], chances.detach())


def test_the_mean_loss_of_numbers_is_transformers_own():
    net, inputs, targets = model(1), tokens(), torch.rand(6) * 5
    task = SequenceClassification(headline="correlation")
    output = task(net, inputs, targets, frozenset())
    torch.testing.assert_close(output.losses.mean(), net(**inputs.fields, labels=targets).loss)
    assert task.signals == frozenset()
    assert output.signals == {}
    output.losses.mean().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())


def test_padding_does_not_matter():
    net, inputs = model(2).eval(), tokens()
    task, targets = SequenceClassification(num_classes=2), torch.zeros(6, dtype=torch.int64)
    together = task(net, inputs, targets, frozenset()).losses
    for row, length in enumerate(inputs.lengths.tolist()):
        fields = {name: field[row : row + 1, :length] for name, field in inputs.fields.items()}
        alone = Tokens(fields, inputs.lengths[row : row + 1])
        loss = task(net, alone, targets[:1], frozenset()).losses
        torch.testing.assert_close(loss[0], together[row], rtol=1e-5, atol=1e-6)


class Fixed(torch.nn.Module):
    """Answers given logits, batch by batch."""

    def __init__(self, logits, size):
        super().__init__()
        self.batches = iter(logits.split(size))

    def forward(self, **fields):
        return type("Answer", (), {"logits": next(self.batches)})


def measured(logits, targets, **settings):
    """All metrics, fed in batches of 64 rows."""
    task = SequenceClassification(**settings)
    metrics, net = task.metrics(), Fixed(logits, 64)
    for part in targets.split(64):
        empty = torch.ones(len(part), 8, dtype=torch.int64)
        rows = Tokens({"attention_mask": empty}, torch.full((len(part),), 8))
        task.evaluate(net, rows, part, metrics, 0)
    return {name: float(value) for name, value in metrics.compute().items()}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_classes", [2, 3])
def test_metrics_of_classes_are_scikit_learns(seed, num_classes):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(500, num_classes, generator=generator)
    noise = torch.randn(500, num_classes, generator=generator)
    targets = (logits + noise).argmax(1)
    found, guess = measured(logits, targets, num_classes=num_classes), logits.argmax(1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(targets, guess))
    assert found["matthews"] == pytest.approx(sk.matthews_corrcoef(targets, guess), abs=1e-6)
    assert found["loss"] == pytest.approx(
        sk.log_loss(targets, logits.double().softmax(1)), rel=1e-5
    )
    if num_classes == 2:
        assert found["f1"] == pytest.approx(sk.f1_score(targets, guess))
    assert ("f1" in found) == (num_classes == 2)


def test_one_guess_for_all_correlates_with_nothing():
    logits, targets = torch.tensor([[1.0, 0.0]]).repeat(100, 1), torch.arange(100) % 2
    found = measured(logits, targets, num_classes=2)
    assert (found["matthews"], found["f1"], found["accuracy"]) == (0, 0, 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_of_numbers_are_scipys(seed):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 11, (500,), generator=generator) / 2  # many ties, as in STS-B
    guess = targets + torch.randn(500, generator=generator).round(decimals=1)
    found = measured(guess[:, None], targets, headline="correlation")
    pearson, spearman = stats.pearsonr(guess, targets)[0], stats.spearmanr(guess, targets)[0]
    assert found["pearson"] == pytest.approx(pearson, rel=1e-5)
    assert found["spearman"] == pytest.approx(spearman, rel=1e-5)
    assert found["correlation"] == pytest.approx((pearson + spearman) / 2, rel=1e-5)
    assert found["loss"] == pytest.approx(np.square((guess - targets).numpy()).mean(), rel=1e-5)


def test_a_metric_that_the_data_do_not_have_is_refused():
    with pytest.raises(ValueError, match=r"^headline='f1': must be one of accuracy, matthews"):
        SequenceClassification(headline="f1", num_classes=3)
    with pytest.raises(ValueError, match=r"^headline='accuracy': must be one of correlation"):
        SequenceClassification(headline="accuracy")
    with pytest.raises(ValueError, match=r"^headline='bleu': must be 'accuracy' or"):
        SequenceClassification(headline="bleu", num_classes=2)


def test_flops_follow_the_padded_length_by_hand():
    net, inputs = model(2), tokens()
    count = ForwardFlops(SequenceClassification(num_classes=2), net)
    width, inner, length = 16, 32, 8
    layer = 2 * length * (4 * width**2 + 2 * width * inner) + 4 * length**2 * width
    head = 2 * length * 8 * width + 2 * width**2 + 2 * width * 2  # projection, pooler, classifier
    assert count(first_row(inputs), torch.tensor([0])) == 2 * layer + head
    short = Tokens({k: v[:, :4] for k, v in inputs.fields.items()}, inputs.lengths.clamp(max=4))
    assert 0 < count(short, torch.zeros(6, dtype=torch.int64)) < 3.1 * (2 * layer + head)
