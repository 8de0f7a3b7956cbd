"""A study as one Markdown page: table, contrasts, how to read them, where they come from."""

from collections.abc import Iterator, Mapping

import pandas as pd

from es_repro.report import markdown
from es_repro.report.document import listing, provenance
from es_repro.report.sheet import number
from es_repro.report.studies.findings import Findings, unfinished
from es_repro.report.studies.study import Study

__all__ = ["ARM_COLUMNS", "arm_cells", "difference_cell", "to_markdown"]

ARM_COLUMNS = ("arm", "accuracy, %", "seeds", "FLOPs, %", "samples trained, %", "rate",
               "compute-equivalent gain")  # fmt: skip
_LEGEND = (
    "Accuracy on the test split after the last epoch: mean ± standard deviation over the seeds. "
    "FLOPs (scoring included) and samples back-propagated: of the baseline's.",
    "*Compute-equivalent gain*: FLOPs that the baseline would need for the method's accuracy, read "
    "off its own frontier of shorter runs, over the method's [95% interval]. Above 1 the method "
    "saves compute; at 1 a shorter baseline does the same. ≤ and ≥ where an end lies outside the "
    "frontier; *below* and *above the frontier* where all of the interval does: worse than the "
    "cheapest budget or better than the dearest; in brackets, its FLOPs over the method's.",
    "Against the baseline a method is *equivalent* where it loses less than half of what the "
    "baseline of its cost loses (two one-sided tests; the margin is measured on the same seeds and "
    "its error is in the test); *insensitive* where that baseline loses nothing that can be seen. "
    "Against arms of its own cost the margin is the plan's; where costs differ by more than 6%, a "
    "word that the dearer arm would earn by its cost alone says so.",
    "A difference that is seen and lies within the margin is *equivalent*, and said: *though "
    "lower*, *though higher*.",
    "**Primary** contrasts were named before the first run and are corrected together by Holm, "
    "differences (5%) and equivalences (5%) each; all others are exploratory, uncorrected.",
)


def to_markdown(
    study: Study,
    found: Findings,
    listed: pd.DataFrame,
    commands: list[str],
    pictures: Mapping[str, str],
) -> str:
    """The page.

    Args:
        study: which one.
        found: its numbers.
        listed: runs that are not in it, with reasons.
        commands: how runs and page were made.
        pictures: what each figure shows, and its file beside the page; the frontier first.
    """
    shown = [f"![{alt}]({name})" for alt, name in pictures.items()]
    sections = [f"# {study.title}", *filter(None, [unfinished(study, found)]), shown[0]]
    sections.append(markdown.table(ARM_COLUMNS, arm_cells(found.arms)))
    heads = ("contrast", "difference, points", "seeds", "FLOPs, ratio", "margin", "p", "verdict")
    sections += ["## Contrasts", markdown.table(heads, _contrasts(study, found.contrasts))]
    sections += shown[1:]
    sections += ["## How to read it", markdown.bullets([*_LEGEND, *study.remarks])]
    left_out = listing(listed)
    if left_out:
        sections += ["## Runs that are not in the table", markdown.bullets(left_out)]
    sections += ["## Provenance", markdown.bullets(provenance(found.runs, commands))]
    return "\n\n".join(sections) + "\n"


def arm_cells(arms: pd.DataFrame) -> Iterator[list[str]]:
    """A line an arm, cells as `ARM_COLUMNS`; an arm without a value says why."""
    for _, arm in arms.iterrows():
        if pd.isna(arm["mean"]):
            yield [str(arm["arm"]), str(arm["gap"]), "0", *[""] * 4]
            continue
        spread = "" if pd.isna(arm["sd"]) else f" ± {arm['sd']:.2f}"
        yield [
            str(arm["arm"]), f"{arm['mean']:.2f}{spread}", _seeds(arm),
            number(_percent(arm["cost"]), 1), number(_percent(arm["trained"]), 1),
            "-" if pd.isna(arm["rate"]) else f"{arm['rate']:g}",
            "" if pd.isna(arm["gain_shown"]) else str(arm["gain_shown"]),
        ]  # fmt: skip


def _seeds(arm: pd.Series) -> str:
    more = f" and {arm['diverged']} diverged" if arm["diverged"] else ""
    return f"{arm['seeds']}{more}"


def difference_cell(contrast: pd.Series) -> str:
    """A contrast in points with its interval, such as `+0.20 [-0.10, +0.50]`."""
    low, high = contrast["low"], contrast["high"]
    return f"{contrast['difference']:+.2f} [{low:+.2f}, {high:+.2f}]"


def _percent(share: float) -> float:
    return share if pd.isna(share) else 100 * share


def _contrasts(study: Study, contrasts: pd.DataFrame) -> Iterator[list[str]]:
    for role in ("primary", "exploratory"):
        for _, one in contrasts[contrasts["role"] == role].iterrows():
            names = [study.short_name(str(one[end])) for end in ("method", "control")]
            text = f"{names[0]} against {names[1]}"
            yield [
                f"**{text}**" if role == "primary" else text,
                difference_cell(one), str(one["seeds"]), f"{one['cost_ratio']:.2f}",
                f"{one['margin']:.2f}", f"{one['p_differs']:.3g}", str(one["verdict"]),
            ]  # fmt: skip
