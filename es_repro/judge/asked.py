"""What the command line asks for: methods by name or by class, and settings."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import OmegaConf

from es_repro.config import config_folder, register_resolvers
from es_repro.judge.arms import Arm
from es_repro.selection import Selector, require, selector_class
from es_repro.selection.checks import one_of
from es_repro.selection.foreign import CONTRACT, as_selector

__all__ = ["Asked", "method_arm", "parse", "selector_arm"]

SETTINGS = ("workload", "effort", "resolution", "seeds", "device", "out")


@dataclass
class _Group:
    kind: str
    names: list[str]
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A command line, read.

    Attributes:
        arms: the methods to be judged, in their order; empty where none is asked for.
        settings: the other keys, as texts.
    """

    arms: Sequence[Arm]
    settings: Mapping[str, str]


def parse(words: Sequence[str]) -> Asked:
    """Read `key=value` words; `method.KEY` and `selector.KEY` belong to those last named.

    Raises:
        ValueError: names the word that cannot be used, and what could.
    """
    groups: list[_Group] = []
    settings: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        require(bool(key and value), "argument", word, "of the form key=value")
        kind, _, option = key.partition(".")
        if kind not in BUILDERS:
            allowed = f"method, selector or a setting, {one_of(key, SETTINGS)}"
            require(key in SETTINGS, "argument", key, allowed)
            settings[key] = value
        elif not option:
            groups.append(_Group(kind, value.split(",")))
        else:
            mine = [group for group in groups if group.kind == kind]
            require(bool(mine), "argument", word, f"behind the {kind}=NAME that it belongs to")
            mine[-1].options[option] = value
    arms = [BUILDERS[group.kind](name, group.options) for group in groups for name in group.names]
    names = [arm.name for arm in arms]
    for name in names:
        require(
            names.count(name) == 1, "method", name, "asked for once: its settings tell it apart"
        )
    return Asked(arms, settings)


def method_arm(name: str, options: Mapping[str, str]) -> Arm:
    """A method of conf/method, with some of its keys set.

    Raises:
        ValueError: it has no such key, or the value is outside its range.
        HydraException: there is no such method.
    """
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_folder(), version_base="1.3"):
        overrides = [f"method.{key}={value}" for key, value in options.items()]
        config = compose("config", [f"method={name}", *overrides])
    allowed = "a method of its own: the judge makes these controls itself"
    require(config.budget_of is None, "method", name, allowed)
    values = OmegaConf.to_container(config.method, resolve=True)
    assert isinstance(values, dict)
    plain = {str(key): x for key, x in values.items() if not str(key).startswith("_")}
    version = selector_class(plain["name"]).semantics_version
    identity = {"method": plain.pop("name"), "semantics": version, **plain}
    make = instantiate(config.method)
    _try(f"method={name}", make)
    return Arm(_label(name, options), "method", make, identity)


def selector_arm(place: str, options: Mapping[str, str]) -> Arm:
    """A class `module:Name` with the contract of a selector, importable from here.

    Raises:
        ValueError: it cannot be imported, lacks a part of the contract, or refuses its values.
    """
    module_name, _, name = place.partition(":")
    require(bool(module_name and name), "selector", place, "of the form module:Class")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the module does when it is run
        why = str(error) or type(error).__name__
        raise ValueError(f"selector={place}: {module_name} cannot be imported: {why}") from error
    finally:
        sys.path.pop(0)
    found = getattr(module, name, None)
    require(isinstance(found, type), "selector", place, f"a class of {module_name}")
    assert isinstance(found, type)
    missing = [part for part in CONTRACT if not hasattr(found, part)]
    require(not missing, "selector", place, f"a class that has {', '.join(missing)} too")
    values = {key: _value(key, value) for key, value in options.items()}
    make = partial(_build, found, values)
    _try(f"selector={place}", make)
    source = Path(inspect.getfile(found)).read_bytes()
    identity = {"selector": place, "source": hashlib.sha256(source).hexdigest(), **values}
    return Arm(_label(name, options), "method", make, identity)


BUILDERS: dict[str, Callable[[str, Mapping[str, str]], Arm]] = {
    "method": method_arm, "selector": selector_arm,
}  # fmt: skip


def _build(
    found: type,
    values: Mapping[str, Any],
    *,
    num_samples: int,
    num_epochs: int,
    device: str,
    seed: int,
) -> Selector:
    return as_selector(found(num_samples, num_epochs, device=device, seed=seed, **values))


def _try(asked: str, make: Callable[..., Selector]) -> None:
    """Let a constructor refuse its values now, in its own words, not in the middle of a trial."""
    try:
        make(num_samples=64, num_epochs=8, device="cpu", seed=0)
    except ValueError:
        raise
    except (Exception, SystemExit) as error:  # such as a name that it does not take
        raise ValueError(f"{asked}: cannot be built: {error}") from error


def _value(key: str, text: str) -> object:
    """What a text stands for in YAML, as on Hydra's command lines."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"selector.{key}={text}: must be a value of YAML") from error


def _label(name: str, options: Mapping[str, str]) -> str:
    return name + "".join(f",{key}={value}" for key, value in options.items())
