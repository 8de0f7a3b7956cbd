"""The results as Markdown. Pure; every table says what its columns are."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from es_repro.bench.goals import goals
from es_repro.report.style import look

__all__ = ["document"]

Measured = Mapping[str, Any]

# Sec. 4.1 (ii) of the paper: GB of fine-tuning ViT-Large, as Baseline, ES and ESWP.
PAPER_GIGABYTES = (52.4, 49.7, 49.1)


def document(results: Measured) -> str:
    """Everything that was measured, section by section, with the goals on top.

    Args:
        results: as in bench.json.
    """
    parts = ["# Bench", _made(results["made"])]
    held = goals(results)
    if held:
        rows = [[g.subject, g.goal, g.measured, "yes" if g.reached else "**no**"] for g in held]
        parts += ["## Goals", _table(["what", "goal", "measured", "reached"], rows, left=2)]
    sections = {"steps": _steps, "planning": _planning, "draw": _draw, "loader": _loader}
    for name, write in sections.items():
        if results.get(name):
            parts += write(results[name])
            parts += _contended(results["made"]["sections"][name])
    return "\n\n".join(parts) + "\n"


def _made(made: Measured) -> str:
    commit = str(made["commit"] or "unknown")[:10] + (
        " (with local changes)" if made["dirty"] else ""
    )
    lines = [
        f"Command: `{made['command']}`",
        f"Commit: {commit}",
        f"Device: {made['device_name']} ({made['device']}), threads: {made['threads']}",
        f"Versions: torch {made['torch']}, es_repro {made['es_repro']}; "
        f"precision {made['precision']}, compiled: {'yes' if made['compile'] else 'no'}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _contended(section: Measured) -> list[str]:
    if not section["contended"]:
        return []
    cores = section["foreign_cores"]
    return [f"**Contended**: others kept {cores:.1f} cores busy meanwhile; measure again."]


def _steps(rows: Sequence[Measured]) -> list[str]:
    parts: list[str] = []
    for model in dict.fromkeys(row["model"] for row in rows):
        some = [row for row in rows if row["model"] == model]
        parts += _of_model(model, some)
    return parts


def _of_model(model: str, rows: Sequence[Measured]) -> list[str]:
    first = rows[0]
    head = (
        f"B = {first['meta_batch_size']}, {first['data']}. Baseline and method take whole steps in "
        "turn (A B, B A, ...), by the engine's own step; medians over the pairs, with 95% "
        "bootstrap intervals. An epoch is a selecting one; the tables of scores are filled "
        "beforehand, so that every method prunes as it would."
    )
    return [
        f"## Steps: {model}", head,
        "### A selecting epoch", _epochs(rows), _bullets(EPOCH_COLUMNS),
        "### Where the time goes", _phases(rows), _bullets(PHASE_COLUMNS),
        "### Memory of a step", _memory(rows), _bullets(_memory_columns(rows)),
    ]  # fmt: skip


EPOCH_COLUMNS = (
    "b/B: rows trained of each meta-batch of B; pruned: samples that the epoch leaves out",
    "steps: the epoch's, over the baseline's; step: time of one, over a baseline step's",
    "epoch: time of all steps, planning and re-scoring included, over the baseline's epoch",
    "ideal: the same in FLOPs, from the cost model (a backward is two forwards)",
    "realised: share of the ideal saving, (1 - epoch) / (1 - ideal); \"-\" where it saves nothing",
    "run of 200: time that a whole run of 200 epochs saves, annealed epochs included, if "
    "each realises that share of what its FLOPs would save: what to hold its clock against",
    "Baseline in its own row: two of the same, which shows the noise of the measurement",
)  # fmt: skip


def _epochs(rows: Sequence[Measured]) -> str:
    columns = [
        "method",
        "b/B",
        "pruned",
        "steps",
        "step",
        "epoch",
        "ideal",
        "realised",
        "run of 200",
    ]
    cells = [
        [
            _name(row), _ratio(row), _pruned(row), f"{_steps_share(row):.3f}",
            f"{row['step_ratio']['median']:.3f}", _interval(row["epoch_ratio"]),
            f"{row['ideal']:.3f}", _interval(row["share"]),
            _interval(row["run_saved"], percent=True),
        ]
        for row in rows
    ]  # fmt: skip
    return _table(columns, cells)


PHASE_COLUMNS = (
    "ms a step: whole, then by phase (data: fetching and augmenting the meta-batch; scoring: the "
    "forward without gradient; selection: update, draw, gathering the rows; training: forward, "
    "backward, optimizer; other: between them)",
    "selection of step: the selection phase in percent of the baseline's step",
    "plan: planning the epoch once, shuffle and augmentation draws included; re-score: a "
    "meta-batch of hidden samples at the epoch's end (KA)",
    "samples/s: planned samples over the seconds of the epoch",
)


def _phases(rows: Sequence[Measured]) -> str:
    names = ["data", "scoring", "training", "other"]
    columns = [
        "method", "b/B", "baseline ms", "step ms", *names, "selection µs", "selection of step",
        "plan ms", "re-score ms", "samples/s",
    ]  # fmt: skip
    cells = [
        [
            _name(row), _ratio(row), _ms(row["baseline_seconds"]), _ms(row["step_seconds"]),
            *(_ms(row["phases"][name]) for name in names),
            f"{row['phases']['selection'] * 1e6:.0f}" if row["phases"]["selection"] else "-",
            f"{row['selection_share']:.2%}" if row["phases"]["selection"] else "-",
            _ms(row["plan_seconds"]), _ms(row["refresh_seconds"]),
            f"{row['samples_per_second']:,.0f}",
        ]
        for row in rows
    ]  # fmt: skip
    return _table(columns, cells)


def _memory_columns(rows: Sequence[Measured]) -> tuple[str, ...]:
    base, es, eswp = PAPER_GIGABYTES
    lines: tuple[str, ...] = (
        "saved activations: bytes that the forward passes keep for the backward, each storage "
        "once, parameters left out; counted by autograd's own hooks, the same on every device",
        "plain: a step on all B rows, in an annealed epoch or else the baseline's; of plain: the "
        "one over the other, which is b/B where the activations follow b and not B",
        f"the paper's, in kind: {base} / {es} / {eswp} GB of everything (weights, gradients and "
        f"optimizer included) for Baseline / ES / ESWP, ViT-Large fine-tuning: ratios "
        f"{es / base:.3f} and {eswp / base:.3f}",
    )  # fmt: skip
    if any(row["memory"]["peak_bytes"] is not None for row in rows):
        lines += ("peak: the most that the device had allocated at once, weights included",)
    return lines


def _memory(rows: Sequence[Measured]) -> str:
    columns = ["method", "b/B", "saved activations, selecting", "plain", "of plain"]
    on_cuda = any(row["memory"]["peak_bytes"] is not None for row in rows)
    columns += ["peak, selecting", "peak, plain", "of plain"] if on_cuda else []
    cells = []
    for row in rows:
        selecting, plain = row["memory"], row["plain_memory"]
        keys = ["saved_activations", *(["peak_bytes"] if on_cuda else [])]
        numbers = []
        for key in keys:
            ratio = f"{selecting[key] / plain[key]:.3f}"
            numbers += [_mega(selecting[key]), _mega(plain[key]), ratio]
        cells.append([_name(row), _ratio(row), *numbers])
    return _table(columns, cells)


def _planning(rows: Sequence[Measured]) -> list[str]:
    cells = [
        [
            f"{row['num_samples']:,}", _ms(row["seconds"]), _ms(row["multinomial_seconds"]),
            _interval(row["ratio"]),
            "-" if row["peak_bytes"] is None else f"{row['peak_bytes'] / row['num_samples']:.1f}",
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["samples", "plan ms", "multinomial ms", "ratio", "peak bytes/sample"]
    explained = (
        "plan: an ESWP epoch at r = 0.2, from the weights to the kept ids, on the CPU",
        "multinomial: torch.multinomial without replacement on the same weights; it stops at 2^24",
        "peak: resident high-water mark of a fresh process that plans once, less what was resident "
        "before, the table of 9 bytes a sample; the plan's ids, 6.4 bytes a sample, are in it",
    )
    return ["## Planning an epoch", _table(columns, cells, left=0), _bullets(explained)]


def _draw(rows: Sequence[Measured]) -> list[str]:
    cells = [
        [
            str(row["meta_batch_size"]), f"{row['seconds'] * 1e6:.0f}",
            f"{row['multinomial_seconds'] * 1e6:.0f}", _interval(row["ratio"]),
        ]
        for row in rows
    ]  # fmt: skip
    explained = (
        "ES `select`: update of s and w for B rows, weighted draw of B/4 of them, sorted",
        "multinomial: the same update, then torch.multinomial without replacement, sorted; on CUDA "
        "it checks its input on the host, so the queue waits",
    )
    columns = ["B", "select µs", "multinomial µs", "ratio"]
    return [
        "## Weighted draw and score update",
        _table(columns, cells, left=0),
        _bullets(explained),
    ]


def _loader(rows: Sequence[Measured]) -> list[str]:
    cells = [
        [
            row["model"] or "nothing: the loaders alone", str(row["workers"]),
            f"{row['ours']:,.0f}", f"{row['theirs']:,.0f}", _interval(row["speedup"], digits=2),
        ]
        for row in rows
    ]  # fmt: skip
    explained = (
        "theirs: DataLoader over PIL images with torchvision's RandomCrop (reflect), flip, "
        "ToTensor and Normalize, and a plain loop around the same net and optimizer",
        "ours: the resident loader; end to end with the engine's own step",
        "in turn by whole short epochs; speed-up: their time over ours",
    )
    columns = ["trained on it", "workers", "ours samples/s", "theirs samples/s", "speed-up"]
    return [f"## Loading: {rows[0]['data']}", _table(columns, cells), _bullets(explained)]


def _steps_share(row: Measured) -> float:
    ours, base = (row[key]["planned"] / row[key]["batch_rows"] for key in ("work", "baseline_work"))
    return float(ours / base)


def _name(row: Measured) -> str:
    return look(str(row["method"])).name


def _ratio(row: Measured) -> str:
    return f"{row['batch_ratio']:.3g}"


def _pruned(row: Measured) -> str:
    # Random mini-batches come as a plan of b rows for each B: nothing is pruned beyond that.
    share = row["work"]["planned"] / row["work"]["num_samples"]
    kept = share / row["batch_ratio"] if not row["work"]["scored"] else share
    return f"{max(0.0, 1 - kept):.1%}"


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:,.0f}" if seconds >= 1 else f"{seconds * 1e3:.3g}"


def _mega(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.4g} MB"


def _interval(found: Measured | None, digits: int = 3, *, percent: bool = False) -> str:
    if found is None:
        return "-"
    kind = ".1%" if percent else f".{digits}f"
    return f"{found['median']:{kind}} [{found['low']:{kind}}, {found['high']:{kind}}]"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    align = ["left"] * left + ["right"] * (len(columns) - left)
    text = tabulate(rows, headers=columns, tablefmt="pipe", disable_numparse=True, colalign=align)
    return str(text)
