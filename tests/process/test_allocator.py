"""Freed memory stays with the process: no page of it is faulted in twice."""

import subprocess
import sys

import pytest

from es_repro.process.allocator import keep_freed_memory

ROUNDS, BLOCKS, BLOCK = 20, 64, 2**20
PAGES = ROUNDS * BLOCKS * BLOCK // 4096
CODE = f"""
import resource
import torch
from es_repro.process.allocator import keep_freed_memory
{{}}
def step():
    held = [torch.ones({BLOCK}, dtype=torch.uint8) for _ in range({BLOCKS})]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(first):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(first)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="not glibc")
def test_what_a_step_frees_is_not_faulted_in_again():
    # glibc's own static thresholds give everything back after each step.
    give_back = "import ctypes; [ctypes.CDLL(None).mallopt(k, 128 * 1024) for k in (-1, -3)]"
    assert faults(give_back) > PAGES / 2
    assert faults("assert keep_freed_memory()") < PAGES / 20
