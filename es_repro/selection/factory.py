"""From a method's name to its selector: the module of that name, no registry."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import torch

import es_repro.selection
from es_repro.selection.base import Selector
from es_repro.selection.checks import one_of

__all__ = ["create", "selector_class"]


def create(
    name: str,
    num_samples: int,
    num_epochs: int,
    *,
    device: torch.device | str = "cpu",
    seed: int = 0,
    **hyperparameters: Any,  # noqa: ANN401  # passed on to a constructor that checks each
) -> Selector:
    """Build the selector of a method.

    Args:
        name: baseline, loss, order, infobatch, ka, ucb, es, eswp, orderdp, random.
        num_samples: n, the size of the data set.
        num_epochs: E.
        device: where the losses live.
        seed: of the method's random streams.
        **hyperparameters: the constructor's own.

    Raises:
        ValueError: an unknown method or hyper-parameter, or a value outside its range, by name.
    """
    method = selector_class(name)
    method.require_known(hyperparameters)
    build: Callable[..., Selector] = method
    return build(num_samples, num_epochs, device=device, seed=seed, **hyperparameters)


def selector_class(name: str) -> type[Selector]:
    """The class of a method: the one `Selector` that its module defines.

    Raises:
        ValueError: no method has this name; the message lists those that there are.
    """
    method = _defined_in(name) if name in _modules() else None
    if method is None:
        methods = sorted(module for module in _modules() if _defined_in(module))
        raise ValueError(f"method={name!r}: must be a method, {one_of(name, methods)}")
    return method


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(es_repro.selection.__path__)]


def _defined_in(module_name: str) -> type[Selector] | None:
    module = importlib.import_module(f"es_repro.selection.{module_name}")
    for name in getattr(module, "__all__", ()):
        found = getattr(module, name)
        own = isinstance(found, type) and found.__module__ == module.__name__
        if own and issubclass(found, Selector) and found is not Selector and found.is_method:
            method: type[Selector] = found
            return method
    return None
