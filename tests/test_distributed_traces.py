"""Traces of a run on two ranks: what all of them planned, picked and lost, and its replay."""

from itertools import chain

import pytest
import torch

from es_repro.selection.replay import unpack_bits
from es_repro.storage.trace_files import read_losses, read_selection
from es_repro.train import train
from tests.ranks import handed_over, launch, traced

KEEP = ("trace.selection=true", "trace.losses=true")
# Nothing moves, so that a loss is the same whoever computes it and when.
STILL = ("optimizer.lr=0", "subset=160", "meta_batch_size=40", "epochs=4", "run.log_every=3")


def on_two(config, tmp_path, *arguments):
    return launch(traced, tmp_path / "answers", handed_over(config), *arguments)


def masks(trace):
    """What was planned and what was trained: [epochs, n] bool each."""
    return (
        torch.stack(
            [unpack_bits(getattr(epoch, name), trace.num_samples) for epoch in trace.epochs]
        )
        for name in ("planned", "trained")
    )


@pytest.mark.parametrize("method", ["baseline", "infobatch", "ka"])
def test_two_ranks_keep_the_trace_of_one(quick, tmp_path, method):
    # KAKURENBO hides only what is right and sure, which an untrained net is not.
    more = ("method.threshold=0", "method.max_fraction=0.6") if method == "ka" else ()
    asked = (f"method={method}", *STILL, *more, *KEEP)
    alone = tmp_path / "runs" / train(quick(*asked))["run"]
    first, _ = on_two(quick(*asked), tmp_path)
    together = tmp_path / "runs" / first["summary"]["run"]

    one, two = read_selection(alone), read_selection(together)
    assert (one.world_size, two.world_size) == (1, 2)
    planned, trained = masks(one)
    same_plan, evened = masks(two)
    assert torch.equal(planned, same_plan)
    # Of an odd number of planned samples the last one waits for another epoch.
    assert not bool((evened & ~trained).any())
    assert (trained & ~evened).sum(1).tolist() == (planned.sum(1) % 2).tolist()
    for mine, theirs in zip(one.epochs, two.epochs, strict=True):
        assert (mine.weights is None) == (theirs.weights is None)
        if mine.weights is not None:
            assert torch.equal(mine.weights, theirs.weights)
    before, after = read_losses(alone), read_losses(together)
    left_out = trained & ~evened
    assert torch.equal(before.isnan(), after.isnan() & ~left_out)
    seen = ~after.isnan()
    torch.testing.assert_close(after[seen], before[seen], rtol=2e-3, atol=1e-3)  # halves


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_replay_of_two_ranks_repeats_each_rank_s_picks(quick, tmp_path, strategy):
    # 161 samples: one is left out, and last batches are short.
    sizes = ("subset=161", "meta_batch_size=16", "seed=2", f"run.strategy={strategy}")
    recorded = on_two(quick("method=eswp", *sizes, *KEEP), tmp_path)
    run = recorded[0]["summary"]["run"]
    trace = read_selection(tmp_path / "runs" / run)

    planned, trained = masks(trace)
    steps = chain.from_iterable(rank["steps"] for rank in recorded)
    assert sorted(chain.from_iterable(steps)) == sorted(trained.nonzero()[:, 1].tolist())
    assert bool(planned[trained].all())
    losses = read_losses(tmp_path / "runs" / run)
    assert (~losses.isnan()).sum(1).tolist() == (planned.sum(1) // 2 * 2).tolist()

    again = on_two(quick(f"replay={run}", *sizes), tmp_path)
    for before, after in zip(recorded, again, strict=True):
        assert after["steps"] == before["steps"]
        for name, weights in before["model"].items():
            assert torch.equal(weights, after["model"][name]), name
    summary = again[0]["summary"]
    assert summary["cost/forward_samples"] == summary["cost/bp_samples"]
    assert summary["cost/bp_samples"] == trace.num_rows(16, 2)


@pytest.mark.slow
def test_a_trace_of_two_ranks_is_exact_across_a_kill(quick, tmp_path):
    asked = ("method=eswp", "meta_batch_size=20", "epochs=4", "run.checkpoint_every_steps=3", *KEEP)
    whole, _ = on_two(quick(*asked, f"run.root={tmp_path / 'whole'}"), tmp_path)
    _, second = on_two(quick(*asked), tmp_path, (1, 13))
    assert second == "killed"
    resumed, _ = on_two(quick(*asked), tmp_path)

    assert resumed["summary"]["resumed"] == 1
    folders = [tmp_path / root / whole["summary"]["run"] for root in ("whole", "runs")]
    one, two = map(read_selection, folders)
    assert one.fingerprint == two.fingerprint
    before, after = map(read_losses, folders)
    assert torch.equal(before.nan_to_num(nan=-1), after.nan_to_num(nan=-1))


def test_picks_of_two_ranks_are_not_replayed_by_one(quick, tmp_path):
    recorded, _ = on_two(quick("method=es", *STILL, *KEEP), tmp_path)
    with pytest.raises(
        ValueError, match=r"^world_size=1: must be 2, as of the replayed run, which"
    ):
        train(quick(f"replay={recorded['summary']['run']}", *STILL))
