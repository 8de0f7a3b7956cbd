"""Models that a run keeps on its way, as folders that other programs read."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from torch import nn
from torch.distributed.tensor import DTensor

from es_repro.parallel.bystander import Bystander
from es_repro.parallel.sharding import whole
from es_repro.record import Record
from es_repro.selection.checks import as_int, require

__all__ = ["NO_EXPORTS", "Exports"]

Writer = Callable[[Path], None]


class Exports:
    """Writes the model of given steps to `exports/step-<step>/` of the run, in its own form.

    Args:
        steps: numbers of optimizer steps; none: never.
        record: of the run.
        model: one that can `save_pretrained(folder)`; with `state_dict=` where it is sharded.
        companions: each fills the folder with what belongs to the model: its tokenizer.
        max_steps: the run's last step, where it is known.

    Raises:
        ValueError: a step that the run does not come to, or a model that cannot be written so.
    """

    def __init__(
        self,
        steps: Iterable[int] = (),
        *,
        record: Record | Bystander | None = None,
        model: nn.Module | None = None,
        companions: Iterable[Writer] = (),
        max_steps: int | None = None,
    ) -> None:
        self.steps = frozenset(as_int("keep_steps", step, minimum=1) for step in steps)
        last = max(self.steps, default=0)
        allowed = f"at most max_steps={max_steps}"
        require(max_steps is None or last <= max_steps, "keep_steps", last, allowed)
        self._record, self._companions, self._written = record, list(companions), set[int]()
        if self.steps:
            save = getattr(model, "save_pretrained", None)
            allowed = "null: this model has no folder form (save_pretrained)"
            require(save is not None, "keep_steps", sorted(self.steps), allowed)
            self._model, self._save = cast(nn.Module, model), cast(Callable[..., object], save)

    def write(self, step: int) -> None:
        """Keep the model if it is due after `step` steps and not kept yet; called by all ranks."""
        if step not in self.steps or step in self._written:
            return
        assert self._record is not None
        state = self._gathered()

        def fill(folder: Path) -> None:
            self._save(folder, **state)
            for write in self._companions:
                write(folder)

        self._record.export(f"step-{step}", fill)
        self._written.add(step)

    def after(self, step: int) -> list[int]:
        """The steps asked for that lie after `step`."""
        return sorted(x for x in self.steps if x > step)

    def _gathered(self) -> dict[str, Any]:
        """The weights, where they are sharded: all ranks take part, and one writes."""
        state = self._model.state_dict()
        sharded = any(isinstance(value, DTensor) for value in state.values())
        return {"state_dict": whole(state)} if sharded else {}


NO_EXPORTS = Exports()
