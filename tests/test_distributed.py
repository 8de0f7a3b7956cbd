"""Several ranks train one run: two gloo processes against one, or against a simulation."""

import gc
import json
import os
from itertools import chain
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from es_repro.build import load_data
from es_repro.engine import Engine
from es_repro.models import mlp
from es_repro.selection import PlannedBatchSampler, count, create
from es_repro.selection.exchange import pack, unpack
from es_repro.selection.sampling import draw
from es_repro.selection.streams import stream
from es_repro.tasks import Classification
from es_repro.train import train
from tests.ranks import handed_over, launch, traced

# Nothing moves (lr 0), and 160 samples make whole batches of 40, whole ones of 20 on two ranks.
STILL = ("optimizer.lr=0", "subset=160", "meta_batch_size=40", "epochs=4", "run.log_every=3")


def on_two(config, tmp_path, *arguments):
    return launch(traced, tmp_path / "answers", handed_over(config), *arguments)


def union(ranks):
    """The ids of each step over all ranks."""
    steps = zip(*(rank["steps"] for rank in ranks), strict=True)
    return [sorted(chain.from_iterable(step)) for step in steps]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["baseline", "infobatch", "ucb", "ka", "random_set"])
@pytest.mark.parametrize("sync", ["step", "epoch"])
def test_set_level_methods_train_on_what_one_process_does(quick, tmp_path, method, sync):
    # KAKURENBO hides only what is right and sure, which an untrained net is not.
    more = ["method.threshold=0", "method.max_fraction=0.6"] if method == "ka" else []
    one = traced(quick(f"method={method}", *STILL, *more))
    config = quick(f"method={method}", *STILL, *more, f"run.table_sync={sync}")
    first, second = on_two(config, tmp_path)

    assert first["plans"] == second["plans"] == one["plans"]
    # Of an odd number of planned samples the last one is left out, so that the ranks have as many.
    evened = [sorted(step[: len(step) - len(step) % 2]) for step in one["steps"]]
    assert union([first, second]) == evened
    if method == "ka":
        assert any(plan["refresh"] for plan in one["plans"])
    if method in ("infobatch", "ucb", "random_set", "ka"):
        assert len(one["plans"][2]["indices"]) < 160
    assert first["tables"].keys() == one["tables"].keys()
    for name, table in one["tables"].items():
        assert torch.equal(first["tables"][name], second["tables"][name])
        torch.testing.assert_close(first["tables"][name], table)
    cost, reference = (
        {k: v for k, v in run["summary"].items() if k.startswith("cost/")} for run in (first, one)
    )
    left_out = sum(len(step) % 2 for step in one["steps"])
    twice = sum(len(plan["refresh"]) % 2 for plan in one["plans"])  # one of an odd number
    reference["cost/bp_samples"] -= left_out
    reference["cost/forward_samples"] += twice - left_out
    reference["cost/flops"] += (twice - 3 * left_out) * reference["cost/flops_per_sample"]
    assert cost == reference
    for name in ("test/accuracy", "test/loss"):
        assert first["summary"][name] == second["summary"][name]
        assert first["summary"][name] == pytest.approx(one["summary"][name], rel=1e-5)


def test_evolved_sampling_is_its_simulation_with_the_same_strata(quick, tmp_path):
    """Each rank draws from its own half of a batch, by a stream of its own; one table for all."""
    config = quick("method=es", *STILL)
    first, second = on_two(config, tmp_path)

    beta1, beta2, ratio, seed = 0.2, 0.9, 0.25, 0
    scores, weights = torch.full((160,), 1 / 160), torch.full((160,), 1 / 160)
    model = mlp(hidden=[64, 64], num_classes=10, image_size=8, in_channels=1)
    model.load_state_dict(first["model"])
    pixels, labels = samples(config)
    expected = []
    for epoch in range(4):
        order = torch.randperm(160, generator=stream(seed, "order", epoch))
        streams = [stream(seed, "select", epoch), stream(seed, "select/1", epoch)]
        for batch in order.split(40):
            picks = []
            for rank in range(2):
                ids = batch[rank::2]
                with torch.no_grad():
                    losses = F.cross_entropy(model(pixels[ids]), labels[ids], reduction="none")
                weights[ids] = beta1 * scores[ids] + (1 - beta1) * losses
                scores[ids] = beta2 * scores[ids] + (1 - beta2) * losses
                picked = draw(weights[ids], count(ratio, 20), streams[rank])
                picks.append(ids[picked].tolist())
            expected.append(picks)

    assert [list(step) for step in zip(first["steps"], second["steps"], strict=True)] == expected
    for rank in (first, second):
        assert torch.equal(rank["tables"]["scores"], scores)
        assert torch.equal(rank["tables"]["weights"], weights)


def samples(config):
    """Inputs and labels of the run's data set, by id."""
    data = load_data(config)
    sampler = PlannedBatchSampler(create("baseline", data.num_samples, 1), 8)
    loader = data.loader(sampler, seed=0, device=torch.device("cpu"))
    loader.set_epoch(0)
    return loader.rows(torch.arange(data.num_samples))


@pytest.mark.parametrize(
    ("method", "pieces"),
    [("baseline", "null"), ("baseline", "7"), ("infobatch", "null")],
)
def test_gradients_are_those_of_the_whole_batch(quick, tmp_path, method, pieces):
    overrides = [f"method={method}", "subset=160", "meta_batch_size=40", "epochs=2", "seed=2"]
    overrides += ["method.delta=1"] if method == "infobatch" else []
    one = traced(quick(*overrides))
    first, second = on_two(quick(*overrides, f"micro_batch_size={pieces}"), tmp_path)

    assert all(len(plan["indices"]) % 2 == 0 for plan in one["plans"])  # nothing is left out
    if method == "infobatch":
        assert len(one["plans"][1]["indices"]) < 160
        assert first["tables"]["rescaled"].any()
    for name, weights in one["model"].items():
        assert torch.equal(first["model"][name], second["model"][name])
        torch.testing.assert_close(first["model"][name], weights, rtol=1e-4, atol=1e-6)


def test_ranks_take_equally_many_steps_whatever_is_left(quick, tmp_path):
    # 161 samples: one is left out, and last batches are short.
    config = quick("method=eswp", "subset=161", "meta_batch_size=16", "method.prune_ratio=0.37")
    first, second = on_two(config, tmp_path)

    assert [len(x) for x in first["steps"]] == [len(x) for x in second["steps"]]
    assert first["plans"] == second["plans"]
    assert all(torch.equal(t, second["tables"][name]) for name, t in first["tables"].items())
    assert all(len(set(step)) == len(step) for step in union([first, second]))


@pytest.mark.slow
def test_a_killed_rank_ends_the_others_and_the_run_goes_on(quick, tmp_path):
    overrides = ("method=es", "meta_batch_size=20", "epochs=4", "run.checkpoint_every_steps=4")
    whole, _ = on_two(quick(*overrides, f"run.root={tmp_path / 'whole'}"), tmp_path)
    config = quick(*overrides)

    first, second = on_two(config, tmp_path, (1, 15))
    assert second == "killed"
    assert first.startswith("RankLost: another process of this run has ended")
    (folder,) = (x.parent for x in (tmp_path / "runs").glob("*/failed.json"))
    assert json.loads((folder / "failed.json").read_text())["type"] == "RankLost"
    assert not (folder / "lease.json").exists()
    assert (folder / "checkpoints" / "step-000000012.pt").exists()

    again, _ = on_two(config, tmp_path)
    assert again["summary"]["resumed"] == 1
    assert len(again["steps"]) == 40 - 12
    assert again["summary"]["test/loss"] == whole["summary"]["test/loss"]
    for key in ("model", "optimizer", "selector", "picks", "cost", "generators", "ranks"):
        assert same(again["state"][key], whole["state"][key]), key
    assert (folder / "done").exists()
    assert not (folder / "failed.json").exists()


def same(one, two):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two


@pytest.mark.slow
@pytest.mark.parametrize("method", ["es", "ka", "infobatch"])
def test_two_ranks_continue_what_one_process_began(quick, tmp_path, method, monkeypatch):
    overrides = (f"method={method}", *STILL, "optimizer.lr=0.1")
    whole = traced(quick(*overrides, f"run.root={tmp_path / 'whole'}"))
    config = quick(*overrides)
    config.run.continue_from = begun(quick(*overrides), monkeypatch, step=6)
    first, second = on_two(config, tmp_path)

    assert first["summary"]["run"] != config.run.continue_from
    assert first["plans"] == second["plans"]
    assert first["plans"][0] == whole["plans"][1]
    assert all(torch.equal(t, second["tables"][name]) for name, t in first["tables"].items())
    # The second epoch was left after its second batch: what is trained next is its rest.
    rest = whole["steps"][6:8]
    assert [len(step) for step in union([first, second])[:2]] == [len(x) - len(x) % 2 for x in rest]
    if method != "es":  # which draws by other streams
        assert union([first, second])[0] == sorted(rest[0])
    before = sum(len(step) for step in whole["steps"][:6])
    after = sum(len(step) for step in union([first, second]))
    assert first["summary"]["cost/bp_samples"] == before + after


def begun(config, monkeypatch, step):
    """Interrupt a run after a step, its checkpoint written; answers its name."""
    after_step = Engine.after_step

    def interrupted(self):
        after_step(self)
        if self.step == step:
            self.save()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "after_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    (folder,) = Path(config.run.root).glob("*/checkpoints")
    return folder.parent.name


def test_a_checkpoint_within_an_epoch_of_other_batches_is_refused(quick, tmp_path, monkeypatch):
    # Random at batch level loads half-up(0.25 * 10) = 3 rows, or twice half-up(0.25 * 5) = 1.
    overrides = ("method=random_batch", "meta_batch_size=10", "subset=100", "epochs=4")
    config = quick(*overrides)
    config.run.continue_from = begun(quick(*overrides), monkeypatch, step=3)

    for answer in on_two(config, tmp_path):
        assert answer.startswith("ValueError: world_size=2: must be that of the checkpoint")
        assert answer.count("\n") == 0


def test_nothing_to_continue_is_one_line(quick):
    config = quick()
    config.run.continue_from = "0123456789abcdef"
    with pytest.raises(ValueError, match=r"run.continue_from='0123456789abcdef': must be a run"):
        train(config)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("meta_batch_size=41", "meta_batch_size=41: must be divisible by world_size=2"),
        ("run.strategy=zero", "run.strategy='zero': must be ddp or fsdp"),
        ("run.table_sync=never", "run.table_sync='never': must be step or epoch"),
    ],
)
def test_bad_input_is_the_same_line_on_every_rank(quick, tmp_path, override, message):
    answers = on_two(quick(override), tmp_path)

    # Where rank 0 alone can see it, the other one learns that rank 0 has gone.
    assert f"ValueError: {message}" in answers


def test_shards_cannot_skip_a_step_and_no_hint_says_they_could(quick, tmp_path):
    answers = on_two(quick("+method.nonfinite=skip", "run.strategy=fsdp"), tmp_path)

    assert (
        "ValueError: nonfinite='skip': must be raise: shards (fsdp) cannot skip a step" in answers
    )


def poisoned(config, rank):
    """Train where one rank meets losses that are not finite."""
    forward = Classification.__call__

    def poison(self, model, inputs, targets, signals):
        output = forward(self, model, inputs, targets, signals)
        output.scores[0] = torch.nan
        return output

    if os.environ["RANK"] == str(rank):
        Classification.__call__ = poison
    return traced(config)


def with_a_seed_of_its_own(config):
    """Train with another seed on every rank, as no launch would."""
    config.seed = int(os.environ["RANK"])
    return traced(config)


def test_ranks_that_plan_differently_stop_before_they_train(quick, tmp_path):
    config = quick("method=random_set")
    answers = launch(with_a_seed_of_its_own, tmp_path / "answers", handed_over(config))

    assert answers[0] == answers[1]
    assert answers[0].startswith("RuntimeError: epoch 0: the ranks' plans differ")


@pytest.mark.parametrize("sync", ["step", "epoch"])
def test_a_bad_loss_on_one_rank_stops_all_at_the_same_step(quick, tmp_path, sync):
    config = quick("method=es", f"run.table_sync={sync}", "run.log_every=4")
    answers = launch(poisoned, tmp_path / "answers", handed_over(config), 1)

    for answer in answers:
        assert answer.startswith("FloatingPointError: step 0: non-finite losses of sample ids [")
        assert "; 4 in all since the last check)" in answer
    if sync == "step":
        assert answers[0] == answers[1]
        assert "epoch 0, batch 0" in answers[0]


@pytest.mark.slow
def test_sharded_parameters_train_save_and_resume(quick, tmp_path):
    overrides = ("method=es", "meta_batch_size=20", "epochs=3", "run.checkpoint_every_steps=4")
    plain, _ = on_two(quick(*overrides, f"run.root={tmp_path / 'ddp'}"), tmp_path)
    config = quick(*overrides, "run.strategy=fsdp", "clip_norm=1000")
    first, second = on_two(config, tmp_path, (1, 15))
    assert (first[:8], second) == ("RankLost", "killed")
    first, second = on_two(config, tmp_path)

    assert first["summary"]["resumed"] == 1
    assert first["plans"] == second["plans"]
    for name, weights in plain["model"].items():
        torch.testing.assert_close(first["model"][name], weights, rtol=1e-4, atol=1e-5)
    # A whole state, which one process reads as its own.
    (path,) = (tmp_path / "runs").glob("*/checkpoints/*.pt")
    state = torch.load(path, weights_only=True)
    assert all(type(x) is torch.Tensor for x in state["model"].values())
    alone = quick(*overrides, "epochs=3", "clip_norm=1000")
    alone.run.continue_from = first["summary"]["run"]
    assert train(alone)["test/loss"] == pytest.approx(first["summary"]["test/loss"])


def whole_parameters(config):
    """Tensors with numbers and the shape of a whole parameter that live before the first step."""
    fit, found = Engine.fit, []

    def looked(self):
        shapes = {parameter.shape for parameter in self.net.parameters() if parameter.ndim > 1}
        plain = [x for x in gc.get_objects() if type(x) in (torch.Tensor, torch.nn.Parameter)]
        found.append(sum(not x.is_meta and x.shape in shapes for x in plain))
        return fit(self)

    Engine.fit = looked
    summary = train(config)
    return {"found": found, "flops": summary["cost/flops"]}


def test_no_rank_keeps_a_sharded_model_whole_and_its_flops_are_counted_all_the_same(
    quick, tmp_path
):
    alone = train(quick("method=es", *STILL))["cost/flops"]
    config = quick("method=es", *STILL, "run.strategy=fsdp")
    ranks = launch(whole_parameters, tmp_path / "answers", handed_over(config))

    assert ranks == [{"found": [0], "flops": alone}] * 2


def test_packed_rows_come_back_bit_for_bit():
    index = torch.tensor([0, 2**24 + 1, 2**40 + 3])
    losses = torch.tensor([0.1, torch.nan, 3e-42])
    signals = {
        "correct": torch.tensor([True, False, True]),
        "confidence": torch.tensor([0.1, 0.2, 0.3], dtype=torch.bfloat16),
        "features": torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0)),
    }
    like = {name: signal[:0] for name, signal in signals.items()}
    ids, values, found = unpack(pack(index, losses, signals), like)

    assert torch.equal(ids, index)
    assert torch.equal(values.view(torch.int32), losses.view(torch.int32))
    for name, signal in signals.items():
        assert found[name].dtype == signal.dtype
        assert torch.equal(found[name], signal)
