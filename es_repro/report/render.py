"""A sheet as text: Markdown, LaTeX, CSV. Pure; all three say the same words and digits."""

import re

from es_repro.report import markdown
from es_repro.report.sheet import Part, Sheet

__all__ = ["to_csv", "to_latex", "to_markdown"]


def to_markdown(sheet: Sheet) -> str:
    """A heading a block, a Markdown table a part, and the legend of what occurs in them."""
    texts = []
    for block in _grouped(sheet):
        if block[0].heading:
            texts.append(f"## {block[0].heading}")
        for part in block:
            if part.name:
                texts.append(f"{part.name}:")
            alignment = ["left"] + ["right"] * (len(part.cells.columns) - 1)
            escaped = part.cells.map(lambda text: text.replace("|", r"\|"))
            texts.append(
                escaped.to_markdown(index=False, disable_numparse=True, colalign=alignment)
            )
    texts.append("## How to read it")
    texts.append(markdown.bullets(sheet.legend))
    return "\n\n".join(texts) + "\n"


def to_latex(sheet: Sheet, label: str) -> str:
    """A `table*` a block, its parts divided by a rule; needs booktabs alone.

    Args:
        sheet: the table.
        label: start of the LaTeX labels.
    """
    lines = ["% needs \\usepackage{booktabs}"]
    for block_number, block in enumerate(_grouped(sheet), start=1):
        columns = list(block[0].cells.columns)
        lines += [
            "\\begin{table*}\n\\centering\n\\small\n\\setlength{\\tabcolsep}{4pt}",
            f"\\caption{{{_latex(block[0].heading)}}}\n\\label{{tab:{label}-{block_number}}}",
            f"\\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}\n\\toprule",
            _latex_row(columns),
        ]
        for part in block:
            cells = part.cells.reindex(columns=columns, fill_value="")
            lines.append("\\midrule")
            lines += [_latex_row(list(row)) for row in cells.itertuples(index=False, name=None)]
        lines.append("\\bottomrule\n\\end{tabular}\n\\end{table*}")
    notes = "\n".join(f"% {line}" for line in sheet.legend)
    return "\n".join(lines) + f"\n{notes}\n"


def to_csv(sheet: Sheet) -> str:
    """The table's numbers, unrounded."""
    return sheet.numbers.to_csv(index=False, lineterminator="\n")


def _grouped(sheet: Sheet) -> list[list[Part]]:
    """The parts by block: neighbours of one heading."""
    blocks: list[list[Part]] = []
    for part in sheet.parts:
        if blocks and blocks[-1][0].heading == part.heading:
            blocks[-1].append(part)
        else:
            blocks.append([part])
    return blocks


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "†": r"$^\dagger$", "‡": r"$^\ddagger$", "…": r"\dots{}",
    "<": r"$<$", ">": r"$>$", "|": r"$|$", "✓": r"$\checkmark$", "×": r"$\times$",
}  # fmt: skip


def _latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w\\])-(?=\d)", "$-$", escaped)


def _latex_row(cells: list[str]) -> str:
    first, *others = [_latex(cell) for cell in cells]
    # A row of a tabular that starts with `[` would be read as an argument of the `\\` before it.
    return " & ".join([f"{{}}{first}" if first.startswith("[") else first, *others]) + r" \\"
