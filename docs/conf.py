"""Sphinx: `make docs` builds docs/_build/html, readable without a network."""

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from generators import command_line, configuration, method_facts, pictures, runs_table  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

project, author = "es_repro", "the es_repro authors"
version = release = installed("es-repro")
html_title = f"es_repro {version}"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["es_repro.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = False
exclude_patterns = ["_build", "generated/facts"]

extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generators.mathml",
]  # fmt: skip
html_math_renderer = "mathml"
myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_inline", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "literal"  # what docstrings put between single backticks is code
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
nitpicky = True
# Types of other packages, whose documentation lies on a network, and names private to a module.
nitpick_ignore_regex = [
    ("py:.*", r"(torch|torchmetrics|collections|typing|pathlib|enum|types)\..*"),
    (
        "py:.*",
        r"(Tensor|LossFunction|Iterator|Callable|Mapping|Sequence|Optimizer|MetricCollection)",
    ),
    (
        "py:class",
        r".*\.(Negative|NonFinite|Level|AnnealingRounding|Batch|Inputs|Choosing|Factory|Stateful|Method|Clock)",
    ),
]


def setup(app: Sphinx) -> None:
    """Have the generated pages written before Sphinx looks for pages."""
    app.connect("builder-inited", _generate)
    app.connect("autodoc-process-docstring", _keep_colons, priority=900)  # after napoleon


def _keep_colons(_: Sphinx, what: str, *rest: Any) -> None:  # noqa: ANN401  # autodoc's own
    """Mend what napoleon or docutils misread; a property's sentence with a colon is no type."""
    lines: list[str] = rest[-1]
    # "E." alone would begin a list.
    lines[:] = [re.sub(r"^(:param \S+: [A-Z])\.$", r"\1\\.", line) for line in lines]
    taken = [line for line in lines if line.startswith(":type: ")]
    if what in ("property", "attribute") and taken:
        lines[:] = [line for line in lines if line not in taken]
        lines[0] = f"{taken[0].removeprefix(':type: ')}: {lines[0]}"


def _generate(_: Sphinx) -> None:
    generated, conf = HERE / "generated", HERE.parent / "conf"
    configuration.write_pages(conf, generated / "configuration")
    command_line.write_page(generated / "command_line.md")
    runs_table.write_table(generated / "facts" / "sweeps.md")
    method_facts.write_facts(generated / "facts")
    pictures.write_pictures(generated / "pictures")
