"""The usual losses, one value a sample instead of one a batch."""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

from torch import Tensor, nn

from es_repro.selection.checks import require

__all__ = ["PerSampleLoss", "per_sample"]

Reduction = Literal["mean", "sum", "batchmean", "none"]
LossFunction = Callable[..., Tensor]


class PerSampleLoss:
    """A loss with one value a sample; other dimensions are reduced as the loss itself would.

    Args:
        loss_fn: returns [m, ...] when called.
        reduction: of the original loss: ``sum`` and ``batchmean`` add the other dimensions up, the
            rest average them.
    """

    def __init__(self, loss_fn: LossFunction, reduction: Reduction) -> None:
        self.loss_fn = loss_fn
        self.reduction = reduction

    def __call__(self, inputs: Tensor, *args: Tensor, **kwargs: Tensor) -> Tensor:
        """The losses [m] of m samples, arguments as of the loss.

        Raises:
            ValueError: the loss answers with a scalar, or with other rows than its inputs have.
        """
        losses = self.loss_fn(inputs, *args, **kwargs)
        if losses.ndim == 0:
            raise ValueError(
                "losses.shape=(): must be [m], one loss a sample; make the loss function return "
                'unreduced losses (reduction="none")'
            )
        rows = len(inputs)
        require(len(losses) == rows, "len(losses)", len(losses), f"{rows}, one loss a sample")
        if losses.ndim == 1:
            return losses
        flat = losses.flatten(1)
        return flat.sum(1) if self.reduction in {"sum", "batchmean"} else flat.mean(1)


def per_sample(loss_fn: LossFunction) -> PerSampleLoss:
    """The per-sample form of a loss: of torch's modules and functions, or of one's own.

    A module is copied with ``reduction="none"``, a function that takes ``reduction`` is called so;
    anything else must answer one loss a sample itself, which its first call checks.

    Args:
        loss_fn: such as ``nn.CrossEntropyLoss(label_smoothing=0.1)`` or ``F.mse_loss``.

    Returns:
        A callable of the same arguments that returns [m]. Its mean is the loss itself, but for
        losses that divide by less than the rows (class weights, ``ignore_index``).

    Raises:
        ValueError: ``loss_fn`` cannot be called.
    """
    require(callable(loss_fn), "loss_fn", loss_fn, "callable")
    if isinstance(loss_fn, nn.Module):
        if not hasattr(loss_fn, "reduction"):
            return PerSampleLoss(loss_fn, "none")
        unreduced: Any = copy.deepcopy(loss_fn)  # reduction is no declared field of Module
        unreduced.reduction = "none"
        return PerSampleLoss(unreduced, cast(Reduction, loss_fn.reduction))
    parameter = inspect.signature(loss_fn).parameters.get("reduction")
    if parameter is None:
        return PerSampleLoss(loss_fn, "none")
    return PerSampleLoss(partial(loss_fn, reduction="none"), parameter.default)
