"""Validation of arguments: one line, the argument, its value and what is allowed."""

import difflib
import numbers
from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor

__all__ = [
    "as_choice", "as_int", "as_real", "as_reals", "check_rows", "one_of", "require", "require_bool",
]  # fmt: skip


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise ``ValueError("name=value: must be allowed")`` unless the condition holds."""
    if not condition:
        raise ValueError(f"{name}={value!r}: must be {allowed}")


def as_int(name: str, value: object, minimum: int | None = None) -> int:
    """The value as a Python integer; NumPy's pass, booleans and floats do not.

    Raises:
        ValueError: it is no integer, or smaller than ``minimum``.
    """
    allowed = "an integer" if minimum is None else f"an integer >= {minimum}"
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: must be {allowed}")
    require(minimum is None or int(value) >= minimum, name, value, allowed)
    return int(value)


def as_real(name: str, value: object, interval: str) -> float:
    """The value as a float inside an interval written as in mathematics, ``"(0, 1]"``.

    Raises:
        ValueError: it is no real number, or lies outside (NaN always does).
    """
    require(_is_inside(value, interval), name, value, f"in {interval}")
    return float(value)  # type: ignore[arg-type]  # _is_inside has seen a real number


def as_reals(name: str, values: Sequence[float], interval: str) -> tuple[float, ...]:
    """The values as a tuple of floats inside the interval.

    Raises:
        ValueError: no sequence, or a member outside.
    """
    is_sequence = isinstance(values, Sequence) and not isinstance(values, str)
    valid = is_sequence and all(_is_inside(value, interval) for value in values)
    require(valid, name, values, f"a sequence of numbers in {interval}")
    return tuple(float(value) for value in values)


def as_choice(name: str, value: object, choices: Any) -> Any:  # noqa: ANN401  # a Literal type
    """The value itself, where it is one of a ``Literal`` type's.

    Raises:
        ValueError: it is none of them.
    """
    allowed = get_args(choices)
    require(value in allowed, name, value, " or ".join(repr(choice) for choice in allowed))
    return value


def require_bool(name: str, value: object) -> None:
    """Refuse what is not ``True`` or ``False``, the strings of those names included."""
    require(isinstance(value, bool), name, value, "true or false")


def one_of(unknown: object, allowed: Sequence[str]) -> str:
    """The names allowed, and the one that was probably meant."""
    close = difflib.get_close_matches(str(unknown), allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"one of {', '.join(allowed)}{hint}"


def check_rows(index: Tensor, losses: Tensor) -> None:
    """See that ids [m] and losses [m] are of one batch, one loss a sample.

    Raises:
        ValueError: shapes or types that are not; says how to mend the usual mistake.
    """
    if losses.ndim == 0:
        raise ValueError(
            "losses.shape=(): must be [m], one loss a sample; build the loss with "
            'reduction="none", or wrap it in per_sample'
        )
    require(losses.ndim == 1, "losses.shape", tuple(losses.shape), "[m], one loss a sample")
    require(losses.is_floating_point(), "losses.dtype", losses.dtype, "a float type")
    require(index.dtype == torch.int64, "index.dtype", index.dtype, "torch.int64")
    fits = index.shape == losses.shape
    require(fits, "losses.shape", tuple(losses.shape), f"{tuple(index.shape)}, one loss an id")


def _is_inside(value: object, interval: str) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    number = float(value)
    above = low <= number if interval[0] == "[" else low < number
    below = number <= high if interval[-1] == "]" else number < high
    return above and below
