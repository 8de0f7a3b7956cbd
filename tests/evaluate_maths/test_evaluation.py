"""Whole evaluations of a random model: seeds, resume, errors."""

import json
import shutil

import pytest
import torch

from es_repro.data import DataDamaged, DataNotFound
from es_repro.data.chat import Chat, load_tokenizer
from es_repro.evaluate_maths.__main__ import main
from es_repro.evaluate_maths.evaluation import Protocol, evaluate
from es_repro.evaluate_maths.generation import Sampling, TransformersBackend, _Gumbel, seed_of
from es_repro.evaluate_maths.problems import read_problems
from tests.evaluate_maths.models import write_model, write_problems

ROWS = [(f"What is {i} + {i}?", str(2 * i)) for i in range(5)]
SHORT = Sampling(max_new_tokens=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return str(write_model(folder / "m", folder / "cache"))


@pytest.fixture
def problems(tmp_path):
    return read_problems(
        write_problems(tmp_path / "math", math500=ROWS, aime24=ROWS[:2]), ["math500", "aime24"]
    )


def lines(folder):
    text = (folder / "answers.jsonl").read_text().splitlines()
    return sorted((json.loads(x) for x in text), key=lambda x: (x["sample"], x["set"], x["number"]))


def silent(*_):
    pass


def test_an_interrupted_evaluation_resumed_is_an_uninterrupted_one(
    model, problems, tmp_path, monkeypatch
):
    protocol = Protocol(SHORT, samples=2, batch_size=3)
    whole = evaluate(model, problems, tmp_path / "whole", protocol, silent)
    assert whole["sets"]["math500"]["answers"] == 10

    class Killed(Exception):
        pass

    def kill_after(count):
        from es_repro.evaluate_maths import answers as module

        append, left = module.append_line, [count]

        def append_or_die(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            append(*arguments, **options)

        monkeypatch.setattr(module, "append_line", append_or_die)
        return append

    for count in (4, 1):  # within a batch, and again before its end
        append = kill_after(count)
        with pytest.raises(Killed):
            evaluate(model, problems, tmp_path / "cut", protocol, silent)
        monkeypatch.setattr("es_repro.evaluate_maths.answers.append_line", append)
    resumed = evaluate(model, problems, tmp_path / "cut", protocol, silent)
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    assert resumed["sets"] == whole["sets"]


def test_a_finished_evaluation_asks_nothing_again(model, problems, tmp_path, monkeypatch):
    protocol = Protocol(SHORT, batch_size=4)
    first = evaluate(model, problems, tmp_path / "out", protocol, silent)
    monkeypatch.setattr("es_repro.evaluate_maths.evaluation.open_backend", None)
    again = evaluate(model, problems, tmp_path / "out", protocol, silent)
    assert again["sets"] == first["sets"]
    with pytest.raises(ValueError, match=r"^batch_size=2: must be 4, under which"):
        evaluate(model, problems, tmp_path / "out", Protocol(SHORT, batch_size=2), silent)


def test_an_answer_depends_on_its_seed_not_on_its_neighbours(model):
    chat = Chat(load_tokenizer(model), model)
    backend = TransformersBackend(model, chat, SHORT)
    prompts = [chat.prompt(text) for text, _ in ROWS]
    seeds = [seed_of(0, "math500", number, 0) for number in range(5)]
    together = backend.answer(prompts, seeds)
    assert [backend.answer([p], [s])[0] for p, s in zip(prompts, seeds, strict=True)] == together
    assert backend.answer(prompts, [seed + 1 for seed in seeds]) != together
    assert (
        len({seed_of(a, b, c, d) for a in (0, 1) for b in "xy" for c in (0, 1) for d in (0, 1)})
        == 16
    )


def test_what_the_model_s_authors_recommend_is_not_followed(model, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    path = copy / "generation_config.json"
    advice = {"repetition_penalty": 5.0, "do_sample": True, "top_k": 1, "temperature": 0.1}
    path.write_text(json.dumps(json.loads(path.read_text()) | advice))
    answers = []
    for folder in (model, str(copy)):
        chat = Chat(load_tokenizer(folder), folder)
        backend = TransformersBackend(folder, chat, Sampling(max_new_tokens=20))
        answers.append(backend.answer([chat.prompt("What is 1 + 1?")], [3]))
    assert answers[0] == answers[1]


def test_no_temperature_takes_the_likeliest_token(model):
    chat = Chat(load_tokenizer(model), model)
    cold = TransformersBackend(model, chat, Sampling(temperature=0.0, max_new_tokens=4))
    prompts = [chat.prompt("What is 1 + 1?")]
    assert cold.answer(prompts, [1]) == cold.answer(prompts, [2])
    narrow = TransformersBackend(model, chat, Sampling(top_p=1e-6, max_new_tokens=4))
    assert narrow.answer(prompts, [1]) == cold.answer(prompts, [2])


def test_the_noise_draws_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, 2.0])
    draws = 4000
    noisy = _Gumbel([7], torch.device("cpu"))(
        torch.empty(0), logits.expand(1, draws, 3).reshape(1, -1)
    )
    shares = noisy.view(draws, 3).argmax(1).bincount(minlength=3) / draws
    expected = logits.softmax(0)
    # 5 standard deviations of a binomial share: false alarm < 2e-6.
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / draws).sqrt()).all()


def test_an_answer_ends_with_its_turn_or_with_the_context(model):
    chat = Chat(load_tokenizer(model), model)
    backend = TransformersBackend(model, chat, SHORT)
    end = chat.end_id
    word = chat.encode(["apples"])[0]
    read = backend._read([*word, end, *word])
    assert (read.text, read.tokens, read.finished) == ("apples", len(word), True)
    assert backend._read(word).finished is False
    backend._context = 1  # no room behind the prompt
    assert backend.answer([chat.prompt("?")], [0])[0].tokens == 0


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["evaluate_maths", *map(str, arguments)])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    return code, *capsys.readouterr()


def test_the_command_line_evaluates_the_exports_of_an_experiment(
    model, tmp_path, monkeypatch, capsys
):
    runs = tmp_path / "runs"
    data = write_problems(tmp_path / "math", math500=ROWS)
    for step in (10, 2):
        shutil.copytree(model, runs / "abc" / "exports" / f"step-{step}")
    member = {"experiment": "demo/x", "row": "es", "seed": 0, "run": "abc", "status": "asked"}
    (runs / "members.jsonl").write_text(json.dumps(member) + "\n" + '{"torn')
    options = ("--data", data, "--sets", "math500", "--limit", 2, "--max-new-tokens", 4)
    ask = ("--runs", runs, "--experiment", "demo/x", *options)

    code, _, said = command(monkeypatch, capsys, *ask)
    assert (code, "must have finished runs with exports" in said) == (1, True)
    (runs / "abc" / "done").touch()
    code, printed, said = command(monkeypatch, capsys, *ask)
    assert (code, said) == (0, "")
    names = [x.split("/")[-1].split(":")[0] for x in printed.splitlines()[::2]]
    assert names == ["step-2", "step-10"]
    results = json.loads((runs / "abc" / "evaluations" / "step-2" / "results.json").read_text())
    assert results["sets"]["math500"]["problems"] == 2
    assert "math500 0.0% (0 of 2 answers right); mean 0.0%" in printed

    code, _, said = command(monkeypatch, capsys, "--model", "a", "b", "--out", "x", *options)
    assert (code, said) == (1, "error: out=x: must be left out where there are several models\n")
    code, _, said = command(monkeypatch, capsys, "--model", tmp_path / "none", *options)
    assert code == 1
    assert said.startswith("error: tokenizer=")
    assert len(said.splitlines()) == 1


def test_problem_files_that_are_missing_or_broken_are_named(tmp_path):
    with pytest.raises(DataNotFound, match=r"math500.parquet: not found; --data must be"):
        read_problems(tmp_path, ["math500"])
    with pytest.raises(ValueError, match=r"^sets=math50: must be one of math500.*did you mean"):
        read_problems(tmp_path, ["math50"])
    (tmp_path / "math500.parquet").write_bytes(b"nothing")
    with pytest.raises(DataDamaged, match="no whole parquet file"):
        read_problems(tmp_path, ["math500"])
    write_problems(tmp_path, aime24=[("", "1")])
    with pytest.raises(DataDamaged, match="rows without a problem"):
        read_problems(tmp_path, ["aime24"])
    with pytest.raises(ValueError, match=r"^limit=0: must be at least 1$"):
        read_problems(tmp_path, ["aime24"], 0)


def test_bad_protocols_are_named():
    for name, value in (("temperature", -1.0), ("top_p", 0.0), ("max_new_tokens", 0)):
        with pytest.raises(ValueError, match=f"^{name}={value}: must be"):
            Sampling(**{name: value})
    with pytest.raises(ValueError, match=r"^samples=0: must be at least 1$"):
        Protocol(SHORT, samples=0)
