"""A sweep that is told to end: its runs save first, and it waits for nothing else."""

import os
import signal
import subprocess
import sys
import time

import pytest

from es_repro.engine import Stopped
from es_repro.process.signals import SweepSignals
from es_repro.storage.lease import is_held

# A worker that takes the next run of its queue as soon as it has given one back.
WORKER = """
import signal, sys, time
from pathlib import Path
from es_repro.storage.lease import Lease
root, told = Path(sys.argv[1]), []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
with Lease(root / "one"):
    print("held", flush=True)
    while not told:
        time.sleep(0.01)
with Lease(root / "two"):
    time.sleep(60)
"""


def test_it_waits_for_the_runs_that_were_held_and_not_for_the_next(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    signals, started = SweepSignals(tmp_path), time.monotonic()
    try:
        assert worker.stdout.readline() == "held\n"
        with pytest.raises(Stopped, match="the same command goes on"):
            os.kill(os.getpid(), signal.SIGTERM)
        assert not is_held(tmp_path / "one")
        assert time.monotonic() - started < 30  # the worker would hold the next run for a minute
    finally:
        signals.restore()
        worker.kill()
        worker.wait()
        worker.stdout.close()
