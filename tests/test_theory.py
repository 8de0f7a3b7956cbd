"""The theory's own arithmetic, and that its checks come out as they should."""

import math

import pytest
import torch

from es_repro.theory import Check, checks, filtering, weighted_flow
from es_repro.theory import __main__ as command
from es_repro.theory.filtering import continuous_gain, discrete_gain
from es_repro.theory.weighted_flow import flow, margin


def parabolas(theta):
    """Two losses, theta^2 and 4 theta^2, of one parameter."""
    return torch.stack([theta[0] ** 2, 4 * theta[0] ** 2])


def test_margin_by_hand():
    # shares 0.2 and 0.8: the gap of 3 times 0.8 - 0.5
    assert float(margin(torch.tensor([1.0, 4.0], dtype=torch.float64))) == pytest.approx(0.9)
    assert float(margin(torch.ones(3))) == 0


def test_the_flow_of_two_parabolas_by_hand():
    one = torch.ones(1, dtype=torch.float64)
    found = flow(parabolas, one, torch.zeros(1), step=1e-4, steps=1000, weighted=True)
    assert found.distance == 1
    assert float(found.slope[0]) == pytest.approx(-13.6)
    assert float(found.mean_loss[0]) == pytest.approx(2.5)
    # theta' = -6.8 theta up to s = 0.1: mean over time of 2.5 exp(-13.6 s)
    expected = 2.5 * (1 - math.exp(-1.36)) / 1.36
    assert float(found.mean_loss.mean()) == pytest.approx(expected, rel=1e-3)
    plain = flow(parabolas, one, torch.zeros(1), step=1e-4, steps=1, weighted=False)
    assert float(plain.slope[0]) == pytest.approx(-10)


@pytest.mark.parametrize(
    ("frequency", "gain"), [(0.01, 0.997472), (0.1, 0.863134), (1.0, 0.703598), (10.0, 0.700036)]
)
def test_the_continuous_gain_by_hand(frequency, gain):
    assert continuous_gain(frequency, 0.2, 0.9) == pytest.approx(gain, abs=1e-6)


@pytest.mark.parametrize(
    ("betas", "gain"), [((0.2, 0.9), 1.5 / 1.9), ((0.2, 0.8), 1.4 / 1.8), ((0.0, 0.0), 1.0)]
)
def test_the_discrete_gain_at_the_highest_frequency(betas, gain):
    assert discrete_gain(math.pi, *betas) == pytest.approx(gain)
    assert discrete_gain(0.0, *betas) == pytest.approx(1.0)


@pytest.mark.parametrize("section", [filtering.identity, filtering.ascent, filtering.transfer])
def test_what_eq_3_1_does_comes_out_as_expected(section):
    assert [check.claim for check in section() if not check.as_expected] == []


@pytest.mark.slow
def test_every_check_comes_out_as_expected():
    found = list(checks())
    assert len(found) == 20
    assert [check.claim for check in found if not check.as_expected] == []
    assert sum(not check.expected for check in found) == 5


def test_a_wrong_margin_is_noticed(monkeypatch):
    monkeypatch.setattr(weighted_flow, "margin", lambda losses: losses.max())
    broken = [check for check in next_problem() if not check.as_expected]
    assert broken


def next_problem():
    """The four checks of the first problem."""
    section = weighted_flow.flows()
    return [next(section) for _ in range(4)]


def check(*, holds, expected=True):
    return Check("Prop. 0", "a | b", "1 <= 2", holds, expected)


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        ([check(holds=True), check(holds=False, expected=False)], 0, "does not hold, as known"),
        ([check(holds=False)], 1, "DOES NOT HOLD"),
        ([check(holds=True, expected=False)], 1, "HOLDS, against expectation"),
    ],
)
def test_the_command_fails_where_a_claim_does(tmp_path, monkeypatch, capsys, found, code, words):
    monkeypatch.setattr(command, "checks", lambda: iter(found))
    assert command.main(["--results", str(tmp_path / "new")]) == code
    assert words in capsys.readouterr().out
    text = (tmp_path / "new" / "theory.md").read_text()
    assert words in text
    assert r"a \| b" in text


def test_results_that_cannot_be_written_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "checks", lambda: iter([]))
    (tmp_path / "file").write_text("")
    assert command.main(["--results", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
