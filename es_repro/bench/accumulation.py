"""Time and memory of an update under little memory: the claim of Table 9, by micro-batch.

With accumulation a plain update of B rows is ceil(B / b_micro) forward and backward passes; a
selecting one scores B rows in ceil(B / b_micro) passes without gradient and trains b of them in
ceil(b / b_micro). The paper reports 1.59 s an update of ESWP against 3.00 s of the baseline's, at
B = 32, b = 8, b_micro = 8.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig
from tabulate import tabulate

from es_repro.bench.memory import footprint
from es_repro.bench.ratios import Estimate, estimate
from es_repro.bench.rigs import bare_engine
from es_repro.bench.stepping import Stepper, paired_seconds
from es_repro.build import build_selector, load_data
from es_repro.config import config_folder, register_resolvers
from es_repro.costs.counters import Cost, Picks
from es_repro.data import Data
from es_repro.engine import Engine
from es_repro.parallel.exchange import Exchange
from es_repro.selection import PlannedBatchSampler, count, require

__all__ = [
    "METHODS", "PAPER_RATIO", "AccumulationRow", "expected_ratio", "measure_accumulation",
    "sample_precision", "sizes", "table",
]  # fmt: skip

METHODS = ("baseline", "es", "eswp")
PAPER_RATIO = 0.53  # Table 9: 1.59 s of 3.00 s an update

Show = Callable[[float, str], None]


@dataclass(frozen=True)
class AccumulationRow:
    """One method at one size of micro-batches.

    Attributes:
        method: its row.
        micro_batch: b_micro, of both passes.
        fits: the device's memory held it; the rest is None where it did not.
        scoring_passes: of an update.
        backward_passes: of an update.
        seconds: of an update.
        ratio: of the seconds to the baseline's at the same micro-batch.
        saved_activations: bytes that a forward pass keeps for the backward, at most.
        peak_bytes: allocated at once, weights and optimizer included; CUDA alone.
    """

    method: str
    micro_batch: int
    fits: bool
    scoring_passes: int | None = None
    backward_passes: int | None = None
    seconds: Estimate | None = None
    ratio: Estimate | None = None
    saved_activations: int | None = None
    peak_bytes: int | None = None


def measure_accumulation(
    experiment: str,
    micro_batches: Sequence[int],
    *,
    pairs: int,
    warmup: int = 2,
    device: torch.device,
    overrides: Sequence[str] = (),
    show: Show,
) -> list[AccumulationRow]:
    """Updates of baseline, ES and ESWP, in turn and in one process, on one model.

    Args:
        experiment: whose data, model and sizes are taken.
        micro_batches: values of b_micro.
        pairs: measured rounds.
        warmup: rounds before them.
        device: where.
        overrides: of the config.
        show: called with (share done, one-line state).

    Raises:
        ValueError: no micro-batches, or one below 1.
    """
    require(bool(micro_batches) and min(micro_batches) >= 1, "micro", micro_batches, "at least 1")
    configs = {method: _compose(experiment, method, overrides) for method in METHODS}
    data = load_data(configs["baseline"])
    shared = bare_engine(configs["baseline"], data, device)
    steppers: dict[tuple[str, int], Stepper | None] = {}
    for micro in micro_batches:
        for method, config in configs.items():
            steppers[method, micro] = _stepper(shared, config, data, micro)
            show(len(steppers) / (2 * len(METHODS) * len(micro_batches)), "warming up")
    fitting = {key: stepper for key, stepper in steppers.items() if stepper is not None}
    seconds = paired_seconds([x.step for x in fitting.values()], pairs, warmup, device)
    taken = {key: seconds[:, number] for number, key in enumerate(fitting)}
    rows = []
    for (method, micro), stepper in steppers.items():
        base = taken.get(("baseline", micro))
        if stepper is None or base is None:
            rows.append(AccumulationRow(method, micro, fits=False))
            continue
        before = replace(stepper.engine.cost)
        stepper.step()
        spent = replace(stepper.engine.cost)
        memory = footprint(stepper)
        rows.append(
            AccumulationRow(
                method,
                micro,
                fits=True,
                scoring_passes=spent.scoring_passes - before.scoring_passes,
                backward_passes=spent.backward_passes - before.backward_passes,
                seconds=estimate(taken[method, micro]),
                ratio=estimate(taken[method, micro] / base),
                saved_activations=memory.saved_activations,
                peak_bytes=memory.peak_bytes,
            )
        )
        show(0.5 + len(rows) / (2 * len(steppers)), f"{method}, micro-batch {micro}")
    return rows


def expected_ratio(rows: int, trained: int, *, recomputed: bool) -> float:
    """The cost model's: a backward pass is two forwards, three where activations are recomputed."""
    step = 4 if recomputed else 3
    return (rows + step * trained) / (step * rows)


def sizes(experiment: str, overrides: Sequence[str]) -> tuple[int, int, bool]:
    """B, b and whether activations are recomputed, as the experiment has them."""
    config = _compose(experiment, "es", overrides)
    rows = int(config.meta_batch_size)
    recomputed = bool(config.model.get("activation_checkpointing", False))
    return rows, count(float(config.method.batch_ratio), rows), recomputed


def sample_precision(experiment: str, overrides: Sequence[str]) -> str:
    """What the experiment asks for: fp32, bf16 or auto."""
    return str(_compose(experiment, "es", overrides).precision)


def table(found: Sequence[AccumulationRow], expected: float) -> str:
    """The rows in Markdown, with what the cost model and the paper say."""
    headers = ("micro-batch", "method", "scoring", "backward", "ms an update", "of the baseline",
               "cost model", "paper", "activations, MB", "peak, MB")  # fmt: skip
    lines = [_line(row, expected) for row in found]
    return tabulate(lines, headers, tablefmt="github", stralign="right", disable_numparse=True)


def _line(row: AccumulationRow, expected: float) -> list[str]:
    if row.seconds is None or row.ratio is None or row.saved_activations is None:
        return [str(row.micro_batch), row.method, "out of memory", *[""] * 7]
    plain = row.method == "baseline"
    ratio = f"{row.ratio.median:.3f} [{row.ratio.low:.3f}, {row.ratio.high:.3f}]"
    paper = f"{PAPER_RATIO:.2f}" if row.method == "eswp" and row.micro_batch == 8 else ""
    peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:,.0f}"
    return [
        str(row.micro_batch), row.method, str(row.scoring_passes), str(row.backward_passes),
        f"{1000 * row.seconds.median:.1f}", "" if plain else ratio,
        "" if plain else f"{expected:.3f}", paper, f"{row.saved_activations / 1e6:,.1f}", peak,
    ]  # fmt: skip


def _compose(experiment: str, method: str, overrides: Sequence[str]) -> DictConfig:
    register_resolvers()
    GlobalHydra.instance().clear()
    asked = [f"experiment={experiment}", f"method={method}", f"row={method}", "tracker=none"]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return compose("config", [*asked, "keep_steps=null", "compile=false", *overrides])


def _stepper(shared: Engine, config: DictConfig, data: Data, micro: int) -> Stepper | None:
    """A method's steps on the shared model; None where the device's memory does not hold them."""
    device = shared.fabric.device
    engine = copy.copy(shared)
    engine.selector = build_selector(config, data.num_samples, config.epochs, device)
    sampler = PlannedBatchSampler(engine.selector, config.meta_batch_size, seed=config.seed)
    engine.loader = data.loader(sampler, seed=config.seed, device=device)
    engine.exchange = Exchange(engine.ranks, engine.selector, shared.settings.table_sync)
    engine.cost, engine.picks = Cost(), Picks(engine.loader, engine.ranks)
    engine.settings = replace(
        shared.settings, micro_batch_size=micro, score_micro_batch=micro,
        max_steps=None, schedule_steps=None,
    )  # fmt: skip
    try:
        return Stepper(engine, epoch=1)
    except torch.OutOfMemoryError:
        engine.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        return None
