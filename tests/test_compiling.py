"""torch.compile serves whole batches, leaves short ones alone and changes nothing but rounding."""

import pytest
import torch
from test_engine import engine, weights
from torch._dynamo.utils import counters

from es_repro.compiling import Compiler, resolve_compile


@pytest.mark.parametrize(
    ("asked", "device", "compiled"),
    [("auto", "cpu", False), ("auto", "cuda", True), (True, "cpu", True), (False, "cuda", False)],
)
def test_auto_compiles_on_cuda(asked, device, compiled):
    assert resolve_compile(asked, torch.device(device)) is compiled


def test_another_value_is_named():
    with pytest.raises(ValueError, match=r"^compile=maybe: must be auto, true or false$"):
        resolve_compile("maybe", torch.device("cpu"))


def test_only_the_sizes_of_whole_batches_are_compiled():
    torch._dynamo.reset()
    counters.clear()
    compiler = Compiler(enabled=True, mode="default")
    compiler.fix_sizes([4, None])
    net = torch.nn.Linear(3, 2)
    compiled = torch.compile(net, backend="eager", dynamic=False)
    for rows in (4, 3, 4, 2):
        with compiler.at(rows):
            torch.testing.assert_close(compiled(torch.ones(rows, 3)), net(torch.ones(rows, 3)))
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["baseline", "eswp"])
def test_a_compiled_run_is_the_eager_one_to_rounding(method):
    torch._dynamo.reset()
    counters.clear()
    eager = engine(method, norm=True)
    compiled = engine(method, norm=True, settings={"compile": True})
    for run in (eager, compiled):
        run.warm_up()
        run.train_epoch()

    torch.testing.assert_close(weights(eager), weights(compiled), rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(eager.net.buffers(), compiled.net.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert counters["stats"]["unique_graphs"] > 0


def test_each_run_of_a_sweep_has_all_graphs_to_itself(cli, monkeypatch):
    """The cache holds eight graphs of a class of nets; beyond them torch goes on uncompiled."""
    resets = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(1))
    for compiled, times in (("true", 2), ("false", 0)):
        resets.clear()
        code, out, err = cli("-m", "method=baseline,es", f"compile={compiled}")
        assert code == 0, out + err
        assert len(resets) == times
