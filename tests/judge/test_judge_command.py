"""The command line, on a toy: cards, coming back, and what cannot be asked for."""

import json

import pytest

from es_repro.judge.chart import _looks
from es_repro.report.style import look


def test_a_card_in_three_forms_and_the_same_again_without_a_run(command, tmp_path):
    words = ("method=es", "selector=my_selectors:Mine", "selector.share=0.25",
             "workload=toy", "seeds=4")  # fmt: skip
    code, out, _ = command(*words)
    assert code == 0
    assert "toy: 9 arms, 4 seeds each; pilot of 2" in out
    card = json.loads((tmp_path / "runs/judge/card/card.json").read_text())
    (workload,) = card["workloads"]
    assert [method["name"] for method in workload["methods"]] == ["es", "Mine,share=0.25"]
    assert card["contract"]["es"] == {}
    assert "state" in card["contract"]["Mine,share=0.25"]  # it has none to save
    for method in workload["methods"]:
        assert method["line"] in out
    page = (tmp_path / "runs/judge/card/card.html").read_text()
    assert page.count("<svg") == 1
    assert workload["methods"][0]["verdict"].replace("+-", "±") in page
    assert "+-" not in page
    assert not {"<script", "@import", 'src="http', 'href="http'} & {
        part for part in ("<script", "@import", 'src="http', 'href="http') if part in page
    }

    code, again, _ = command(*words)
    assert code == 0
    assert "0 runs made" in again
    assert (
        json.loads((tmp_path / "runs/judge/card/card.json").read_text())["workloads"][0]["arms"]
        == workload["arms"]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("method=ess",), "method=ess: must be one of"),
        (("method=es", "method.beta3=1"), "method.beta3: no such key"),
        (("method=es", "method.beta1=2"), "beta1=2"),
        (("method=short_es",), "method=short_es: must be a method of its own"),
        (("method.beta1=0.5",), "argument=method.beta1=0.5: must be behind the method=NAME"),
        (("method=es,es",), "method=es: must be asked for once"),
        (("methods=es",), "argument=methods: must be method, selector or a setting"),
        (("es",), "argument=es: must be of the form key=value"),
        (("workload=cifar",), "workload=cifar: must be one of toy"),
        (("effort=huge",), "effort=huge: must be one of fast, full"),
        (("resolution=0",), "resolution=0"),
        (("seeds=1",), "seeds=1"),
        (("selector=Mine",), "selector=Mine: must be of the form module:Class"),
        (("selector=nowhere:Mine",), "selector=nowhere:Mine: nowhere cannot be imported"),
        (("selector=my_selectors:Yours",), "selector=my_selectors:Yours: must be a class of"),
        (("selector=my_selectors:torch",), "selector=my_selectors:torch: must be a class"),
        (("selector=my_selectors:Mine", "selector.share=2"), "share=2: must be in (0, 1]"),
        (
            ("selector=my_selectors:Mine", "selector.part=2"),
            "selector=my_selectors:Mine: cannot be",
        ),
        (("selector=my_selectors:Mine", "selector.share=[1"), "selector.share=[1: must be a value"),
        (("selector=quits:Mine",), "selector=quits:Mine: quits cannot be imported: 5"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(command, words, message):
    code, out, err = command(*words)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert message in err.replace("'", "")
    assert err.count("\n") == 1


def test_arms_without_a_look_of_their_own_are_told_apart():
    looks = _looks(["es", "es,beta1=0.5", "Mine", "Yours"])
    assert looks["es"] == look("es")
    assert len({(x.colour, x.marker) for x in looks.values()}) == 4


def test_promises_broken_in_the_same_way_are_one_line(command, tmp_path):
    _, out, _ = command("selector=my_selectors:Mine", "workload=toy", "seeds=3")
    broken = json.loads((tmp_path / "runs/judge/card/card.json").read_text())["contract"]["Mine"]
    lines = [line for line in out.splitlines() if line.startswith("Mine: breaks the contract (")]
    assert len(lines) == len(set(broken.values())) < len(broken)
    assert all(promise in "".join(lines) for promise in broken)


def test_a_damaged_outcome_is_made_again(command, tmp_path, caplog):
    words = ("method=es", "workload=toy", "seeds=3")
    command(*words)
    kept = sorted((tmp_path / "runs/judge").glob("*.npz"))
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    code, out, _ = command(*words)
    assert code == 0
    assert "cannot be read" in caplog.text
    assert " 0 runs made" not in out
    assert not list((tmp_path / "runs/judge").glob("*.part"))
