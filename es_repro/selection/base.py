"""The contract of a selection method: which samples an epoch, a batch and a gradient are made of.

A method is one file with one subclass of `Selector`. Its constructor validates and keeps every
hyper-parameter as an attribute of that name; beyond it, a method overrides only the hooks in which
it differs: `_make_plan`, `_update`, `selects_batches` with `_pick`, `_weighted`, `_planned_share`.
"""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import torch
from torch import Tensor

from es_repro.selection.checks import as_choice, as_int, check_rows, one_of, require
from es_repro.selection.cost import Cost
from es_repro.selection.streams import stream
from es_repro.selection.watch import Watch

__all__ = ["EpochPlan", "Level", "Negative", "NonFinite", "Selector", "require"]

Level = Literal["none", "set", "batch", "both"]
NonFinite = Literal["raise", "skip"]
Negative = Literal["clamp", "error"]


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """The samples of one epoch.

    Args:
        indices: [k] int64, CPU, distinct sample ids, any order.
        lr_scale: multiplies the learning rate of the epoch (KAKURENBO).
        refresh: [h] int64, CPU: hidden samples to re-score without gradient at its end.
        batch_ratio: the loader cuts batches of this share of B (random at batch level).
    """

    indices: Tensor
    lr_scale: float = 1.0
    refresh: Tensor | None = None
    batch_ratio: float = 1.0


class Selector:
    """Base of every method, and by itself the baseline: all samples, every batch whole.

    Args:
        num_samples: n, the size of the data set; sample ids are 0..n-1.
        num_epochs: E.
        device: where the losses live; tables are kept there.
        seed: of the method's own random streams.
        nonfinite: ``raise`` lets `check` raise; ``skip`` counts and goes on. Either way a
            non-finite loss leaves the tables as they are and its sample is picked last.
        negative: ``error`` lets `check` refuse negative losses; ``clamp`` gives them weight 0.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    is_method: bool = True  # one that `create` finds by its name
    level: Level = "none"
    uses_history: bool = False
    uses_differences: bool = False
    semantics_version: int = 1  # raised when the same hyper-parameters come to mean another run
    signals: frozenset[str] = frozenset()

    batch_ratio: float | None = None  # b/B of a selecting epoch; None where nothing is picked
    prune_ratio: float | None = None  # share of the samples left out of a selecting epoch
    weights: Tensor | None = None  # [n] float32: what a draw is proportional to, where kept
    order_seed: int | None = None  # of the order that epochs are visited in; None: the sampler's

    def __init__(
        self,
        num_samples: int,
        num_epochs: int,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        nonfinite: NonFinite = "raise",
        negative: Negative = "clamp",
    ) -> None:
        self.num_samples = as_int("num_samples", num_samples, minimum=1)
        self.num_epochs = as_int("num_epochs", num_epochs, minimum=1)
        self.seed = as_int("seed", seed)
        self.nonfinite: NonFinite = as_choice("nonfinite", nonfinite, NonFinite)
        self.negative: Negative = as_choice("negative", negative, Negative)
        self.device = _as_device(device)
        self.rank = 0  # of this process: `PlannedBatchSampler` sets it
        self.epoch = 0
        self.select_stream = self._fresh_select_stream()
        self._plan: EpochPlan | None = None
        self._batch = 0  # batches met in this epoch
        self._tables: dict[str, Tensor] = {}
        self._watches = {"nonfinite": Watch(self.device), "negative": Watch(self.device)}

    def plan_epoch(self, epoch: int) -> EpochPlan:
        """Fix the samples of an epoch, at its start; again for the same epoch: the same plan.

        Args:
            epoch: 0-based.

        Raises:
            ValueError: no epoch of this run.
        """
        valid = 0 <= as_int("epoch", epoch) < self.num_epochs
        require(valid, "epoch", epoch, f"in [0, {self.num_epochs})")
        if self._plan is None or epoch != self.epoch:
            self.epoch = int(epoch)
            self.select_stream = self._fresh_select_stream()
            self._batch = 0
            self._plan = self._make_plan(stream(self.seed, "plan", self.epoch))
        return self._plan

    @property
    def selects_batches(self) -> bool:
        """Whether the epoch now planned needs a scoring pass."""
        return False

    @property
    def needs_losses(self) -> bool:
        """Whether the next `select` needs the losses of a scoring pass.

        Where it does not, it is given None, and `observe` the losses of what it picked.
        """
        return True

    def select(self, index: Tensor, losses: Tensor | None, **signals: Tensor) -> Tensor:
        """Update the tables and pick the mini-batch; does not wait for the device.

        Args:
            index: [B] int64 sample ids, distinct.
            losses: [B] float, before the step; any float type, kept as float32. None where
                `needs_losses` is false: nothing is updated then.
            **signals: [B, ...], those of `signals`.

        Returns:
            [b] int64 positions in the meta-batch, distinct, ascending; all of them in an epoch
            that does not select.

        Raises:
            ValueError: shapes, types or signals that do not fit.
        """
        if losses is None:
            require(not self.needs_losses, "losses", None, "[B], the losses of a scoring pass")
            return self._pick_unscored(index)
        losses = self._take_in(index, losses, signals)
        if not self.selects_batches:
            return torch.arange(len(losses), device=losses.device)
        return self._pick(index, losses)

    def observe(self, index: Tensor, losses: Tensor, **signals: Tensor) -> None:
        """Update the tables where nothing is picked; arguments as of `select`."""
        self._take_in(index, losses, signals)

    def observe_elsewhere(self, index: Tensor, losses: Tensor, **signals: Tensor) -> None:
        """Feed the tables with those rows of the batch met last that went to other ranks."""
        self._batch -= 1  # it has been counted
        self._take_in(index, losses, signals)

    def reduce(self, index: Tensor, losses: Tensor) -> Tensor:
        """The scalar to differentiate: the sum of weight * loss over the number of rows passed.

        Args:
            index: [m] int64 sample ids.
            losses: [m] float, with gradient.
        """
        check_rows(index, losses)
        return self._weighted(index, losses).mean()

    def weigh(self, index: Tensor) -> Tensor:
        """How much each sample counts in the objective of this epoch: [m] float32.

        Args:
            index: [m] int64 sample ids, on the device.
        """
        return self._weighted(index, torch.ones(len(index), device=index.device))

    def check_cut(self, meta_batch_size: int, world_size: int) -> None:
        """See that the method can work with such batches; `PlannedBatchSampler` asks.

        Raises:
            ValueError: it cannot; names what to change.
        """
        ratio, rows = self.batch_ratio, meta_batch_size // world_size
        if ratio is not None:
            allowed = f"at least half a sample of the {rows} a rank loads (meta_batch_size)"
            require(ratio * rows >= 0.5, "batch_ratio", ratio, allowed)

    def check(self) -> None:
        """Look at what was seen since the last call; the one method that waits for the device.

        Raises:
            FloatingPointError: a loss was not finite and `nonfinite` is ``raise``; names the ids.
            ValueError: a loss was negative and `negative` is ``error``; names the ids.
        """
        sighting = self._watches["nonfinite"].look() if self.nonfinite == "raise" else None
        if sighting is not None:
            raise FloatingPointError(f"non-finite losses {sighting}")
        sighting = self._watches["negative"].look() if self.negative == "error" else None
        if sighting is not None:
            raise ValueError(f"losses: must be >= 0 with negative='error', not those {sighting}")

    @property
    def num_nonfinite(self) -> Tensor:
        """Non-finite losses so far (``skip``) or since the last check: [] int64, on the device."""
        return self._watches["nonfinite"].count

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The method's own settings by name, defaults resolved."""
        return {name: getattr(self, name) for name in self.hyperparameter_names()}

    @classmethod
    def hyperparameter_names(cls) -> tuple[str, ...]:
        """What the constructor takes beside the run's values (n, E, device, seed)."""
        parameters = inspect.signature(cls).parameters.values()
        own = (p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)
        return tuple(name for name in own if name not in {"device", "seed"})

    @classmethod
    def require_known(cls, hyperparameters: Mapping[str, Any]) -> None:
        """Refuse names that the constructor does not take.

        Raises:
            ValueError: names the first one, and those that there are.
        """
        known = cls.hyperparameter_names()
        for name in (name for name in hyperparameters if name not in known):
            allowed = f"a hyper-parameter of {cls.method_name()}, {one_of(name, known)}"
            require(False, name, hyperparameters[name], allowed)

    @classmethod
    def method_name(cls) -> str:
        """The name that `create` knows it by: its module's."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def bp_fraction(cls, **hyperparameters: Any) -> float:  # noqa: ANN401  # the constructor's own
        """Share of the samples back-propagated in a selecting epoch (Table 1 of the paper)."""
        return cls._rehearsal(1, hyperparameters)._bp_fraction()

    @classmethod
    def expected_cost(cls, num_epochs: int, **hyperparameters: Any) -> Cost:  # noqa: ANN401  # as above
        """Cost of a whole run, as multiples of the baseline's n * E samples (methods.md 3)."""
        rehearsal = cls._rehearsal(num_epochs, hyperparameters)
        epochs = [rehearsal._epoch_cost(epoch) for epoch in range(num_epochs)]
        return Cost(
            sum(cost.forward_only for cost in epochs) / num_epochs,
            sum(cost.back_propagated for cost in epochs) / num_epochs,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything a bit-identical continuation needs; loads with ``weights_only=True``."""
        plan = self._plan
        return {
            "identity": self._identity(),
            "seed": self.seed,
            "epoch": self.epoch,
            "batch": self._batch,
            "plan": None if plan is None else {f.name: getattr(plan, f.name) for f in fields(plan)},
            "device_type": self.device.type,
            "select_stream": self.select_stream.get_state(),
            "tensors": {name: tensor.clone() for name, tensor in self._tensors().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state; nothing is changed unless all of it fits.

        Raises:
            ValueError: another method, n, E or hyper-parameter, which is named; or a damaged state.
        """
        self._require_fit(state)
        self._plan = None if state["plan"] is None else _loaded_plan(state["plan"])
        self.seed, self.epoch, self._batch = state["seed"], state["epoch"], state["batch"]
        self.select_stream = self._fresh_select_stream()
        # Another kind of device draws other numbers: there the epoch's own stream begins anew.
        if state["device_type"] == self.device.type:
            self.select_stream.set_state(state["select_stream"].cpu())
        for name, tensor in self._tensors().items():
            tensor.copy_(state["tensors"][name])

    def _make_plan(self, generator: torch.Generator) -> EpochPlan:
        """The plan of `self.epoch`; `generator` is its ``plan`` stream, on the CPU."""
        return EpochPlan(torch.arange(self.num_samples))

    def _update(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> None:
        """Feed the tables; losses [B] float32, NaN where they were not finite."""

    def _pick(self, index: Tensor, losses: Tensor) -> Tensor:
        """Positions of the mini-batch, after `_update`; arguments as there."""
        raise NotImplementedError(f"{type(self).__name__} selects batches and has no _pick")

    def _pick_unscored(self, index: Tensor) -> Tensor:
        """Positions of the mini-batch, where no losses are needed."""
        raise NotImplementedError(f"{type(self).__name__} needs no losses and cannot pick")

    def _weighted(self, index: Tensor, losses: Tensor) -> Tensor:
        """The losses [m] as they count in the objective; arguments as of `reduce`."""
        return losses

    def _planned_share(self, epoch: int) -> float:
        """Share of the samples that the plan of an epoch is expected to hold."""
        return 1.0

    def _epoch_cost(self, epoch: int) -> Cost:
        self.epoch = epoch
        share = self._planned_share(epoch)
        if self.selects_batches and self.batch_ratio is not None:
            return Cost(share, share * self.batch_ratio)
        return Cost(0.0, share)

    def _bp_fraction(self) -> float:
        kept = 1.0 if self.prune_ratio is None else 1 - self.prune_ratio
        return kept if self.batch_ratio is None else kept * self.batch_ratio

    def _new_table(
        self, name: str, fill: float, dtype: torch.dtype = torch.float32, *, scalar: bool = False
    ) -> Tensor:
        """A tensor on the device, [n] or [], that travels with the state under this name."""
        shape = () if scalar else (self.num_samples,)
        self._tables[name] = torch.full(shape, fill, dtype=dtype, device=self.device)
        return self._tables[name]

    def _take_in(self, index: Tensor, losses: Tensor, signals: Mapping[str, Tensor]) -> Tensor:
        """Check, cast, watch and update; the losses as float32, NaN where not finite."""
        check_rows(index, losses)
        missing = sorted(self.signals - signals.keys())
        require(not missing, "signals", sorted(signals), f"given with {', '.join(missing)} too")
        for name in self.signals:
            rows, fits = len(signals[name]), len(signals[name]) == len(losses)
            require(fits, f"len({name})", rows, f"{len(losses)}, as of the losses")
        losses = losses.detach().float()
        bad = ~losses.isfinite()
        self._watches["nonfinite"].note(index, bad, self.epoch, self._batch)
        if self.negative == "error":
            self._watches["negative"].note(index, losses < 0, self.epoch, self._batch)
        self._batch += 1
        losses = losses.masked_fill(bad, torch.nan)
        try:
            self._update(index, losses, signals)
        except IndexError as error:  # on a CPU; a GPU asserts on the device
            raise ValueError(
                f"index: must be in 0..{self.num_samples - 1}, the ids of the data set ({error})"
            ) from error
        return losses

    def _fresh_select_stream(self) -> torch.Generator:
        """The epoch's stream of this rank: ranks draw from rows of their own, independently."""
        purpose = f"select/{self.rank}" if self.rank else "select"
        return stream(self.seed, purpose, self.epoch, self.device)

    @classmethod
    def _rehearsal(cls, num_epochs: int, hyperparameters: Mapping[str, Any]) -> Self:
        """A selector of one sample, to ask what it would do; warnings belong to the real one."""
        cls.require_known(hyperparameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cls(1, num_epochs, **hyperparameters)

    def _identity(self) -> dict[str, Any]:
        """What two selectors must share for one to continue the other."""
        return {
            "method": self.method_name(),
            "semantics_version": self.semantics_version,
            "num_samples": self.num_samples,
            "num_epochs": self.num_epochs,
            **self.hyperparameters,
        }

    def _tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state: the tables and the watches' buffers."""
        buffers = {
            f"{kind}/{name}": buffer
            for kind, watch in self._watches.items()
            for name, buffer in watch.buffers.items()
        }
        return self._tables | buffers

    def _require_fit(self, state: Mapping[str, Any]) -> None:
        expected = self.state_dict().keys()
        require(state.keys() == expected, "state", sorted(state), f"of the keys {sorted(expected)}")
        theirs = state["identity"]
        for name, mine in self._identity().items():
            known = name in theirs
            require(known, "state", sorted(theirs), f"a state that holds {name}")
            require(mine == theirs[name], name, mine, f"{theirs[name]!r}, as in the saved state")
        tensors = state["tensors"]
        for name, tensor in self._tensors().items():
            fits = name in tensors and tensors[name].shape == tensor.shape
            found = tuple(tensors[name].shape) if name in tensors else None
            require(fits, f"state[{name!r}]", found, f"a tensor of shape {tuple(tensor.shape)}")


def _loaded_plan(fields: Mapping[str, Any]) -> EpochPlan:
    """A plan lies on the CPU, wherever its state was mapped to."""
    on_cpu: dict[str, Any] = {k: v.cpu() if isinstance(v, Tensor) else v for k, v in fields.items()}
    return EpochPlan(**on_cpu)


def _as_device(device: torch.device | str) -> torch.device:
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r}: must be a torch device") from error
