"""The judge's command line on a toy, with selectors of a user's own."""

from dataclasses import replace

import pytest

from es_repro.judge import session
from es_repro.judge.__main__ import main
from tests.judge.toy import TOY

SELECTOR = '''
import time

import torch


class Mine:
    """The contract alone: nothing of es_repro's."""

    signals = frozenset()
    selects_batches = True

    def __init__(self, num_samples, num_epochs, *, device, seed, share=0.5):
        if not 0 < share <= 1:
            raise ValueError(f"share={share}: must be in (0, 1]")
        self.num_samples, self.num_epochs, self.share = num_samples, num_epochs, share

    def plan_epoch(self, epoch):
        from es_repro.selection import EpochPlan

        return EpochPlan(torch.arange(self.num_samples))

    def select(self, index, losses):
        kept = max(1, round(self.share * len(losses)))
        return losses.topk(kept).indices.sort().values

    def observe(self, index, losses):
        pass

    def reduce(self, index, losses):
        return losses.mean()

    def check(self):
        pass


class Twice(Mine):
    def select(self, index, losses):
        return torch.zeros(2, dtype=torch.int64)


class Floats(Mine):
    def select(self, index, losses):
        return losses.topk(4).values


class Empty(Mine):
    def plan_epoch(self, epoch):
        from es_repro.selection import EpochPlan

        return EpochPlan(torch.arange(0))


class Vector(Mine):
    def reduce(self, index, losses):
        return losses


class Detached(Mine):
    def reduce(self, index, losses):
        return losses.mean().detach()


class Curious(Mine):
    signals = frozenset({"embedding"})


class Quitting(Mine):
    def select(self, index, losses):
        raise SystemExit(3)


class Slow(Mine):
    def select(self, index, losses):
        time.sleep(0.4)
        return super().select(index, losses)
'''


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    monkeypatch.setattr(session, "WORKLOADS", {"toy": TOY})
    monkeypatch.setitem(session.EFFORTS, "fast", replace(session.FAST, tuning_seeds=2))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_selectors.py").write_text(SELECTOR)
    (tmp_path / "quits.py").write_text("raise SystemExit(5)")

    def run(*words):
        code = main(list(words))
        return code, *capsys.readouterr()

    return run
