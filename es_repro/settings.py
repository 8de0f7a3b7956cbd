"""How a run trains, beside its objects."""

from dataclasses import dataclass
from typing import Literal

from es_repro.selection import require
from es_repro.selection.checks import as_choice, as_int, as_real

__all__ = ["CompileMode", "Settings"]

CompileMode = Literal["default", "reduce-overhead", "max-autotune"]


@dataclass(frozen=True)
class Settings:
    """How a run trains, beside its objects.

    Attributes:
        epochs: E.
        meta_batch_size: B; evaluation and re-scoring use batches of it too.
        micro_batch_size: the most rows a training pass holds; None: all.
        score_micro_batch: the same for scoring; None: B, for batch norm depends on it.
        score_mode, bn_update: see `passes.Statistics`.
        clip_norm: the largest gradient norm; None: no clipping.
        eval_every: evaluate after every so many epochs, and after the last.
        max_steps: end after so many optimizer steps, wherever in an epoch; None: after E epochs.
        schedule_steps: steps over which the learning-rate schedule spans; None: E epochs.
        group_by_length: cut micro-batches from rows sorted by their length: less padding, and
            which rows train and their gradient stay the same.
        compile: compile the scoring and the training pass, each for its whole batch size.
        compile_mode: of `torch.compile`; reduce-overhead captures CUDA graphs.
        log_every: steps between two looks at the device.
        checkpoint_every_seconds: of wall-clock.
        checkpoint_every_steps: beside that, after every so many steps; None: never.
        table_sync: when ranks tell one another of their rows; see `exchange.Exchange`.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    epochs: int
    meta_batch_size: int
    micro_batch_size: int | None = None
    score_micro_batch: int | None = None
    score_mode: Literal["train", "eval"] = "train"
    bn_update: Literal["train", "score", "both"] = "train"
    clip_norm: float | None = None
    eval_every: int = 1
    max_steps: int | None = None
    schedule_steps: int | None = None
    group_by_length: bool = False
    compile: bool = False
    compile_mode: CompileMode = "default"
    log_every: int = 50
    checkpoint_every_seconds: float = 60.0
    checkpoint_every_steps: int | None = None
    table_sync: Literal["step", "epoch"] = "step"

    def __post_init__(self) -> None:
        for name in ("epochs", "meta_batch_size", "eval_every", "log_every"):
            as_int(name, getattr(self, name), minimum=1)
        for name in (
            "micro_batch_size", "score_micro_batch", "max_steps", "schedule_steps",
            "checkpoint_every_steps",
        ):  # fmt: skip
            if getattr(self, name) is not None:
                as_int(name, getattr(self, name), minimum=1)
        as_choice("compile_mode", self.compile_mode, CompileMode)
        if self.clip_norm is not None:
            as_real("clip_norm", self.clip_norm, "(0, inf)")
        as_real("checkpoint_every_seconds", self.checkpoint_every_seconds, "[0, inf]")
        if self.schedule_steps is not None:
            long_enough = self.max_steps is not None and self.max_steps <= self.schedule_steps
            allowed = "null where max_steps is, else at least max_steps"
            require(long_enough, "schedule_steps", self.schedule_steps, allowed)
