"""Picks replayed over recorded losses: by hand, against scipy, and from the command line."""

import pytest
import torch
from scipy.stats import spearmanr

from es_repro.report import __main__ as report
from es_repro.report.replaying import Candidate, LossRecord, candidates, compared
from es_repro.storage.trace_files import losses_bytes

PLAIN = {"annealing_start": 0.0, "annealing_end": 0.0}
NAN = float("nan")


def record(losses, batch=4, seed=0):
    return LossRecord(torch.tensor(losses), batch, seed)


def pair(frame, first, second, column="overlap"):
    return frame[(frame["first"] == first) & (frame["second"] == second)][column].item()


def test_overlap_of_two_that_leave_nothing_to_chance():
    # One batch of 4, b = 2. Order picks the losses 4, 3 and then 8, 7: samples {0, 1}, {2, 3}.
    # ES (1, 0) weighs by the previous loss alone; a weight of 0 is drawn last: in epoch 1 it
    # picks {0, 1}, which Order does not. In epoch 0 all weigh 1/n.
    losses = [[4.0, 3.0, 0.0, 0.0], [0.5, 1.0, 8.0, 7.0]]
    methods = [
        Candidate("Order", "order"),
        Candidate("past", "es", {"beta1": 1.0, "beta2": 0.0, **PLAIN}),
        Candidate("past again", "es", {"beta1": 1.0, "beta2": 0.0, **PLAIN}),
    ]
    found = compared([record(losses)], methods, 0.5)

    assert pair(found, "past", "past again") == 1.0
    # Epoch 0 shares 0, 1 or 2 of 2, whatever is drawn of equal weights; epoch 1 shares none.
    assert pair(found, "Order", "past") in (0.0, 0.25, 0.5)
    assert pair(found, "Order", "past") == pair(found, "past", "Order")
    assert found["runs"].eq(1).all()
    assert found["overlap_sd"].isna().all()


def test_foresight_is_spearman_s_between_weights_and_the_losses_that_follow():
    generator = torch.Generator().manual_seed(0)
    losses = torch.rand(3, 60, generator=generator)
    losses[1, :10] = NAN  # pruned in the second epoch
    methods = candidates([0.5], [0.9])
    found = compared([LossRecord(losses, 20, 0)], methods, 0.25)

    # Loss: the latest known loss. ES: Eq. 3.1 written out, s = 1/n at first.
    latest = torch.where(losses[1].isnan(), losses[0], losses[1])
    s0 = torch.full((60,), 1 / 60)
    s1 = 0.9 * s0 + 0.1 * losses[0]
    w1 = 0.5 * s0 + 0.5 * losses[0]
    w2 = torch.where(losses[1].isnan(), w1, 0.5 * s1 + 0.5 * losses[1])
    seen = ~losses[1].isnan()
    for label, first, second in (("Loss", losses[0], latest), ("ES (0.5, 0.9)", w1, w2)):
        expected = spearmanr(first[seen], losses[1][seen]).statistic
        expected = (expected + spearmanr(second, losses[2]).statistic) / 2
        assert pair(found, label, label, "foresight") == pytest.approx(expected)
    assert found[found["first"] == "uniform"]["foresight"].isna().all()


def test_es_without_history_picks_what_loss_picks_and_uniform_shares_a_quarter_or_more():
    losses = torch.rand(6, 400, generator=torch.Generator().manual_seed(1)) * 3
    runs = [LossRecord(losses, 40, seed) for seed in (0, 1)]
    found = compared(runs, candidates([0.0, 0.2], [0.9]), 0.25)

    assert pair(found, "ES (0, 0.9)", "Loss") == 1.0
    assert pair(found, "ES (0.2, 0.9)", "Loss") > 0.9
    # Equal random numbers make even unlike weights agree more than chance would (0.25).
    assert 0.3 < pair(found, "uniform", "Loss") < 0.9
    assert pair(found, "uniform", "Loss", "overlap_sd") < 0.05


@pytest.fixture
def traced(tmp_path):
    """Two finished runs with the losses of 80 samples over 3 epochs."""
    for seed in (0, 1):
        folder = tmp_path / "runs" / f"run{seed}"
        (folder / "trace").mkdir(parents=True)
        generator = torch.Generator().manual_seed(seed)
        history = ""
        for epoch in range(3):
            losses = torch.rand(80, generator=generator).half()
            path = folder / "trace" / f"losses-{epoch:04d}.npz"
            path.write_bytes(losses_bytes(epoch, losses))
            history += f'{{"kind": "epoch", "epoch": {epoch + 1}, "step": {epoch}}}\n'
        (folder / "history.jsonl").write_text(history)
        (folder / "config.yaml").write_text(
            f"seed: {seed}\nmeta_batch_size: 16\n"
            "dataset: {_target_: es_repro.data.digits}\nmethod: {name: baseline}\n"
        )
        (folder / "environment.json").write_text(
            '{"commit": "0123456789abcdef", "device_name": "a processor", "threads": 1}'
        )
        (folder / "done").touch()
    return tmp_path


def command(traced, *arguments):
    places = ["--runs", str(traced / "runs"), "--results", str(traced / "results")]
    return report.main(["replay", *arguments, *places])


def test_the_command_writes_table_and_figure(traced, capsys):
    assert command(traced, "run0", "run1", "--beta1", "0,0.2", "--beta2", "0.9") == 0

    text = (traced / "results" / "replay" / "replay.md").read_text()
    assert "| ES (0.2, 0.9) |" in text
    assert "2 runs (digits, trained by baseline), n = 80, 3 epochs, B = 16, b/B = 0.25" in text
    assert "two independent uniform draws share 25" in text
    words = "report replay run0 run1 --name replay --beta1 0,0.2 --beta2 0.9`"
    assert f"- Command: `python -m es_repro.{words}\n- Runs: 2 finished" in text
    assert "- Commit: 0123456789\n- Device: a processor, threads: 1" in text
    assert "- Seeds: 0, 1\n- Data: digits" in text
    assert (traced / "results" / "replay" / "replay.csv").read_text().count("\n") == 1 + 5 * 5
    for suffix in ("png", "pdf"):
        assert (traced / "results" / "replay" / f"replay.{suffix}").stat().st_size > 10_000
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: no such run"),
        (("run0", "--beta1", "0,x"), "--beta1 0,x: must be numbers in [0, 1]"),
        (("run0", "--batch-ratio", "0.9"), "--batch-ratio 0.9: must be in (0, 2/3]"),
        (("run0", "other"), "other: of other data, length, batches or method than run0"),
        (("bare",), "keeps no such trace; run it with trace.losses=true"),
        (("torn",), "losses-0001.npz: damaged"),
        (("short",), "the trace of epoch 1 is missing"),
    ],
)
def test_bad_input_is_one_line(traced, capsys, arguments, message):
    import shutil

    runs = traced / "runs"
    for name in ("other", "torn", "short"):
        shutil.copytree(runs / "run1", runs / name)
    config = (runs / "other" / "config.yaml").read_text()
    (runs / "other" / "config.yaml").write_text(config.replace("baseline", "es"))
    (runs / "bare").mkdir()
    (runs / "bare" / "done").touch()
    torn = runs / "torn" / "trace" / "losses-0001.npz"
    torn.write_bytes(torn.read_bytes()[:100])
    (runs / "short" / "trace" / "losses-0001.npz").unlink()

    assert command(traced, *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
