"""Models that a run keeps on its way, as folders that other programs read."""

from collections.abc import Callable, Iterable
from pathlib import Path

from torch import nn

from es_repro.record import Record
from es_repro.selection.checks import as_int, require

__all__ = ["NO_EXPORTS", "Exports"]

Writer = Callable[[Path], None]


class Exports:
    """Writes the model of given steps to `exports/step-<step>/` of the run, in its own form.

    Args:
        steps: numbers of optimizer steps; none: never.
        record: of the run.
        model: one that can `save_pretrained(folder)`.
        companions: each fills the folder with what belongs to the model: its tokenizer.
        max_steps: the run's last step, where it is known.

    Raises:
        ValueError: a step that the run does not come to, or a model that cannot be written so.
    """

    def __init__(
        self,
        steps: Iterable[int] = (),
        *,
        record: Record | None = None,
        model: nn.Module | None = None,
        companions: Iterable[Writer] = (),
        max_steps: int | None = None,
    ) -> None:
        self.steps = frozenset(as_int("keep_steps", step, minimum=1) for step in steps)
        last = max(self.steps, default=0)
        allowed = f"at most max_steps={max_steps}"
        require(max_steps is None or last <= max_steps, "keep_steps", last, allowed)
        self._writers: list[Writer] = []
        self._record, self._written = record, set[int]()
        if self.steps:
            write = getattr(model, "save_pretrained", None)
            allowed = "null: this model has no folder form (save_pretrained)"
            require(write is not None, "keep_steps", sorted(self.steps), allowed)
            assert write is not None
            self._writers = [write, *companions]

    def write(self, step: int) -> None:
        """Keep the model if it is due after `step` steps and not kept yet."""
        if step not in self.steps or step in self._written:
            return
        assert self._record is not None
        self._record.export(f"step-{step}", self._fill)
        self._written.add(step)

    def _fill(self, folder: Path) -> None:
        for write in self._writers:
            write(folder)


NO_EXPORTS = Exports()
