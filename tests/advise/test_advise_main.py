"""The command line on our own configs. Nothing asserts a time."""

import json

import pytest

from es_repro.advise.__main__ import main

QUICK = ("run.threads=1", "precision=fp32", "run.device=cpu", "--rounds", "5")


@pytest.fixture
def command(capsys, caplog):
    """The command line; answers what it printed."""

    def run(*words):
        main([*words])
        return capsys.readouterr().out

    return run


def test_the_embedded_default_in_words_and_numbers(command, tmp_path):
    target = tmp_path / "advice.json"
    text = command(*QUICK, "subset=300", "epochs=10", "--json", str(target))
    found = json.loads(target.read_text())

    assert "5 rounds on cpu; batches of 64 rows, 300 samples, 10 epochs" in text
    assert found["verdict"] in text
    rows = {(row["method"], row["batch_ratio"], row["prune_ratio"]): row for row in found["rows"]}
    assert {("es", f, None) for f in (0.5, 0.25, 0.125)} < rows.keys()
    assert {name for name, *_ in rows} == {
        "es", "eswp", "infobatch", "ka", "loss", "order", "orderdp", "random", "ucb"
    }  # fmt: skip
    assert rows["es", 0.25, None]["ideal"] == pytest.approx(0.2 + 0.8 * 7 / 12)
    assert rows["eswp", 0.5, 0.2]["hyperparameters"]["beta2"] == 0.8
    assert {"device_name", "threads", "precision", "contended", "command"} <= found["made"].keys()


def test_one_method_with_settings_of_its_own(command):
    words = ("method=eswp", "method.prune_ratio=0.5", "--ratios", "0.5", "--json", "-")
    found = json.loads(command(*QUICK, "subset=300", *words))

    assert [(row["method"], row["batch_ratio"]) for row in found["rows"]] == [
        ("eswp", 0.5), ("eswp", 0.25)
    ]  # fmt: skip
    assert all(row["prune_ratio"] == 0.5 for row in found["rows"])


def test_an_epoch_of_one_short_batch_and_micro_batches(command):
    found = json.loads(command(*QUICK, "subset=40", "micro_batch_size=16", "--json", "-"))
    assert found["rows_of_a_batch"] == 40


def test_errors_are_one_line(command, capsys):
    for words, line in (
        (["method=ess"], "error: method=ess: must be one of"),
        (["--rounds", "2", "method=es"], "error: rounds=2: must be an integer >= 5\n"),
        (["epochs=0", "method=es"], "error: num_epochs=0: must be an integer >= 1\n"),
        (["no_such_key=1"], "error: no_such_key: no such key"),
    ):
        with pytest.raises(SystemExit) as ended:
            command(*words)
        assert ended.value.code == 1
        error = capsys.readouterr().err
        assert error.startswith(line)
        assert error.count("\n") == 1


def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as ended:
        command("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "Try that first" in text
    assert "from es_repro.advise import advise" in text
