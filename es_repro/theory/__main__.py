"""The command line of the theory: python -m es_repro.theory --help."""

if __name__ == "__main__":  # before what only the suite brings is imported
    from es_repro.extras import needs

    needs("suite")


import argparse
import sys
from pathlib import Path

from es_repro.theory import Check, checks

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the checks, print them and write RESULTS/theory.md; 1 where one is not as expected."""
    parser = argparse.ArgumentParser(
        prog="python -m es_repro.theory",
        description="The paper's theory as numbers: claimed, computed, holds or not.",
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="(results)"
    )
    options = parser.parse_args(arguments)
    found = list(checks())
    for check in found:
        print(f"{check.source}: {check.claim}\n    {check.computed}\n    {check.verdict}")
    odd = [check for check in found if not check.as_expected]
    print(f"{len(found) - len(odd)} of {len(found)} as expected")
    try:
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / "theory.md").write_text(_document(found), encoding="utf-8")
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 1 if odd else 0


def _document(found: list[Check]) -> str:
    lines = [
        "# The paper's theory as numbers",
        "",
        "Made by `make theory`, in seconds on a CPU. L: mean loss; D: squared distance of the "
        "start from the minimiser; b1, b2: the betas; w: angular frequency, in radians a visit. "
        "*Does not hold, as known*: a claim that is false as printed, kept here with its number.",
        "",
        "| source | claimed | computed | verdict |",
        "|:--|:--|:--|:--|",
    ]
    for check in found:
        cells = (check.source, check.claim, check.computed, check.verdict)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
