"""A model's parameters in groups of their own learning rate and weight decay.

Every grouping is called with the model and the optimizer's `lr` and `weight_decay`, needed or not.
"""

from typing import Any

from torch import nn

from es_repro.selection import require

__all__ = ["all_alike", "layer_decay", "no_decay"]

Groups = list[dict[str, Any]]


def all_alike(model: nn.Module, **_rates: float) -> Groups:
    """One group with every parameter that is trained."""
    return [{"params": [p for p in model.parameters() if p.requires_grad]}]


def no_decay(model: nn.Module, **_rates: float) -> Groups:
    """Two groups: biases, norms and other vectors are not decayed, matrices are."""
    trained = [p for p in model.parameters() if p.requires_grad]
    vectors, matrices = ([p for p in trained if (p.ndim <= 1) is flat] for flat in (True, False))
    groups: Groups = [{"params": vectors, "weight_decay": 0.0}, {"params": matrices}]
    return [group for group in groups if group["params"]]


def layer_decay(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    decay: float = 0.75,
) -> Groups:
    """A group a layer, whose learning rate is `decay` times that of the layer above it.

    Args:
        model: one of timm's, which knows its layers.
        lr: of the last layer.
        weight_decay: of matrices; vectors are not decayed, nor what the model exempts itself (a
            ViT: class token and positions).
        decay: in (0, 1]; 1 gives every layer the same rate.

    Raises:
        ValueError: another decay, or a model that does not say what its layers are.

    Source: BEiT and MAE fine-tuning, through timm's `param_groups_layer_decay`.
    """
    from timm.optim import param_groups_layer_decay  # here, for it takes two seconds

    require(0 < decay <= 1, "decay", decay, "in (0, 1]")
    named = hasattr(model, "group_matcher")
    require(named, "parameter_groups", "layer_decay", "all or no_decay: this model has no layers")
    exempt: Any = getattr(model, "no_weight_decay", set)
    groups = param_groups_layer_decay(model, weight_decay, exempt(), layer_decay=decay)
    return [
        {
            "params": group["params"],
            "weight_decay": group["weight_decay"],
            "lr": lr * group["lr_scale"],
        }
        for group in groups
    ]
