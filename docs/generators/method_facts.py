"""What the selectors say of themselves: level, memory, cost, defaults; a fragment a method."""

import inspect
import pkgutil
from pathlib import Path

import es_repro.selection
from es_repro.selection import Selector, create, selector_class
from generators import cell, write

__all__ = ["classes", "fragment", "methods", "overview", "write_facts"]

_EPOCHS, _SAMPLES = 200, 1000
_LEVELS = {"none": "none", "set": "set", "batch": "batch", "both": "set and batch"}
_OF_ALL = ("nonfinite", "negative")  # hyper-parameters that every method has


def methods() -> list[str]:
    """The names that `create` knows, the baseline first."""
    found = [module.name for module in pkgutil.iter_modules(es_repro.selection.__path__)]
    return sorted(filter(_is_method, found), key=lambda name: (name != "baseline", name))


def write_facts(folder: Path) -> None:
    """Write the table of all methods, a fragment for each, and their classes for the API pages."""
    write(folder / "overview.md", overview())
    write(folder / "classes.md", classes())
    for name in methods():
        write(folder / f"{name}.md", fragment(name))


def overview() -> str:
    """All methods side by side, at their defaults."""
    columns = (
        "method", "selects", "scoring pass", "bytes a sample", "trained in a selecting epoch",
        "FLOPs",
    )  # fmt: skip
    head = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return "\n".join(head + [_row(name) for name in methods()]) + "\n"


def fragment(name: str) -> str:
    """What the library says of one method: cost, memory, signals, hyper-parameters."""
    method, selector = selector_class(name), _made(name)
    cost = method.expected_cost(_EPOCHS)
    tables = [f"`{table}`" for table in _tables(selector)]
    known = f"{_bytes(selector)} bytes a sample ({', '.join(tables)})" if tables else "nothing"
    asks = "; ".join(f"`{signal}`" for signal in sorted(selector.signals))
    lines = [
        f"Over {_EPOCHS} epochs at its defaults it back-propagates {cost.back_propagated:.3f} of "
        f"the baseline's samples, sends {cost.forward_only:.3f} of them through a forward pass "
        f"alone, and costs {cost.factor:.3f} of its FLOPs. It keeps {known}."
        + (f" Beside losses it asks for the signals {asks}." if asks else ""),
        "",
    ]
    defaults = _defaults(method)
    if defaults:
        lines += ["| hyper-parameter | default |", "|---|---|"]
        lines += [f"| `{key}` | {cell(repr(value))} |" for key, value in defaults.items()]
    return "\n".join(lines) + "\n"


def classes() -> str:
    """The classes of all methods, for autodoc."""
    full = [f"{selector_class(x).__module__}.{selector_class(x).__name__}" for x in methods()]
    parts = [f".. autoclass:: {name}\n   :show-inheritance:\n" for name in full]
    return "```{eval-rst}\n" + "\n".join(parts) + "```\n"


def _row(name: str) -> str:
    method, selector = selector_class(name), _made(name)
    cost = method.expected_cost(_EPOCHS)
    scores = "yes" if _scores(selector) else "no"
    return (
        f"| [`{name}`](#method-{name}) | {_LEVELS[method.level]} | {scores} | {_bytes(selector)} | "
        f"{method.bp_fraction():.2f} | {cost.factor:.2f} |"
    )


def _is_method(name: str) -> bool:
    try:
        selector_class(name)
    except ValueError:
        return False
    return True


def _made(name: str) -> Selector:
    return create(name, _SAMPLES, _EPOCHS)


def _scores(selector: Selector) -> bool:
    selector.plan_epoch(_EPOCHS // 2)
    return selector.selects_batches


def _tables(selector: Selector) -> dict[str, int]:
    """Bytes a sample of each table."""
    tensors = selector.state_dict()["tensors"]
    return {
        name: tensor.element_size() for name, tensor in tensors.items() if len(tensor.shape) == 1
        and len(tensor) == _SAMPLES
    }  # fmt: skip


def _bytes(selector: Selector) -> int:
    return sum(_tables(selector).values())


def _defaults(method: type[Selector]) -> dict[str, object]:
    parameters = inspect.signature(method).parameters
    names = [name for name in method.hyperparameter_names() if name not in _OF_ALL]
    return {name: parameters[name].default for name in names}
