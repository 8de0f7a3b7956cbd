"""The usual losses of a model's logits, row by row."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["class_signals", "row_losses"]


def row_losses(
    logits: Tensor,
    labels: Tensor,
    smoothing: float = 0.0,
    *,
    shifted: bool = False,
    regression: bool = False,
) -> tuple[Tensor, Tensor]:
    """Summed losses [m] float32 and the number of labels [m] they are sums of, C where C floats.

    Args:
        logits: [m, C], or [m, L, C] for sequences.
        labels: [m] or [m, L] int64 classes, -100 where there is none; [m] or [m, C] float targets.
        smoothing: of classes' labels.
        shifted: token t predicts label t + 1 (causal language models).
        regression: of float targets [m, C] too, C > 1, which else are several classes at once.

    Raises:
        ValueError: shapes that fit neither.
    """
    m = len(logits)
    logits = logits.float()
    if labels.is_floating_point():
        if logits.numel() == labels.numel():
            flat, targets = logits.reshape(m, -1), labels.reshape(m, -1).float()
            if regression or flat.shape[1] == 1:
                losses = F.mse_loss(flat, targets, reduction="none")
            else:
                losses = F.binary_cross_entropy_with_logits(flat, targets, reduction="none")
            return losses.sum(1), torch.full_like(losses[:, 0], losses.shape[1])
    elif logits.ndim == labels.ndim + 1 and logits.shape[: labels.ndim] == labels.shape:
        if shifted:
            logits, labels = logits[:, :-1], labels[:, 1:]
        losses = F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            labels.reshape(-1),
            reduction="none",
            ignore_index=-100,
            label_smoothing=smoothing,
        ).reshape(m, -1)
        return losses.sum(1), labels.reshape(m, -1).ne(-100).sum(1)
    raise ValueError(
        f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}: must be [m, C] with [m], or "
        "[m, L, C] with [m, L]; override sample_losses for other losses"
    )


def class_signals(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What rows of one class each say beside their losses: whether right, and how sure."""
    if logits.ndim != 2 or labels.ndim != 1 or labels.is_floating_point():
        return {}
    probabilities = logits.detach().float().softmax(1)
    return {
        "correct": probabilities.argmax(1) == labels,
        "confidence": probabilities.amax(1),
    }
