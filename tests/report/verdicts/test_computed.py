"""The paper's arithmetic and resolution, and the command, without a run."""

import json

import pytest

from es_repro.report import __main__ as cli
from es_repro.report.verdicts.claim import Cell
from es_repro.report.verdicts.claims import CLAIMS
from es_repro.report.verdicts.computed import arithmetic
from es_repro.report.verdicts.resolution import printed, printed_saving, resolution


def test_the_known_slips_are_found_and_nothing_else():
    found = list(arithmetic())
    assert [check.claim for check in found if not check.as_expected] == []
    assert any("48.1 h and 27.1 h give 43.66%" in check.computed for check in found)


def test_every_number_of_a_claim_stands_in_the_papers_tables():
    assert sum(float(printed(cell)["value"]) > 0 for x in CLAIMS for cell in x.cells) > 100
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)


def test_five_sentences_of_rte_cannot_be_told_from_chance():
    where = {"task": "RTE"}
    found = resolution((Cell("ES", 5, {**where, "method": "ES"}),
                        Cell("Baseline", 5, {**where, "method": "Baseline"})))  # fmt: skip
    assert found.flips == pytest.approx(4.986)
    assert found.best_p == 2 * 0.5**5
    assert found.standard_error == pytest.approx(100 * (0.758 * 0.242 / 277) ** 0.5)


def test_a_saving_is_as_printed_or_from_the_times():
    where = {"setting": "steps=4K", "task": "SFT"}
    ours, theirs = (Cell(x, 9, {**where, "method": x}) for x in ("ESWP", "Baseline"))
    assert printed_saving((ours, theirs)) == pytest.approx(47.0)


def test_the_command_writes_all_forms_without_any_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNS_ROOT", "nowhere")
    monkeypatch.setattr("es_repro.report.verdicts.command.checks", tuple)  # seconds of theory
    assert cli.main(["verdicts"]) == 0
    printed_text = capsys.readouterr()
    assert "no runs in nowhere" in printed_text.err
    assert printed_text.out.strip() == (tmp_path / "results/verdicts.md").read_text().strip()
    whole = json.loads((tmp_path / "results/verdicts.json").read_text())
    assert len(whole["claims"]) > len(CLAIMS)
    assert cli.main(["verdicts", "--runs", "nowhere"]) == 1
    assert "no runs found in nowhere" in capsys.readouterr().err
