"""Any of timm's image classifiers, from random or from pre-trained weights, with a new head."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from es_repro.pretrained.hub import PACKAGE, find_in_package
from es_repro.selection import require
from es_repro.selection.checks import as_real, require_bool

__all__ = ["timm_model"]

NUMPY = (".npz", ".npy")  # Google's own files, which timm's models read themselves
DOWNLOAD = "pretrained"


def timm_model(
    name: str,
    weights: str | None = None,
    drop_path: float = 0.0,
    zero_head: bool = False,
    new: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
) -> nn.Module:
    """One of timm's models for [m, C, H, W] -> [m, num_classes].

    Args:
        name: timm's, with the tag of the weights where it matters.
        weights: None: random; `pretrained`: timm's own, downloaded once; `package:NAME`: those that
            an installed package carries; else a local file (.safetensors, .pth, .npz).
        drop_path: chance of a residual branch to be left out in training, in [0, 1).
        zero_head: let the classifier start at zero, so that every sample's first loss is log C.
        new: modules beside the classifier that start afresh, whatever the weights say of them.
        options: further arguments of timm's.
        num_classes: of the classifier, which is always new.
        in_channels: C.
        image_size: H and W.

    Raises:
        FileNotFoundError: a package that is not installed, or carries no such file.
        ValueError: an unknown name or option, a file that is missing or fits another model, or
            weights that cannot be downloaded; the message says which.
    """
    as_real("drop_path", drop_path, "[0, 1)")
    require_bool("zero_head", zero_head)
    more = dict(options or {}) | {"in_chans": in_channels}
    if drop_path > 0:
        more |= {"drop_path_rate": drop_path}
    if _has_fixed_size(name):
        more |= {"img_size": image_size}
    if weights == DOWNLOAD:
        model = _downloaded(name, more)
        model.reset_classifier(num_classes)
    else:
        model = _create(name, more | {"num_classes": num_classes})
    if weights is not None and weights != DOWNLOAD:
        _load(model, weights, name, fresh=[*_heads(model), *new])
    if zero_head:
        for parameter in model.get_classifier().parameters():
            nn.init.zeros_(parameter)
    return model


def _has_fixed_size(name: str) -> bool:
    import timm  # here, for it takes two seconds

    require(timm.is_model(name), "name", name, "one of timm.list_models()")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ValueError(f"name={name!r}: {error}") from error
    return bool(config is not None and config.fixed_input_size)


def _create(name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - timm's own class
    import timm  # as above

    try:
        return timm.create_model(name, **options)
    except TypeError as error:
        reason = str(error).partition("() ")[2] or str(error)
        raise ValueError(f"options of {name}: {reason}") from error


def _downloaded(name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    """The model with the weights and the classifier that timm publishes for it."""
    from huggingface_hub.utils import logging  # as above

    logging.set_verbosity_error()  # each retry would be a line; what counts is how it ends
    try:
        return _create(name, {"pretrained": True, **options})
    except (OSError, RuntimeError) as error:  # no network, no such file, no weights of that name
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"weights=pretrained: those of {name} cannot be had ({reason}); "
            "set model.weights to a local file"
        ) from error


def _heads(model: Any) -> list[str]:  # noqa: ANN401 - as above
    names = model.pretrained_cfg["classifier"]
    return [names] if isinstance(names, str) else list(names)


def _load(model: Any, weights: str, name: str, fresh: Sequence[str]) -> None:  # noqa: ANN401
    if weights.startswith(PACKAGE):
        # The names are another library's, but order and shapes are the same.
        state = dict(zip(model.state_dict(), _packaged(weights).values(), strict=False))
    else:
        path = Path(weights).expanduser()
        require(path.is_file(), "weights", weights, "null, 'pretrained', or a file that exists")
        if path.suffix in NUMPY:
            return _load_numpy(model, path, name)
        state = _adapted(_read(path), model)
    ours = {key: tensor for key, tensor in model.state_dict().items() if not _of(key, fresh)}
    theirs = {key: tensor for key, tensor in state.items() if not _of(key, fresh)}
    if reason := _difference(ours, theirs):
        raise ValueError(f"weights={weights}: not of {name}: {reason}")
    model.load_state_dict(theirs, strict=False)
    return None


def _packaged(weights: str) -> dict[str, Tensor]:
    """The state dict in the one .pth file of a package, in the package's own names."""
    return _read(find_in_package("model.weights", weights, "*.pth"))


def _read(path: Path) -> dict[str, Tensor]:
    from timm.models import load_state_dict  # as above

    try:
        state: dict[str, Tensor] = load_state_dict(str(path), use_ema=False)
    except Exception as error:  # safetensors, pickle, zip and torch each have their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"weights={path}: no readable weights ({reason[:100]})") from error
    if not state or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"weights={path}: no state dict of tensors")
    return state


def _adapted(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The state as timm's own loading would have it: older names, another grid of positions."""
    adapt = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if adapt is None:
        return state
    try:
        adapted: dict[str, Tensor] = adapt(dict(state), model)
    except (KeyError, RuntimeError, AttributeError):  # of another model altogether
        return state
    return adapted


def _load_numpy(model: Any, path: Path, name: str) -> None:  # noqa: ANN401 - as above
    try:
        model.load_pretrained(str(path))
    except Exception as error:  # whatever its reading of a foreign file stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"weights={path}: not of {name}: {reason[:100]}") from error


def _of(key: str, modules: Sequence[str]) -> bool:
    return any(key == module or key.startswith(f"{module}.") for module in modules)


def _difference(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str | None:
    """In what two states differ, in words; None: in nothing but values."""
    if missing := [key for key in ours if key not in theirs]:
        return f"{len(missing)} of {len(ours)} tensors are missing, {missing[0]} the first"
    for key, tensor in ours.items():
        if tensor.shape != theirs[key].shape:
            return f"{key} is {list(theirs[key].shape)}, not {list(tensor.shape)}"
    if unknown := [key for key in theirs if key not in ours]:
        return f"{len(unknown)} tensors are not its own, {unknown[0]} the first"
    return None
