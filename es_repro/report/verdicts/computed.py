"""What the paper's printed numbers say of one another, computed from its tables. Pure."""

from collections.abc import Iterator

import pandas as pd

from es_repro.report.paper import paper_figures, paper_table
from es_repro.theory.check import Check

__all__ = ["arithmetic"]

_OURS = ("ES", "ESWP")
_PRUNED = 0.2  # ESWP's pruning ratio, Sec. 4.1
_HALF = 0.05 + 1e-9  # rounding of a number printed with one digit


def arithmetic() -> Iterator[Check]:
    """Every check, by table."""
    yield from _signs()
    yield from _savings()
    yield from _lossless()
    yield from _winners()
    yield from _means()
    yield from _between_tables()
    yield from _ablation()
    yield from _maths()
    yield _memory()


def _signs() -> Iterator[Check]:
    for number in (2, 3):
        table = _differences(paper_table(number))
        same = (table["delta_signed"].abs() - table["difference"].abs()).abs() < 1e-6
        yield Check(
            f"Table {number}", "what stands behind the plus-minus sign is a spread",
            f"it equals the absolute difference to Baseline in {same.sum()} of {len(table)} cells",
            not same.all(), expected=False,
        )  # fmt: skip
    table = pd.concat([_differences(paper_table(number)) for number in (4, 5, 7)])
    arrows = table[table["delta_printed"].ne("")]
    same = (arrows["delta_signed"] - arrows["difference"]).abs() < 1e-6
    yield Check(
        "Tables 4, 5, 7", "the arrows are differences to the Baseline of the same column",
        f"in {same.sum()} of {len(arrows)} cells", bool(same.all()),
    )  # fmt: skip


def _savings() -> Iterator[Check]:
    hours = paper_table(4)
    hours = hours[hours["unit"] == "h"]
    base = float(hours[hours["method"] == "Baseline"]["value"].iloc[0])
    for _, line in hours[hours["method"] != "Baseline"].iterrows():
        method, setting = str(line["method"]), str(line["setting"])
        saved = 100 * (1 - float(line["value"]) / base)
        yield Check(
            "Table 4", f"{method} {setting}".strip() + f" saves {line['time_saved_pct']}%",
            f"{base} h and {line['value']} h give {saved:.2f}%",
            abs(saved - float(line["time_saved_pct"])) <= _HALF,
            expected=setting != "r=0.5",
        )  # fmt: skip
    for number, where, name in (
        (2, {"model": "ResNet-18", "dataset": "CIFAR-10"}, "ResNet-18, CIFAR-10"),
        (2, {"model": "ResNet-18", "dataset": "CIFAR-100"}, "ResNet-18, CIFAR-100"),
        (2, {"model": "ResNet-50"}, "ResNet-50"), (3, {}, "ViT-L"), (5, {"task": "Avg"}, "GLUE"),
    ):  # fmt: skip
        lines = _where(paper_table(number), where)
        share = dict(zip(lines["method"], lines["time_saved_pct"].astype(float), strict=True))
        most = 100 * (1 - (1 - _PRUNED) * (1 - share["ES"] / 100))
        yield Check(
            f"Table {number}",
            f"{name}: ESWP saves {share['ESWP']:g}%, ES {share['ES']:g}%",
            f"pruning {_PRUNED:.0%} on top of ES can save {most:.1f}% at most",
            share["ESWP"] <= most + 0.5, expected=name != "ResNet-50",
        )  # fmt: skip
    vision = pd.concat([paper_table(2), paper_table(3)])
    hiding = vision[vision["method"] == "KA"]["time_saved_pct"]
    yield Check(
        "Tables 2, 3", f"KA saves {hiding.min():g} to {hiding.max():g}%",
        "hiding 30% and refreshing them by a forward pass (a third of a step) saves 20% at most",
        bool((hiding <= 20.5).all()), expected=False,
    )  # fmt: skip


def _lossless() -> Iterator[Check]:
    tables = pd.concat([_differences(paper_table(number)) for number in (2, 3, 5, 7)])
    mae = paper_table(4)
    accuracy = _differences(mae[mae["unit"] == "%"]).set_index(["method", "setting"])
    hours = mae[mae["unit"] == "h"].set_index(["method", "setting"])["time_saved_pct"]
    mae = accuracy.assign(time_saved_pct=hours).reset_index()
    tables = pd.concat([tables, mae], ignore_index=True)
    ours = tables[tables["method"].isin(_OURS) & tables["time_saved_pct"].notna()]
    headline = ours.sort_values("time_saved_pct").iloc[-1]
    yield Check(
        "abstract", "nearly 45% of the time is saved without loss",
        f"the run that saves {headline['time_saved_pct']}% (Table {headline['table']}, "
        f"{headline['method']} {headline['setting']}) changes accuracy by "
        f"{headline['difference']:+.1f}",
        bool(headline["difference"] >= 0), expected=False,
    )  # fmt: skip
    kept = ours[ours["difference"] >= 0]
    best = kept.sort_values("time_saved_pct").iloc[-1]
    yield Check(
        "Tables 2-5, 7", "some run saves time and loses nothing of the printed score",
        f"the largest such saving is {best['time_saved_pct']}% ({best['method']}, Table "
        f"{best['table']}, {best['model']}); Table 9 saves 47% at equal steps",
        not kept.empty,
    )  # fmt: skip
    below = ours[ours["difference"] < 0]
    yield Check(
        "Tables 2-5, 7", "ES and ESWP lose nothing of the printed score",
        f"{len(below)} of {len(ours)} cells with a saved time are below Baseline "
        f"(ES {(below['method'] == 'ES').sum()}, ESWP {(below['method'] == 'ESWP').sum()})",
        below.empty, expected=False,
    )  # fmt: skip


def _winners() -> Iterator[Check]:
    for number, where, name in (
        (2, {"dataset": "CIFAR-10"}, "ResNet-18, CIFAR-10"), (3, {}, "ViT-L"),
        (5, {"task": "Avg"}, "GLUE, mean"),
    ):  # fmt: skip
        lines = _where(paper_table(number), where)
        values = dict(zip(lines["method"], lines["value"].astype(float), strict=True))
        others = {k: v for k, v in values.items() if k not in (*_OURS, "Baseline")}
        for method in _OURS:
            own = values[method]
            equal = sorted(name for name, value in others.items() if abs(value - own) < 1e-6)
            above = sorted(name for name, value in others.items() if value > own + 1e-6)
            yield Check(
                f"Table {number}", f"{name}: {method} ({own}) is above every other method",
                f"ties: {', '.join(equal) or 'none'}; above it: {', '.join(above) or 'none'}",
                not equal and not above,
                expected=(number, method) in ((3, "ESWP"), (5, "ES")),
            )  # fmt: skip


def _means() -> Iterator[Check]:
    for number, mean, digits in ((5, "Avg", 1), (9, "Averaged", 1)):
        table = paper_table(number)
        table = table[table["unit"] == "%"]
        parts = table[table["task"] != mean].groupby(["method", "setting"])["value"].mean()
        printed = table[table["task"] == mean].set_index(["method", "setting"])["value"]
        off = [key for key in printed.index if abs(parts[key] - printed[key]) > _HALF]
        yield Check(
            f"Table {number}", "the printed means are those of their columns",
            f"{len(printed) - len(off)} of {len(printed)} agree to {digits} digit", not off,
        )  # fmt: skip


def _between_tables() -> Iterator[Check]:
    for number, other, tolerance, columns in (
        (6, 2, 1e-6, ["model", "dataset"]), (6, 5, 1e-6, ["task"]), (7, 5, 1e-6, ["task"]),
        (8, 2, _HALF, ["model", "dataset"]),
    ):  # fmt: skip
        mine, theirs = paper_table(number), paper_table(other)
        if number == 6:
            mine = mine.assign(method=mine["method"].replace({"ES = Loss + A + Dif": "ES"}))
        if number == 8:
            mine = mine[mine["setting"] == "ar=0.05"]
        both = mine.merge(theirs, on=["method", *columns], suffixes=("", "_other"))
        off = both[(both["value"] - both["value_other"]).abs() > tolerance]
        shown = ", ".join(
            f"{line['method']} {line['task']} {line['value']:g} / {line['value_other']:g}"
            for _, line in off.iterrows()
        )
        yield Check(
            f"Tables {number}, {other}", "what both tables print is the same",
            f"{len(both) - len(off)} of {len(both)} agree" + (f"; {shown}" if shown else ""),
            off.empty, expected=number != 7,
        )  # fmt: skip


def _ablation() -> Iterator[Check]:
    table = paper_table(6)
    places = table["task"].where(table["dataset"] == "GLUE", table["dataset"])
    cells = zip(table["method"], places, table["value"].astype(float), strict=True)
    values = {(method, at): value for method, at, value in cells}
    es = "ES = Loss + A + Dif"
    for claim, pairs in (
        ("annealing helps, whatever the weights", (("Loss + A", "Loss"),
         ("Loss + A + NonDif", "Loss + NonDif"), (es, "Loss + Dif"))),
        ("history helps without differences", (("Loss + NonDif", "Loss"),
         ("Loss + A + NonDif", "Loss + A"))),
        ("differences help beyond history", (("Loss + Dif", "Loss + NonDif"),
         (es, "Loss + A + NonDif"))),
    ):  # fmt: skip
        against = [
            f"{first} {values[first, at]:g} against {second} {values[second, at]:g} ({at})"
            for first, second in pairs
            for at in sorted(set(places))
            if values[first, at] <= values[second, at] + 1e-6
        ]
        total = len(pairs) * len(set(places))
        yield Check(
            "Table 6", claim,
            f"{total - len(against)} of {total} pairs; not: {'; '.join(against) or 'none'}",
            not against, expected=False,
        )  # fmt: skip


def _maths() -> Iterator[Check]:
    table = paper_table(9)
    minutes = table[table["unit"] == "min"].copy()
    steps = minutes["setting"].str.extract(r"(\d+)K")[0].astype(float) * 1000
    rate = (60 * minutes["value"] / steps).groupby(minutes["method"])
    shown = ", ".join(f"{name} {rate.get_group(name).mean():.2f} s" for name in rate.groups)
    yield Check(
        "Table 9", "minutes are proportional to steps (so no epoch is trained whole)",
        f"a step takes {shown}; spread {float((rate.max() - rate.min()).max()):.3f} s",
        bool(((rate.max() - rate.min()) < 0.01).all()),
    )  # fmt: skip
    for task, problems in (("MATH500", 500), ("AIME24", 30), ("OlympiadBench", 675)):
        values = table[table["task"] == task]["value"]
        nearest = (values * problems / 100).round() / problems * 100
        fit = int(((nearest - values).abs() <= _HALF).sum())
        yield Check(
            "Table 9", f"{task}: one answer a problem, {problems} problems",
            f"{fit} of {len(values)} cells are multiples of 1/{problems}", fit == len(values),
        )  # fmt: skip


def _memory() -> Check:
    facts = paper_figures("memory")
    stated = facts[facts["kind"] == "stated"].set_index("series")["value"].astype(float)
    saved = {method: 100 * (1 - stated[method] / stated["Baseline"]) for method in _OURS}
    shown = ", ".join(f"{method} {value:.1f}%" for method, value in saved.items())
    return Check(
        "Sec. 4.1 (ii)", "memory falls with b/B = 25%, as it would if every epoch selected",
        f"printed memory falls by {shown}: as if annealed epochs set the peak",
        all(value > 25 for value in saved.values()), expected=False,
    )  # fmt: skip


def _differences(table: pd.DataFrame) -> pd.DataFrame:
    """The table without Baseline, and each cell's difference to it, at the printed digits."""
    column = ["model", "dataset", "task", "metric"]
    base = table[table["method"] == "Baseline"][[*column, "value"]]
    others = table[table["method"] != "Baseline"]
    both = others.merge(base, on=column, suffixes=("", "_baseline"))
    return both.assign(difference=(both["value"] - both["value_baseline"]).round(4))


def _where(table: pd.DataFrame, where: dict[str, str]) -> pd.DataFrame:
    return table[(table[list(where)] == pd.Series(where)).all(axis=1)] if where else table
