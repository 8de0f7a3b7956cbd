"""The card as one HTML page that needs nothing else: no script, no style from a network."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from es_repro.judge.chart import frontier_svg
from es_repro.judge.conduct import together

__all__ = ["page"]

TEMPLATE = "card.html.jinja"


def page(card: dict[str, Any]) -> str:
    """The page of a card.

    Args:
        card: as `card.card` answers it.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["together"] = together
    environment.filters["signed"] = lambda value: f"{value:+.2f}".replace("-", "−")
    environment.filters["signs"] = _signs
    # Of our own drawing, from numbers and the names of arms, which matplotlib escapes.
    charts = {x["name"]: Markup(frontier_svg(x)) for x in card["workloads"]}
    return environment.get_template(TEMPLATE).render(card=card, charts=charts)


def _signs(text: str) -> str:
    """A verdict with the signs that a page has and a terminal may lack."""
    return re.sub(r"-(?=\d)", "−", text.replace("+-", "±"))
