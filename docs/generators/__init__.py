"""What the documentation takes from the code itself: its references, tables and pictures."""

from pathlib import Path

__all__ = ["ROOT", "cell", "escaped", "write"]

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, text: str) -> None:
    """Write a page, unless it says so already: Sphinx then reads again what changed alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def escaped(text: str) -> str:
    """Prose that Markdown must not read as markup."""
    for sign in "\\`*_<>[]|$#{}":
        text = text.replace(sign, f"\\{sign}")
    return text


def cell(text: str) -> str:
    """Code in a cell of a table; nothing for nothing."""
    # A bar ends a cell even inside code, unless it is escaped.
    return f"`{text}`".replace("|", r"\|") if text else ""
