"""The two passes over a model: scoring without gradient, training with it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from es_repro.process.generators import isolated_generators
from es_repro.rows import Inputs, first_row, row_shape, rows_on
from es_repro.selection import require
from es_repro.tasks import Task

__all__ = ["ForwardFlops", "Statistics", "preserved_buffers"]

log = logging.getLogger(__name__)


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

    def warn_of_pieces(self, score_micro_batch: int | None) -> None:
        """Warn where scoring in pieces would change what is scored, not only how."""
        if score_micro_batch and self._norms and not self._eval_scoring:
            log.warning(
                "score_micro_batch=%d: this model has batch norm, so each piece is scored with "
                "statistics of its own, not with the meta-batch's; leave it null, or "
                "score_mode=eval",
                score_micro_batch,
            )

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


class ForwardFlops:
    """Counts the FLOPs of forward passes (two per multiply-add), by the shape of their rows.

    Args:
        task: what is asked of the model.
        model: bare; run once, in eval mode on one row, for every shape of rows that turns up. On
            the device `meta` nothing is computed.
    """

    def __init__(self, task: Task, model: nn.Module) -> None:
        self._task, self._model = task, model
        self._known: dict[tuple[int, ...], int] = {}

    def __call__(self, inputs: Inputs, targets: Tensor) -> int:
        """FLOPs of one forward pass over these rows."""
        shape = row_shape(inputs)
        if shape not in self._known:
            self._known[shape] = self._measure(first_row(inputs), targets[:1])
        return len(targets) * self._known[shape]

    def _measure(self, row: Inputs, target: Tensor) -> int:
        from torch._subclasses.fake_tensor import FakeTensorMode  # both are slow to import
        from torch.utils.flop_counter import FlopCounterMode

        training, device = self._model.training, next(self._model.parameters()).device
        # Not `meta` alone: transformers then looks into the values of attention masks.
        shapes_alone = FakeTensorMode(allow_non_fake_inputs=True)
        self._model.eval()
        # Fused attention has no count on every device; its plain form has.
        with (
            torch.no_grad(),
            isolated_generators(device),
            sdpa_kernel(SDPBackend.MATH),
            shapes_alone if device.type == "meta" else nullcontext(),
            FlopCounterMode(display=False) as counter,
        ):
            self._task(self._model, rows_on(row, device), target.to(device), frozenset())
        self._model.train(training)
        return int(counter.get_total_flops())


@contextmanager
def preserved_buffers(model: nn.Module) -> Iterator[None]:
    """Whatever passes run inside, the model's buffers come out as they were."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)
