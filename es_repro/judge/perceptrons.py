"""Perceptrons of many members side by side: stacked parameters, one batched product a layer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Perceptrons", "Stepper"]


class Perceptrons:
    """The linear layers of S models of one shape, with ReLU between them.

    Args:
        models: as `es_repro.models.mlp` builds them, each with initial weights of its own.
        device: where the stack lies.

    Attributes:
        parameters: weights [S, out, in] and biases [S, 1, out] of each layer in turn.
    """

    def __init__(self, models: Sequence[nn.Module], device: torch.device) -> None:
        layers = [[part for part in model.modules() if isinstance(part, nn.Linear)]
                  for model in models]  # fmt: skip
        self.parameters: list[Tensor] = []
        for same in zip(*layers, strict=True):
            weights = torch.stack([layer.weight.detach() for layer in same])
            biases = torch.stack([layer.bias.detach() for layer in same]).unsqueeze(1)
            self.parameters += [weights.to(device), biases.to(device)]
        for parameter in self.parameters:
            parameter.requires_grad_()

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits [S, m, C] of inputs [S, m, d], or [m, d] for all alike."""
        hidden = inputs.expand(len(self.parameters[0]), *inputs.shape[-2:])
        for place in range(0, len(self.parameters), 2):
            weights, biases = self.parameters[place : place + 2]
            hidden = torch.baddbmm(biases, F.relu(hidden) if place else hidden, weights.mT)
        return hidden

    def member(self, place: int) -> list[Tensor]:
        """Weights [out, in] and biases [out] of one model, layer by layer."""
        return [p[place].squeeze(0).detach() if p.shape[1] == 1 else p[place].detach()
                for p in self.parameters]  # fmt: skip


class Stepper:
    """SGD with momentum and weight decay on stacked parameters, one learning rate a member.

    Args:
        parameters: each [S, ...], changed in place.
        momentum: in [0, 1).
        weight_decay: added to the gradients, biases included, as `torch.optim.SGD` does.
    """

    def __init__(self, parameters: Sequence[Tensor], momentum: float, weight_decay: float) -> None:
        self.parameters, self.momentum, self.weight_decay = parameters, momentum, weight_decay
        self.buffers = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rates: Tensor, steps: Tensor | None) -> None:
        """One step of all members, or of some.

        Args:
            gradients: as the parameters.
            rates: [S, 1, 1].
            steps: [S, 1, 1] bool, False for members that have nothing to train on: their weights
                and their momentum stay bit for bit; None: all step.
        """
        for parameter, buffer, gradient in zip(
            self.parameters, self.buffers, gradients, strict=True
        ):
            change = gradient.add(parameter, alpha=self.weight_decay)
            change.add_(buffer, alpha=self.momentum)
            if steps is None:
                buffer.copy_(change)
                parameter.addcmul_(buffer, -rates)
            else:
                buffer.copy_(torch.where(steps, change, buffer))
                parameter.copy_(torch.where(steps, parameter.addcmul(buffer, -rates), parameter))
