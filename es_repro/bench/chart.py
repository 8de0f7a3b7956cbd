"""A picture of the steps: time of an epoch by phase, beside what its FLOPs would allow. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from es_repro.report.style import PHASES, look, styled

__all__ = ["chart", "shares_of_epoch"]

Measured = Mapping[str, Any]

ROW_INCHES, HEAD_INCHES = 0.3, 1.45


def shares_of_epoch(row: Measured) -> dict[str, float]:
    """Where the epoch's time goes, by phase, as shares of the baseline's epoch; they add up."""
    work, base = row["work"], row["baseline_work"]
    whole = row["baseline_seconds"] * base["planned"] / base["batch_rows"]
    whole += row["baseline_plan_seconds"]
    steps = work["planned"] / work["batch_rows"]
    shares = {name: seconds * steps / whole for name, seconds in row["phases"].items()}
    shares["planning"] = row["plan_seconds"] / whole
    if row["refresh_seconds"] is not None:
        refreshes = work["refreshed"] / work["batch_rows"]
        shares["re-scoring"] = row["refresh_seconds"] * refreshes / whole
    # Medians of parts are not parts of a median: the picture's bars end where the table says.
    factor = row["epoch_ratio"]["median"] / sum(shares.values())
    return {name: share * factor for name, share in shares.items()}


def chart(results: Measured) -> Figure:
    """A panel a model: a bar a method, stacked by phase, with its interval and its ideal.

    Args:
        results: as in bench.json, with `steps`.
    """
    rows = results["steps"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    counts = [sum(row["model"] == model for row in rows) for model in models]
    with styled():
        height = sum(HEAD_INCHES + ROW_INCHES * count for count in counts)
        figure = Figure(figsize=(7.2, height))
        panels = figure.subplots(len(models), squeeze=False, height_ratios=counts)[:, 0]
        for axes, model in zip(panels, models, strict=True):
            some = [row for row in rows if row["model"] == model]
            _panel(axes, some)
            axes.set_title(_heading(model, some[0], results["made"]))
        _legend(figure, rows)
    return figure


def _panel(axes: Axes, rows: Sequence[Measured]) -> None:
    shares = [shares_of_epoch(row) for row in rows]
    # A wild interval must not squeeze the bars.
    limit = 1.1 * max(1.0, *(row["epoch_ratio"]["median"] for row in rows))
    for place, (row, parts) in enumerate(zip(rows, shares, strict=True)):
        start = 0.0
        for name, colour in PHASES.items():
            width = parts.get(name, 0.0)
            axes.barh(place, width, left=start, color=colour, height=0.68, linewidth=0)
            start += width
        ratio = row["epoch_ratio"]
        _marks(axes, place, ratio, row["ideal"])
        share = "-" if row["share"] is None else f"{row['share']['median']:.0%}"
        _note(axes, place, f"{ratio['median']:.3f}", share)
    _note(axes, -1, "epoch", "realised", weight="bold")
    axes.axvline(1, color="#4d4d4d", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, limit)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time of a selecting epoch, the baseline's = 1; realised: of the ideal saving")


def _marks(axes: Axes, place: int, ratio: Measured, ideal: float) -> None:
    """The interval of a bar and the tick at its ideal, both rimmed in white."""
    tick = [place - 0.44, place + 0.44]
    for colour, extra, layer in (("white", 2.2, 3), ("black", 0.0, 4)):
        axes.plot([ideal] * 2, tick, color=colour, linewidth=1.8 + extra, zorder=layer)
        axes.errorbar(
            ratio["median"], place,
            xerr=[[ratio["median"] - ratio["low"]], [ratio["high"] - ratio["median"]]],
            color=colour, linewidth=1.1 + extra, capthick=1.1 + extra, zorder=layer + 2,
        )  # fmt: skip


def _note(axes: Axes, place: float, ratio: str, share: str, weight: str = "normal") -> None:
    """Two numbers in columns beside the panel."""
    beside = axes.get_yaxis_transform()
    for at, text in ((1.10, ratio), (1.26, share)):
        axes.text(
            at, place, text, transform=beside, ha="right", va="center", fontsize=8.5, weight=weight
        )


def _legend(figure: Figure, rows: Sequence[Measured]) -> None:
    seen = {name for row in rows for name, share in shares_of_epoch(row).items() if share > 0}
    handles: list[Any] = [
        Patch(color=colour, label=name) for name, colour in PHASES.items() if name in seen
    ]
    tick: dict[str, Any] = {"marker": "|", "markersize": 11, "markeredgewidth": 1.8}
    handles.append(Line2D([], [], color="black", linestyle="", label="ideal (FLOPs)", **tick))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)


def _label(row: Measured) -> str:
    name = look(str(row["method"])).name
    return name if row["batch_ratio"] == 1 else f"{name}, b/B = {row['batch_ratio']:.3g}"


def _heading(model: str, row: Measured, made: Measured) -> str:
    step = f"baseline's step {row['baseline_seconds'] * 1e3:.3g} ms"
    contended = ", CONTENDED" if made["sections"]["steps"]["contended"] else ""
    threads = f"{made['threads']} thread{'s' if made['threads'] > 1 else ''}"
    machine = f"{made['device']}, {threads}, {made['precision']}{contended}"
    net = model.replace(",", ", ").replace("=", " ")
    return f"{net}, B = {row['meta_batch_size']}: {step}\n{machine}"
