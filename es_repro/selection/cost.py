"""What a method costs, in samples: the model behind the controls at equal cost."""

import warnings
from dataclasses import dataclass

__all__ = ["Cost", "warn_if_dear"]


@dataclass(frozen=True)
class Cost:
    """Samples as multiples of the baseline's: n in an epoch, n * E in a run.

    Args:
        forward_only: scored or re-scored, without gradient.
        back_propagated: trained; the forward that belongs to it is part of it.

    Source: methods.md 3.
    """

    forward_only: float
    back_propagated: float

    @property
    def factor(self) -> float:
        """G: FLOPs relative to the baseline's, a backward being two forwards."""
        return self.forward_only / 3 + self.back_propagated


def warn_if_dear(batch_ratio: float, prune_ratio: float = 0.0) -> None:
    """Warn where scoring the whole meta-batch costs more than selection saves (b/B > 2/3)."""
    kept = 1 - prune_ratio
    factor = Cost(kept, kept * batch_ratio).factor
    if batch_ratio < 1 and factor > 1:
        warnings.warn(
            f"batch_ratio={batch_ratio}: a selecting epoch costs {factor:.2f} of the baseline's; "
            "scoring pays below 2/3 only",
            stacklevel=4,  # this function, the method's constructor, create, the caller
        )
