"""Every method, in every shape that differs in kind: what the contract is held against."""

import torch

VARIANTS = {
    "baseline": ("baseline", {}),
    "loss": ("loss", {}),
    "order": ("order", {}),
    "infobatch": ("infobatch", {}),
    "infobatch exact": ("infobatch", {"exact_rescale": True}),
    "ka": ("ka", {}),
    "ka stale": ("ka", {"require_prediction": False, "refresh": False}),
    "ucb": ("ucb", {"period": 2}),
    "ucb count": ("ucb", {"bonus": "count"}),
    "es": ("es", {}),
    "es whole": ("es", {"batch_ratio": 1.0}),
    "es corrected": ("es", {"bias_correction": True}),
    "eswp": ("eswp", {}),
    "eswp from the first epoch": ("eswp", {"annealing_start": 0, "annealing_rounding": "floor"}),
    "orderdp": ("orderdp", {}),
    "random set": ("random", {}),
    "random cycle": ("random", {"redraw": "cycle", "prune_ratio": 0.6}),
    "random batch": ("random", {"batch_ratio": 0.25}),
}


def signals_of(selector, losses):
    """What the selector asks for, made up from the losses."""
    made = {"correct": losses < 1, "confidence": 1 / (1 + losses)}
    return {name: made[name] for name in selector.signals}


def run_epoch(selector, epoch, batch_size=16, *, start=0, stop=None):
    """One epoch on losses that depend on (epoch, id) alone; answers what was trained on."""
    plan, trained = selector.plan_epoch(epoch), []
    all_losses = torch.rand(
        selector.num_samples, generator=torch.Generator().manual_seed(epoch)
    ).mul_(2)
    batches = plan.indices.split(max(1, round(batch_size * plan.batch_ratio)))
    for index in batches[start:stop]:
        losses, signals = all_losses[index], signals_of(selector, all_losses[index])
        if selector.selects_batches:
            index = index[selector.select(index, losses, **signals)]
        else:
            selector.observe(index, losses, **signals)
        trained.append((index.tolist(), selector.reduce(index, all_losses[index]).item()))
    if plan.refresh is not None and stop is None:
        losses = all_losses[plan.refresh]
        selector.observe(plan.refresh, losses, **signals_of(selector, losses))
    return trained
