"""Figures 1 and 8: what the betas of ES make of a noisy, falling loss.

The signal is the paper's (a decaying curve and random noise); its numbers are our choice:
l(t) = exp(-t/60) (1 + 0.3 noise) + 0.02, at least 0, for t = 1..300, of 1,000 samples. The weights
are those of the library's own selector, fed with these losses.
"""

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from es_repro.report.figures.canvas import footnote, headline
from es_repro.report.style import INK, MUTED, look
from es_repro.selection import create

__all__ = ["draw", "losses", "weights"]

STEPS, SAMPLES = 300, 1000


def losses(steps: int = STEPS, samples: int = SAMPLES, seed: int = 0) -> torch.Tensor:
    """The synthetic losses, [steps, samples] float32."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(steps, samples, generator=generator)
    trend = torch.exp(-torch.arange(1, steps + 1) / 60)
    return (trend[:, None] * (1 + 0.3 * noise) + 0.02).clamp(min=0)


def weights(signal: torch.Tensor, beta1: float, beta2: float) -> torch.Tensor:
    """The selector's weights after each step, [steps, samples], one visit of each sample a step."""
    steps, samples = signal.shape
    selector = create(
        "es", samples, steps, beta1=beta1, beta2=beta2, batch_ratio=0.5,
        annealing_start=0, annealing_end=0,
    )  # fmt: skip
    index, kept = torch.arange(samples), []
    for step in range(steps):
        selector.plan_epoch(step)
        selector.select(index, signal[step])
        assert selector.weights is not None  # ES keeps them
        kept.append(selector.weights.clone())
    return torch.stack(kept)


def frame(betas: tuple[tuple[float, float], ...]) -> pd.DataFrame:
    """A line a beta pair and step: loss and weight of sample 0, mean total variation of all."""
    signal = losses()
    parts = []
    for beta1, beta2 in betas:
        weight = weights(signal, beta1, beta2)
        parts.append(
            pd.DataFrame({
                "beta1": beta1, "beta2": beta2, "step": range(1, len(signal) + 1),
                "loss": signal[:, 0].numpy(), "weight": weight[:, 0].numpy(),
                "loss_variation": _variation(signal), "weight_variation": _variation(weight),
            })
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def draw(frame: pd.DataFrame) -> Figure:
    """A panel a beta pair: w = loss in black, the weights of ES in colour."""
    panels = list(frame.groupby(["beta1", "beta2"], sort=False))
    figure = Figure(figsize=(4.2 * len(panels) if len(panels) > 1 else 6.6, 3.9))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (_, lines) in zip(axes, panels, strict=True):
        _panel(axis, lines)
    axes[0].set_ylabel("weight of one sample (units of the loss)")
    axes[0].legend(loc="upper right")
    headline(
        figure,
        "The weights of ES follow a sample's loss and leave out much of its noise"
        if len(panels) == 1
        else "The larger $\\beta_1$, the smoother the weights of ES",
    )
    footnote(
        figure,
        "made-up loss: exp(-t/60) (1 + 0.3 noise) + 0.02; the weights are the library's own "
        "selector's; gain: |1+β2-2β1|/(1+β2), how much of a loss that alternates is kept",
    )
    return figure


def _panel(axis: Axes, lines: pd.DataFrame) -> None:
    beta1, beta2 = (float(lines[name].iloc[0]) for name in ("beta1", "beta2"))
    es = look("es")
    axis.plot(lines["step"], lines["loss"], color=INK, linewidth=0.9, label="$w = $ loss")
    axis.plot(lines["step"], lines["weight"], color=es.colour, label="$w$ of ES (Eq. 3.1)")
    last = lines.iloc[-1]
    gain = abs(1 + beta2 - 2 * beta1) / (1 + beta2)
    kept = last["weight_variation"] / last["loss_variation"]
    axis.set_title(f"$\\beta_1={beta1:g}$, $\\beta_2={beta2:g}$")
    axis.set_xlabel("step (one visit of the sample each)")
    axis.set_xlim(0, len(lines))
    axis.set_ylim(bottom=0)
    axis.text(
        0.98, 0.60,
        f"total variation kept: {100 * kept:.0f}%\n(mean of {SAMPLES:,} signals)\n"
        f"gain at the highest\nfrequency: {gain:.2f}",
        transform=axis.transAxes, ha="right", va="top", color=MUTED, fontsize=8.5,
    )  # fmt: skip


def _variation(series: torch.Tensor) -> "list[float]":
    steps = series.diff(dim=0).abs().mean(dim=1).cumsum(0)
    return [0.0, *steps.tolist()]
