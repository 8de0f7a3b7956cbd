"""Choices on a toy: both sides run alike, and what is said of them."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from es_repro.judge import __main__, choices, session
from es_repro.judge.choices import CHOICES, Choice, Unscaled, decide_choices
from es_repro.judge.choices_page import as_frame
from es_repro.judge.runner import Runner
from es_repro.judge.session import FAST
from es_repro.judge.store import Store
from es_repro.selection import create
from tests.judge.toy import TOY

SAME = Choice("ES: betas", "0.2", "0.2 again", "es", {"beta1": "0.2"})
STUBBORN = Choice("random: rows", "drawn", "the same few", "random",
                  selector="tests.judge.toy:Stubborn")  # fmt: skip


@pytest.fixture
def decided(tmp_path):
    runner, said = Runner(Store(tmp_path)), []
    effort = FAST.__class__(tuning_seeds=2, seeds=20, most_seeds=20, resolution=0.2)
    return decide_choices(TOY, effort, runner, said.append, [SAME, STUBBORN]), said


def test_one_and_the_same_is_identical_and_the_same_few_rows_are_worse(decided):
    (same, stubborn), said = decided
    assert said == ["toy: 4 arms, 20 seeds each, 2 choices"]
    assert (same.decision.word, same.decision.trial.difference.mean) == ("identical", 0.0)
    assert same.cost == 1
    assert same.rates[0] == same.rates[1]
    assert stubborn.decision.word == "worse"
    assert stubborn.cost < 0.6
    assert list(as_frame([same, stubborn])["verdict"]) == ["identical", "worse"]


def test_an_alternative_keeps_its_own_table_of_what_was_rescaled():
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0])
    ours = create("infobatch", num_samples=4, num_epochs=4, seed=0)
    other = Unscaled(4, 4)
    for each in (ours, other):
        each.plan_epoch(0)
        each.observe(torch.arange(4), losses)
        each.plan_epoch(1)
    kept = torch.tensor([0, 1])  # below the mean: one of the two stays, and weighs two
    assert other.reduce(kept, losses[kept]) == pytest.approx(1.5)
    assert ours.reduce(kept, losses[kept]) in (pytest.approx(2.0), pytest.approx(2.5))


@pytest.mark.parametrize("choice", CHOICES, ids=lambda one: f"{one.question} {one.other}")
def test_both_sides_of_each_choice_can_be_built_and_differ(choice):
    ours, other = choice.arms()
    assert ours.name != other.name
    assert dict(ours.identity) != dict(other.identity)


def test_the_command_writes_page_numbers_and_picture(command, tmp_path, monkeypatch):
    monkeypatch.setattr(choices, "CHOICES", (SAME,))
    monkeypatch.setattr(decide_choices, "__defaults__", ((SAME,),))
    code, out, err = command("choices", "workload=toy", "seeds=10", "out=mine")
    assert code == 0, out + err
    assert "toy: 2 arms, 10 seeds each, 1 choices" in out
    page = (tmp_path / "mine" / "choices.md").read_text()
    assert "| ES: betas | 0.2 | 0.2 again | 100% | +0.00 ± 0.00 identical |" in page
    assert page.strip() in out
    table = pd.read_csv(tmp_path / "mine" / "choices.csv")
    assert list(table["seeds"]) == [10]
    assert (tmp_path / "mine" / "choices.png").is_file()


def test_a_method_cannot_be_asked_for_beside(command):
    code, _, err = command("choices", "method=es")
    assert code != 0
    assert err.count("\n") == 1
    assert "without a method" in err


def test_a_workload_without_data_is_named_on_the_page_though_it_comes_last(
    command, tmp_path, monkeypatch
):
    monkeypatch.setattr(decide_choices, "__defaults__", ((SAME,),))
    monkeypatch.setattr(session, "WORKLOADS", {"toy": TOY, "gone": replace(TOY, name="gone")})
    why_not = __main__.why_not
    monkeypatch.setattr(
        __main__, "why_not",
        lambda workload, *rest: "no data" if workload.name == "gone" else why_not(workload, *rest),
    )  # fmt: skip
    code, out, _ = command("choices", "workload=toy,gone", "seeds=10", "out=mine")
    assert code == 0
    assert "gone: not tried: no data" in out
    assert "gone: not tried: no data" in (tmp_path / "mine" / "choices.md").read_text()
    code, out, _ = command("choices", "workload=gone", "seeds=10", "out=none")
    assert code == 1
    assert "gone: not tried: no data" in out
