"""Language models on two gloo ranks, by DDP and sharded: tables, costs and files as alone."""

import pytest
import torch
from glue_files import write_task, write_tokenizer
from test_glue_runs import SMALL as SMALL_GLUE
from test_sft_run import SMALL as SMALL_SFT

from es_repro.train import train
from tests.data.problems import write_gsm8k
from tests.ranks import handed_over, launch, traced

STRATEGIES = ("ddp", "fsdp")


@pytest.fixture
def fine_tune(compose_run, tmp_path):
    """Configs of a tiny Qwen2 on 40 problems, where every global batch is whole."""
    write_gsm8k(tmp_path / "data", train=60)
    places = (f"run.root={tmp_path / 'runs'}", f"run.data_root={tmp_path / 'data'}")
    sizes = ("meta_batch_size=20", "micro_batch_size=4", "max_steps=6", "keep_steps=[3,6]")

    return lambda *overrides: compose_run(*SMALL_SFT, *places, *sizes, *overrides)


def on_two(config, tmp_path):
    first, second = launch(traced, tmp_path / "answers", handed_over(config))
    assert isinstance(first, dict), first
    assert isinstance(second, dict), second
    return first, second


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("method", ["baseline", "eswp"])
def test_two_ranks_fine_tune_one_model(fine_tune, tmp_path, method, strategy):
    config = fine_tune(f"method={method}", f"run.strategy={strategy}")
    first, second = on_two(config, tmp_path)

    assert first["plans"] == second["plans"]
    assert len(first["steps"]) == len(second["steps"]) == 6
    for name, table in first["tables"].items():
        assert torch.equal(table, second["tables"][name])
    for name, weights in first["model"].items():
        assert torch.equal(weights, second["model"][name]), name
    assert first["summary"]["test/loss"] == second["summary"]["test/loss"]
    folder = tmp_path / "runs" / first["summary"]["run"]
    assert sorted(x.name for x in (folder / "exports").iterdir()) == ["step-3", "step-6"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_ranks_give_the_loss_of_one(fine_tune, tmp_path, strategy):
    alone = train(fine_tune("method=baseline"))
    first, _ = on_two(fine_tune("method=baseline", f"run.strategy={strategy}"), tmp_path)

    for name in ("cost/bp_samples", "cost/forward_samples"):
        assert first["summary"][name] == alone[name]
    # Each rank pads its rows to its own longest.
    assert first["summary"]["cost/flops"] == pytest.approx(alone["cost/flops"], rel=0.02)
    assert first["summary"]["test/loss"] == pytest.approx(alone["test/loss"], rel=1e-4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_ranks_classify_sentences(quick, tmp_path, strategy):
    tokenizer = write_tokenizer(tmp_path / "tokenizer")
    write_task(tmp_path, "cola")
    config = quick(
        "experiment=table5_glue_albert_cola", f"run.data_root={tmp_path}", *SMALL_GLUE,
        f"dataset.tokenizer={tokenizer}", "dataset.download=never", "method=es", "subset=16",
        f"run.strategy={strategy}",
    )  # fmt: skip
    first, second = on_two(config, tmp_path)

    assert first["plans"] == second["plans"]
    assert torch.equal(first["tables"]["weights"], second["tables"]["weights"])
    assert first["summary"]["test/matthews"] == second["summary"]["test/matthews"]
