"""Slow float64 references, in plain Python, written from the equations and from nothing else."""

import math
from itertools import permutations


def es_visits(losses, beta1, beta2, s0):
    """(s, w) after each visit of one sample."""
    s, trace = s0, []
    for loss in losses:
        s, w = beta2 * s + (1 - beta2) * loss, beta1 * s + (1 - beta1) * loss
        trace.append((s, w))
    return trace


def es_weight_unrolled(losses, beta1, beta2, s0):
    """w after the last visit as a convex combination of losses and s0 (methods.md 2.7 item 4)."""
    t = len(losses)
    past = sum(beta2 ** (k - 1) * losses[t - 1 - k] for k in range(1, t))
    return (1 - beta1) * losses[-1] + beta1 * (1 - beta2) * past + beta1 * beta2 ** (t - 1) * s0


def es_weight_with_differences(losses, beta1, beta2, s0):
    """Eq. 3.2 of the paper with its exact remainder (methods.md 7.2)."""
    t = len(losses)
    average = (1 - beta2) * sum(beta2 ** (t - k) * losses[k - 1] for k in range(1, t + 1))
    differences = (beta2 - beta1) * sum(
        beta2 ** (t - 1 - k) * (losses[k] - losses[k - 1]) for k in range(1, t)
    )
    rest = beta2**t * s0 + (beta2 - beta1) * beta2 ** (t - 1) * (losses[0] - s0)
    return average + differences + rest


def sequential_sets(weights, k):
    """Probability of each set of k positions, drawn one after the other without replacement."""
    law = {}
    for order in permutations(range(len(weights)), k):
        pool, probability = sum(weights), 1.0
        for item in order:
            probability *= weights[item] / pool
            pool -= weights[item]
        chosen = tuple(sorted(order))
        law[chosen] = law.get(chosen, 0.0) + probability
    return law


def inclusion(weights, k):
    """Probability of each position to be among the k drawn."""
    law = sequential_sets(weights, k)
    return [sum(p for chosen, p in law.items() if i in chosen) for i in range(len(weights))]


def ucb_visits(losses, alpha, square=False):
    """(m, V) after each visit of one sample."""
    trace = []
    for loss in losses:
        if not trace:
            trace.append((loss, alpha * loss**2 if square else 0.0))
            continue
        m, v = trace[-1]
        trace.append(((1 - alpha) * m + alpha * loss, (1 - alpha) * v + alpha * (loss - m) ** 2))
    return trace


def order_positions(losses, b):
    """The b largest, earlier positions first among equals, ascending."""
    return sorted(sorted(range(len(losses)), key=lambda i: (-losses[i], i))[:b])


def kakurenbo_hidden(losses, correct, confidence, cap, threshold):
    """Ids hidden by KAKURENBO: of the lowest, those right and sure; nobody moves up."""
    lowest = sorted(range(len(losses)), key=lambda i: (losses[i], i))
    lowest = lowest[: math.floor(cap * len(losses) + 1e-9)]
    return sorted(i for i in lowest if correct[i] and confidence[i] >= threshold)


def infobatch_low(losses):
    """Ids strictly below the mean; None is what was never seen."""
    seen = [loss for loss in losses if loss is not None]
    mean = math.fsum(seen) / len(seen)
    return [i for i, loss in enumerate(losses) if loss is not None and loss < mean]
