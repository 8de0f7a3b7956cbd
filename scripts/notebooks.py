"""Run every notebook and keep what it prints: `make notebooks`."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"


def main() -> None:
    """Execute all of notebooks/ in place; without times, which would differ at every run."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook, timeout=120, kernel_name="python3", record_timing=False,
            coalesce_streams=True, resources={"metadata": {"path": str(FOLDER)}},
        )  # fmt: skip
        client.execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, path)
        print(f"run: {path.name}")


if __name__ == "__main__":
    main()
