"""The three lines of the README, copied out of it and run."""

import re
import sys
import textwrap
import types
from pathlib import Path

import torch
from test_engine import EPOCHS, N, TensorLoader, network
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from es_repro.selection import create
from es_repro.selection.conformance import check

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_method_keeps_the_contract(monkeypatch):
    section = README.read_text().partition("## A method of your own")[2]
    code = textwrap.dedent(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1])
    module = types.ModuleType("es_repro.selection.selective")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(code, vars(module))
    assert check(module.SelectiveBackprop) == []


def test_the_readmes_loop():
    section = README.read_text().partition("## A cheaper loop of your own")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    rows, model = TensorLoader(create("baseline", N, 1)), network()
    before = nn.utils.parameters_to_vector(model.parameters()).clone()
    given = {
        "cross_entropy": cross_entropy,
        "device": "cpu",
        "data": TensorDataset(rows.inputs, rows.labels),
        "epochs": EPOCHS,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
    }
    exec(code, given)
    selection = given["selection"]
    assert selection.epochs == range(EPOCHS, EPOCHS)
    assert selection.selector.epoch == EPOCHS - 1
    assert (selection.selector.scores != 1 / N).all()  # every sample was met
    assert not nn.utils.parameters_to_vector(model.parameters()).equal(before)
    assert 0 < given["loss"].item() < 2
