"""The kit: every method keeps every promise, and whoever breaks one is told that very one."""

import random
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from broken import BROKEN
from variants import VARIANTS

from es_repro.selection import create
from es_repro.selection.conformance import PROMISES, BrokenPromise, check, keep, resolve

KIT = ["--pyargs", "es_repro.selection.conformance", "-p", "es_repro.pytest_plugin"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("promise", PROMISES)
def test_every_method_keeps_every_promise(variant, promise):
    name, hyperparameters = VARIANTS[variant]
    keep(promise, partial(create, name, **hyperparameters))


@pytest.mark.parametrize(("promise", "method"), BROKEN, ids=lambda x: getattr(x, "__name__", x))
def test_a_broken_promise_is_named_and_no_other(promise, method):
    failures = check(method)
    assert [failure.promise for failure in failures] == [promise], failures


def test_each_promise_has_a_selector_that_breaks_it():
    assert {promise for promise, _ in BROKEN} == set(PROMISES)


def test_what_cannot_be_built_breaks_every_promise_in_words():
    failures = check(lambda *_, **__: create("es", 10, 10, batch_ratio=0))
    assert [failure.promise for failure in failures] == list(PROMISES)
    assert str(failures[0]) == "plans: it raised ValueError: batch_ratio=0: must be in (0, 1]"


def test_a_name_stands_for_its_selector():
    assert check("random") == []
    with pytest.raises(ValueError, match=r"^method='ess': must be a method, one of .*mean 'es'"):
        check("ess")


def test_the_kit_leaves_the_generators_and_the_tensors_methods_alone():
    numpy_state = lambda: np.random.get_state()[1].tolist()  # noqa: E731, NPY002
    before = torch.get_rng_state(), random.getstate(), numpy_state()
    methods = torch.Tensor.item, torch.Tensor.cpu, torch.Generator
    for name in ("global generators", "no waiting"):
        with pytest.raises(BrokenPromise):
            keep(name, next(method for promise, method in BROKEN if promise == name))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert numpy_state() == before[2]
    assert (torch.Tensor.item, torch.Tensor.cpu, torch.Generator) == methods


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("ess", r"^method='ess': must be a method, one of baseline.*did you mean 'es'"),
        ("nowhere:Mine", r"^selector='nowhere:Mine': must be a method, or module:attribute"),
        ("broken:Mine", r"^selector='broken:Mine': .*no attribute 'Mine'"),
    ],
)
def test_names_that_lead_nowhere(selector, message):
    with pytest.raises(ValueError, match=message):
        resolve(selector)


def run_pytest(*arguments, cwd):
    command = [sys.executable, "-m", "pytest", "-q", *KIT, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from es_repro.selection.baseline import Baseline\n\n\n"
        "class Mine(Baseline):\n"
        "    def reduce(self, index, losses):\n"
        "        return losses.mean()\n"
    )
    found = run_pytest("--selector", "eswp", "--selector", "mine:Mine", cwd=tmp_path)
    assert found.returncode == 1, found.stdout + found.stderr
    assert f"1 failed, {2 * len(PROMISES) - 1} passed" in found.stdout
    assert "reduce takes a scalar loss without a ValueError" in found.stdout
    for arguments in ([], ["--selector", "ess"]):
        found = run_pytest(*arguments, cwd=tmp_path)
        assert found.returncode != 0
        assert "must be a method, " in found.stdout + found.stderr
        assert "--selector" in found.stdout + found.stderr
