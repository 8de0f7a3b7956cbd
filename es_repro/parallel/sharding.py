"""Parameters sharded over the ranks (FSDP2), and states that any number of ranks can read."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import SGD, Optimizer

__all__ = ["fit_to_shards", "load_model", "load_optimizer", "outline", "shard", "whole"]


def outline(model: nn.Module) -> nn.Module:
    """A copy of a whole model that has shapes and no numbers (torch's device `meta`).

    For counting FLOPs: ranks meet rows of different shapes, and none may gather parameters alone.
    """
    bare: dict[int, Tensor] = {
        id(tensor): torch.empty_like(tensor, device="meta")
        for tensor in (*model.parameters(), *model.buffers())
    }
    for parameter in model.parameters():
        bare[id(parameter)] = nn.Parameter(bare[id(parameter)], parameter.requires_grad)
    return copy.deepcopy(model, bare)


def shard(model: nn.Module, mesh: DeviceMesh) -> None:
    """Shard a model in place.

    Each member of a list or sequence of modules (a transformer's blocks) is gathered by itself
    while it computes; the rest is gathered with the model. Its forward stays the model's own, so
    scoring and evaluating call it as it is.
    """
    for holder in reversed(list(model.modules())):  # inner ones first: a parameter has one owner
        for block in holder.children() if isinstance(holder, nn.ModuleList | nn.Sequential) else ():
            if any(True for _ in block.parameters()):
                fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def fit_to_shards(optimizer: Optimizer) -> Optimizer:
    """Let an optimizer over shards do without what torch has not built for them (fused SGD)."""
    if isinstance(optimizer, SGD):
        for group in optimizer.param_groups:
            group["fused"] = False
    return optimizer


def whole(state: Any) -> Any:  # noqa: ANN401 - a tree of state dictionaries
    """The same state with every sharded tensor gathered, on the CPU; called by all ranks."""
    if isinstance(state, DTensor):
        return state.full_tensor().cpu()
    if isinstance(state, dict):
        return type(state)((key, whole(value)) for key, value in state.items())
    if isinstance(state, list | tuple):
        return type(state)(whole(value) for value in state)
    return state


def load_model(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a whole state into a model, sharded or not."""
    own = model.state_dict()
    model.load_state_dict({name: _like(value, own.get(name)) for name, value in state.items()})


def load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load a whole state into an optimizer over parameters that are sharded or not."""
    parameters = [x for group in optimizer.param_groups for x in group["params"]]
    fitted = {
        number: {name: _like(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict(state | {"state": fitted})


def _like(value: Any, own: Tensor | None) -> Any:  # noqa: ANN401 - optimizers keep numbers too
    sharded = isinstance(own, DTensor) and isinstance(value, Tensor) and value.shape == own.shape
    if not sharded:
        return value
    assert isinstance(own, DTensor)
    # Every rank has read the whole tensor: nothing is sent.
    value = value.to(own.device)
    return distribute_tensor(value, own.device_mesh, own.placements, src_data_rank=None)
