"""Selectors that have seen every sample once, without a training run."""

import torch

from es_repro.selection import Selector, stream

__all__ = ["fill_tables"]

# Log-normal losses: 70% lie below their mean, as InfoBatch's cost model has it, and the lowest 30%
# are as sure as KAKURENBO asks for (exp(-loss) >= 0.7).
LOSS_MEDIAN, LOSS_SIGMA = 0.5, 1.05


def fill_tables(selector: Selector) -> None:
    """Show a selector all its samples, with losses that make it prune as it would."""
    n, device = selector.num_samples, selector.device
    normal = torch.randn(n, generator=stream(0, "made losses", 0))
    losses = (LOSS_MEDIAN * (LOSS_SIGMA * normal).exp()).to(device)
    known = {"confidence": torch.exp(-losses), "correct": torch.ones_like(losses, dtype=torch.bool)}
    signals = {name: known[name] for name in selector.signals}
    selector.observe(torch.arange(n, device=device), losses, **signals)
