"""A recorded selection, trained on again: the same weights, no scoring, and every bad input."""

import json

import numpy as np
import pytest
import torch

from es_repro.engine import Engine
from es_repro.selection import Replay
from es_repro.selection.replay import unpack_bits
from es_repro.storage.trace_files import TraceDamaged, read_losses, read_selection
from es_repro.train import train

KEEP = ("trace.selection=true",)
QUICKER = ("epochs=4", "subset=150", "meta_batch_size=20", "run.log_every=3")


def final_weights(root, summary):
    (path,) = (root / summary["run"] / "checkpoints").glob("*.pt")
    return torch.load(path, weights_only=True)["model"]


def equal(one, two):
    assert one.keys() == two.keys()
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture
def make(quick, tmp_path):
    """Train with overrides; answers the summary and the final weights, buffers included."""

    def run(*overrides):
        summary = train(quick(*QUICKER, *overrides))
        return summary, final_weights(tmp_path / "runs", summary)

    return run


@pytest.mark.parametrize(
    "method",
    ["baseline", "es", "eswp", "loss", "infobatch", "ka", "ucb", "orderdp", "random_batch"],
)
def test_a_replay_ends_with_the_same_weights_bit_for_bit(make, method):
    # Batch norm, and augmentation, so that running statistics and crops are compared too.
    shape = ("model=resnet8", "model.width=4", "+dataset.augment=true", "seed=3")
    recorded, before = make(f"method={method}", *shape, *KEEP)
    again, after = make(f"replay={recorded['run']}", *shape)

    assert equal(before, after)
    assert again["test/loss"] == recorded["test/loss"]
    assert again["cost/bp_samples"] == recorded["cost/bp_samples"]
    # Nothing was scored, and nothing is charged for it.
    assert again["cost/forward_samples"] == again["cost/bp_samples"]
    assert again["cost/scoring_passes"] == again["steps/selecting"] == 0
    assert again["cost/flops"] == 3 * again["cost/bp_samples"] * again["cost/flops_per_sample"]
    assert again["run"] != recorded["run"]


def test_another_model_trains_on_the_same_batches(make, tmp_path, monkeypatch):
    trained = {}
    count = Engine.count

    def spy(self, index, *rest):
        trained.setdefault(type(self.selector).__name__, []).append((self.epoch, index.tolist()))
        count(self, index, *rest)

    monkeypatch.setattr(Engine, "count", spy)
    proxy, _ = make("method=eswp", *KEEP)
    # A larger net, with weights and crops of another seed: the order stays the recorded one.
    large, weights = make(f"replay={proxy['run']}", "model.hidden=[200]", "seed=5")

    assert trained["Replay"] == trained["EvolvedSamplingWithPruning"]
    assert len(next(iter(weights.values()))) == 200
    config = (tmp_path / "runs" / large["run"] / "config.yaml").read_text()
    fingerprint = read_selection(tmp_path / "runs" / proxy["run"]).fingerprint
    assert f"method:\n  name: replay\n  of: eswp\n  trace: {fingerprint}\n" in config
    member = (tmp_path / "runs" / "members.jsonl").read_text().splitlines()[-1]
    assert json.loads(member)["row"] == "replay"


def test_a_trace_is_what_was_planned_and_trained(make, tmp_path):
    summary, _ = make("method=eswp", *KEEP)
    trace = read_selection(tmp_path / "runs" / summary["run"])

    assert (trace.num_samples, trace.num_epochs, trace.meta_batch_size) == (150, 4, 20)
    assert (trace.method, trace.batch_ratio, trace.seed) == ("eswp", 0.25, 0)
    # Annealing of 5% of 4 epochs is none: each plans 0.8 of 150 and picks 5 of 20 six times.
    for epoch in trace.epochs:
        planned, trained = (unpack_bits(x, 150) for x in (epoch.planned, epoch.trained))
        assert (planned.sum(), trained.sum()) == (120, 30)
        assert bool(planned[trained].all())
        assert epoch.steps == ((5, 6),)
    history = (tmp_path / "runs" / summary["run"] / "history.jsonl").read_text().splitlines()
    distinct = [
        json.loads(x)["selection/distinct"] for x in history if '"epoch"' in x and "dist" in x
    ]
    assert distinct == [30] * 4
    size = sum(x.stat().st_size for x in (tmp_path / "runs").glob("*/trace/*0.npz"))
    assert size < 1500  # two bitsets of 19 bytes, facts, and the archive's own


def test_infobatch_s_weights_are_part_of_its_trace(make, tmp_path):
    summary, _ = make("method=infobatch", *KEEP)
    first, second, *_ = read_selection(tmp_path / "runs" / summary["run"]).epochs

    assert first.weights is None  # nothing is known yet, nothing pruned
    assert sorted(set(second.weights.tolist())) == [1.0, 2.0]  # 1 / (1 - 0.5)


@pytest.mark.parametrize("at", [5, 8, 16])  # in the first epoch, at its end, in the second
def test_traces_are_exact_across_an_interruption(quick, tmp_path, monkeypatch, at):
    asked = (*QUICKER, "method=eswp", "trace.selection=true", "trace.losses=true")
    whole = train(quick(*asked, f"run.root={tmp_path / 'whole'}"))
    after_step = Engine.after_step

    def interrupted(self):
        after_step(self)
        if self.step == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "after_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(quick(*asked, "run.checkpoint_every_steps=3"))
    monkeypatch.setattr(Engine, "after_step", after_step)
    resumed = train(quick(*asked, "run.checkpoint_every_steps=3"))

    assert resumed["resumed"] == 1
    folders = tmp_path / "whole" / whole["run"], tmp_path / "runs" / whole["run"]
    one, two = (read_selection(folder) for folder in folders)
    assert one.fingerprint == two.fingerprint
    losses = [read_losses(folder) for folder in folders]
    assert torch.equal(losses[0].nan_to_num(nan=-1), losses[1].nan_to_num(nan=-1))

    # So is a replay that is interrupted.
    monkeypatch.setattr(Engine, "after_step", interrupted)
    replay = (*QUICKER, f"replay={folders[0]}", "run.checkpoint_every_steps=3")
    with pytest.raises(KeyboardInterrupt):
        train(quick(*replay))
    monkeypatch.setattr(Engine, "after_step", after_step)
    again = train(quick(*replay))
    assert equal(final_weights(tmp_path / "whole", whole), final_weights(tmp_path / "runs", again))


def test_all_losses_seen_are_kept(quick, tmp_path, monkeypatch):
    seen = torch.full((4, 150), torch.nan)
    tell = Engine.tell

    def spy(self, index, output):
        seen[self.epoch, index] = output.scores
        tell(self, index, output)

    monkeypatch.setattr(Engine, "tell", spy)
    summary = train(quick(*QUICKER, "method=eswp", "trace.losses=true"))
    losses = read_losses(tmp_path / "runs" / summary["run"])

    assert losses.shape == (4, 150)
    assert torch.equal(losses.isnan().sum(1), torch.tensor([30] * 4))  # pruned
    assert torch.equal(losses.nan_to_num(nan=-1), seen.half().float().nan_to_num(nan=-1))


def test_the_hash_follows_the_content_of_the_trace_and_not_its_place(make, quick, tmp_path):
    one, _ = make("method=es", *KEEP)
    moved = tmp_path / "elsewhere"
    (tmp_path / "runs" / one["run"]).rename(moved)
    other, _ = make("method=es", "seed=1", *KEEP)
    first, _ = make(f"replay={moved}")
    moved.rename(tmp_path / "runs" / one["run"])
    second, _ = make(f"replay={one['run']}")
    third, _ = make(f"replay={other['run']}")

    assert second["kept"]
    assert first["run"] == second["run"] != third["run"]


def test_a_replay_of_a_replay_is_the_same_run_again(make):
    recorded, before = make("method=es", *KEEP)
    again, _ = make(f"replay={recorded['run']}", *KEEP)
    once_more, after = make(f"replay={again['run']}")

    assert equal(before, after)
    assert once_more["run"] == again["run"]  # the same content: it is there already


def test_a_run_by_steps_is_replayed_to_its_last_one(make):
    recorded, before = make("method=es", "max_steps=11", *KEEP)
    _, after = make(f"replay={recorded['run']}", "max_steps=11")
    assert equal(before, after)

    for steps in ("14", "null"):
        with pytest.raises(ValueError, match=r"^max_steps=(14|None): must be at most 11, the step"):
            make(f"replay={recorded['run']}", f"max_steps={steps}")


BAD = [
    (("subset=140",), "replay num_samples=150: must be 140, as of this run"),
    (("epochs=5",), "replay num_epochs=4: must be 5, as of this run"),
    (("meta_batch_size=25",), "meta_batch_size=25: must be 20, as of the replayed run"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_a_trace_that_does_not_fit_is_one_line(make, cli, changes, message):
    recorded, _ = make("method=es", *KEEP)
    code, _, err = cli(*QUICKER, f"replay={recorded['run']}", *changes)

    assert code == 1
    assert err.startswith(f"error: {message}"), err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("bn_update=score", "bn_update='score': must be train"),
        ("bn_update=both", "bn_update='both': must be train"),
        ("score_mode=eval", "score_mode='eval': must be train"),
        ("score_micro_batch=8", "score_micro_batch=8: must be null"),
    ],
)
def test_what_says_how_to_score_is_refused(cli, change, said):
    code, _, err = cli("replay=any", change)
    assert (code, err) == (1, f"error: {said} under replay, which scores nothing\n")


def test_set_level_picks_may_be_cut_into_other_batches(make):
    recorded, _ = make("method=infobatch", *KEEP)
    again, _ = make(f"replay={recorded['run']}", "meta_batch_size=25")
    assert again["cost/bp_samples"] == recorded["cost/bp_samples"]


def test_missing_and_damaged_traces_are_named(make, cli, tmp_path):
    def failed(run):
        code, _, err = cli(*QUICKER, f"replay={run}")
        assert code == 1
        assert err.count("\n") == 1
        return err

    assert "nowhere: no such run" in failed("nowhere")
    plain, _ = make("method=es", "seed=7")
    assert "keeps no such trace; run it with trace.selection=true" in failed(plain["run"])
    recorded, _ = make("method=es", *KEEP)
    folder = tmp_path / "runs" / recorded["run"]
    (folder / "done").rename(folder / "hidden")
    assert "has not finished, so its trace has no end yet" in failed(recorded["run"])
    (folder / "hidden").rename(folder / "done")
    second = folder / "trace" / "selection-0001.npz"
    content = second.read_bytes()
    second.unlink()
    assert "the trace of epoch 1 is missing" in failed(recorded["run"])
    second.write_bytes(content[:200])
    assert "selection-0001.npz: damaged" in failed(recorded["run"])
    flipped = bytearray(content)
    flipped[len(flipped) // 4] ^= 255
    second.write_bytes(flipped)
    with pytest.raises(TraceDamaged, match="selection-0001"):
        read_selection(folder)


EDITS = [
    # An older version's, which lacks a fact (None); then what hands and disks may make of one.
    ({"nonfinite": None}, {}, "not what this version writes (no 'nonfinite')"),
    ({}, {"planned": None}, "not what this version writes (no 'planned')"),
    ({"epoch": 2}, {}, "(epoch=2: must be 1, as in its name)"),
    ({"seed": 5}, {}, "of another run than selection-0000.npz"),
    ({"steps": [[5, 7]]}, {}, "epoch 1: rows of its steps=35: must be 30, as trained"),
    ({"steps": [5]}, {}, "not what this version writes ("),
    ({"lr_scale": "big"}, {}, "epoch 1: lr_scale='big': must be in"),
    ({"plan_batch_ratio": 0}, {}, "epoch 1: batch_ratio=0: must be in"),
    ({}, {"planned": np.zeros(9, np.uint8)}, "epoch 1: planned='torch.uint8 (9,)': must be"),
    ({}, {"trained": np.zeros(19)}, "epoch 1: trained='torch.float64 (19,)': must be"),
    ({}, {"trained": np.full(19, 255, np.uint8)}, "samples trained but not planned=30: must be"),
    ({}, {"weights": np.ones(3)}, "epoch 1: weights.shape=(3,): must be (120,), as planned"),
]


def edited(contents, changes):
    return {key: value for key, value in (contents | changes).items() if value is not None}


@pytest.mark.parametrize(("facts", "arrays", "said"), EDITS)
def test_an_edited_trace_is_one_line(make, cli, tmp_path, facts, arrays, said):
    recorded, _ = make("method=eswp", *KEEP)
    path = tmp_path / "runs" / recorded["run"] / "trace" / "selection-0001.npz"
    with np.load(path) as archive:
        contents = dict(archive)
    text = json.dumps(edited(json.loads(bytes(contents["facts"])), facts)).encode()
    contents["facts"] = np.frombuffer(text, dtype=np.uint8)
    np.savez_compressed(path, **edited(contents, arrays))
    before = sorted((tmp_path / "runs").rglob("*"))

    code, _, err = cli(*QUICKER, f"replay={recorded['run']}")
    assert code == 1
    assert said in err
    assert err.count("\n") == 1
    assert sorted((tmp_path / "runs").rglob("*")) == before  # no run has begun


def test_an_edited_run_folder_is_one_line(make, cli, tmp_path):
    recorded, _ = make("method=es", *KEEP, "trace.losses=true")
    folder = tmp_path / "runs" / recorded["run"]
    files = [folder / "trace" / f"selection-000{x}.npz" for x in range(5)]
    history, content = folder / "history.jsonl", files[3].read_bytes()

    def failed(run=recorded["run"]):
        code, _, err = cli(*QUICKER, f"replay={run}")
        assert code == 1
        assert err.count("\n") == 1
        return err

    files[4].write_bytes(content)
    assert "selection-0004.npz: of no epoch of this run, whose history has 4" in failed()
    files[4].unlink()
    files[3].write_bytes(files[2].read_bytes())
    assert "selection-0003.npz: not what this version writes (epoch=2: must be 3" in failed()
    np.save(folder / "array.npy", np.zeros(3))
    (folder / "array.npy").rename(files[3])
    assert "selection-0003.npz: damaged (" in failed()
    files[3].write_bytes(content)
    # Lines that no run has written are no epochs.
    lines = history.read_text()
    history.write_text(lines + '[1]\n{"kind": "epoch"}\n{"kind": "epoch", "epoch": null}\n')
    make(f"replay={recorded['run']}")
    history.unlink()
    assert "selection-0000.npz: of no epoch of this run, whose history has 0" in failed()
    assert "replay=1e+16: must be a run's hash or folder; one that reads as a" in failed("1e16")

    history.write_text(lines)
    losses = [folder / "trace" / f"losses-000{x}.npz" for x in range(2)]
    losses[1].write_bytes(losses[0].read_bytes())
    with pytest.raises(TraceDamaged, match=r"losses-0001\.npz: not what .*\(epoch=0: must be 1"):
        read_losses(folder)
    np.savez(losses[1], losses=np.zeros((150, 1)), epoch=1)
    with pytest.raises(
        TraceDamaged, match=r"losses-0001\.npz: not what .*must be float16 of shape"
    ):
        read_losses(folder)


def test_a_trace_is_not_begun_in_the_middle_nor_asked_of_a_run_without(make, quick, monkeypatch):
    make("method=es")
    with pytest.raises(ValueError, match=r"^trace.losses=True: must be false: .* has finished"):
        make("method=es", "trace.losses=true")
    after_step = Engine.after_step

    def interrupted(self):
        after_step(self)
        if self.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "after_step", interrupted)
    halves = (*QUICKER, "method=es", "seed=1", "run.checkpoint_every_steps=2")
    with pytest.raises(KeyboardInterrupt):
        train(quick(*halves))
    monkeypatch.setattr(Engine, "after_step", after_step)
    with pytest.raises(
        ValueError, match=r"^trace.selection=True: must be false: the run has begun"
    ):
        train(quick(*halves, *KEEP))
    with pytest.raises(ValueError, match=r"^trace.losses='yes please': must be true or false$"):
        make("trace.losses=yes please")
    with pytest.raises(ValueError, match=r"^trace.selection=True: must be false with run.cont"):
        make("run.continue_from=abc", *KEEP)


def test_other_data_of_the_same_size_is_warned_of(make, caplog):
    recorded, _ = make("method=es", *KEEP)
    make(f"replay={recorded['run']}", "model.hidden=[16]")
    assert "another fingerprint" not in caplog.text
    make(f"replay={recorded['run']}", "dataset.subset_seed=1")
    assert "recorded on data of another fingerprint" in caplog.text


def test_rows_that_were_not_picked_are_noticed(make, quick, monkeypatch):
    recorded, _ = make("method=es", *KEEP)
    init = Replay.__init__

    def shuffled(self, *rest, **options):
        init(self, *rest, **options)
        self.order_seed += 1

    monkeypatch.setattr(Replay, "__init__", shuffled)
    with pytest.raises(RuntimeError, match="rows were trained that the replayed run had not"):
        make(f"replay={recorded['run']}")
