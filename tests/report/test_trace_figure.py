"""Figure 2 shows what the run did: its plans, picks and weights against those seen while it ran."""

from pathlib import Path

import pytest
import torch

from es_repro.report import ReportError
from es_repro.report import __main__ as report
from es_repro.report.collection import frame_of
from es_repro.report.figures import trace
from es_repro.report.figures.catalogue import FIGURES, drawn
from es_repro.report.figures.source import Source
from es_repro.selection.eswp import EvolvedSamplingWithPruning
from es_repro.train import train

ASKED = ("experiment=demo/fig2_eswp_digits", "epochs=10", "subset=96", "meta_batch_size=16")


def source(root):
    return Source(frame_of(root), root, "demo")


def test_weights_batches_and_picks_are_the_run_s_own(quick, tmp_path, monkeypatch):
    seen, select = [], EvolvedSamplingWithPruning.select

    def spy(self, index, losses, **signals):
        picked = select(self, index, losses, **signals)
        weights = self.weights[index].tolist()
        seen.append((self.epoch, index.tolist(), weights, index[picked].tolist()))
        return picked

    monkeypatch.setattr(EvolvedSamplingWithPruning, "select", spy)
    summary = train(quick(*ASKED))
    frame = trace.frame(source(tmp_path / "runs"))

    assert set(frame["run"]) == {summary["run"]}
    assert len(seen) == 8 * 4  # annealed at either end; 64 planned samples in batches of 16
    for number, (epoch, index, weights, picked) in enumerate(seen):
        lines = frame[(frame["epoch"] == epoch) & (frame["batch"] == number % 4)]
        assert sorted(index) == lines["sample"].tolist()
        assert sorted(picked) == lines.loc[lines["picked"], "sample"].tolist()
        drawn_weights = torch.tensor(lines.set_index("sample")["weight"][index].tolist())
        torch.testing.assert_close(drawn_weights, torch.tensor(weights), rtol=2e-3, atol=1e-4)
    pruned = frame[frame["batch"] < 0]
    assert pruned.groupby("epoch").size().tolist() == [32] * 8
    assert pruned["weight"].isna().all()
    assert not pruned["picked"].any()
    annealed = frame[~frame["selecting"]]
    assert set(annealed["epoch"]) == {0, 9}
    assert annealed["picked"].all()

    said = drawn(FIGURES["fig2"], source(tmp_path / "runs"))._supxlabel.get_text()
    said = " ".join(said.split())
    assert said.startswith(f"run {summary['run']}: ")
    assert "(B = 16, b = 4, r = 0.33)" in said
    assert "it shows the algorithm, not a result" in said


def test_a_pack_brings_the_traces_and_draws_the_same(quick, tmp_path, monkeypatch, capsys):
    train(quick(*ASKED))
    monkeypatch.chdir(tmp_path)
    assert report.main(["pack", "fig2", "--runs", "runs"]) == 0
    assert report.main(["figures", "fig2", "--runs", "runs", "--preset", "paper"]) == 0
    before = Path("results/figures/fig2.csv").read_text().splitlines()
    assert report.main(["rebuild"]) == 0
    after = Path("results/figures/fig2.csv").read_text().splitlines()
    assert [x for x in before if x[0] != "#"] == [x for x in after if x[0] != "#"]
    assert "--runs results/fig2/records" in after[0]


def test_a_run_without_whole_traces_is_named(quick, tmp_path):
    train(quick())
    with pytest.raises(ReportError, match="fig2: needs a finished run of eswp in fig2_eswp_digits"):
        trace.frame(source(tmp_path / "runs"))
    summary = train(quick(*ASKED))
    folder = tmp_path / "runs" / summary["run"]
    (folder / "trace" / "losses-0003.npz").write_bytes(b"torn")
    with pytest.raises(ReportError, match=r"fig2: .*losses-0003\.npz: damaged"):
        trace.frame(source(tmp_path / "runs"))
