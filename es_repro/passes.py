"""The two passes over a model: scoring without gradient, training with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from es_repro.selection import require

__all__ = ["Statistics", "flops_per_sample", "isolated_generators", "take_rows"]


class Statistics:
    """Decides which pass may move a model's batch-norm running statistics (methods 1.6).

    Args:
        model: its batch-norm modules are collected once: walking the tree costs time in a step.
        score_mode: `train` scores with the statistics of the meta-batch, `eval` with the running
            ones and without dropout.
        bn_update: the passes that update the running statistics: train, score or both.

    Raises:
        ValueError: another value; the message names it.
    """

    def __init__(
        self,
        model: nn.Module,
        score_mode: Literal["train", "eval"] = "train",
        bn_update: Literal["train", "score", "both"] = "train",
    ) -> None:
        require(score_mode in ("train", "eval"), "score_mode", score_mode, "train or eval")
        allowed = ("train", "score", "both")
        require(bn_update in allowed, "bn_update", bn_update, "train, score or both")
        require(
            score_mode == "train" or bn_update == "train",
            "bn_update",
            bn_update,
            "train when score_mode=eval, which never updates them",
        )
        self._model = model
        self._norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        self._eval_scoring = score_mode == "eval"
        self._score_updates = bn_update != "train"
        self._train_updates = bn_update != "score"

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Around a scoring pass."""
        if self._eval_scoring:
            self._model.eval()
            yield
            self._model.train()
        else:
            with self._frozen(not self._score_updates):
                yield

    @contextmanager
    def training(self, *, selected: bool) -> Iterator[None]:
        """Around a training pass; `selected`: a scoring pass went before it."""
        with self._frozen(selected and not self._train_updates):
            yield

    @contextmanager
    def _frozen(self, frozen: bool) -> Iterator[None]:
        # Without tracking, train mode computes the same output and touches no buffer;
        # momentum = 0 would still advance `num_batches_tracked`.
        for norm in self._norms if frozen else ():
            norm.track_running_stats = False
        yield
        for norm in self._norms if frozen else ():
            norm.track_running_stats = True


@contextmanager
def isolated_generators(device: torch.device) -> Iterator[None]:
    """Whatever is drawn inside (dropout masks), the global generators come out unmoved."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def take_rows(inputs: Tensor, positions: Tensor) -> Tensor:
    """Rows [b, ...] of `inputs` [B, ...] in the memory format that `inputs` has.

    `index_select` answers a contiguous tensor whatever it was given.
    """
    if inputs.dim() == 4 and inputs.is_contiguous(memory_format=torch.channels_last):
        rows = inputs.permute(0, 2, 3, 1).index_select(0, positions)
        return rows.permute(0, 3, 1, 2)
    return inputs.index_select(0, positions)


def flops_per_sample(model: nn.Module, sample: Tensor) -> float:
    """Forward FLOPs (two per multiply-add) of `model` for one row [1, ...]."""
    from torch.utils.flop_counter import FlopCounterMode  # slow to import, needed once

    training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(sample)
    model.train(training)
    return float(counter.get_total_flops())
