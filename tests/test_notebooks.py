"""Each notebook runs from top to bottom and prints what it was committed with."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

HERE = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))


def said(cell):
    """What a cell printed and answered, as text; pictures are looked at by people."""
    outputs = cell.outputs
    printed = "".join(x.text for x in outputs if x.output_type == "stream")
    answers = [x.data for x in outputs if x.output_type in ("execute_result", "display_data")]
    return printed, [x["text/plain"] for x in answers if "image/png" not in x]


def files():
    return {path for folder in (HERE, HERE.parent / "results") for path in folder.rglob("*")}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")  # of the kernel's own client
def test_a_notebook_says_again_what_it_was_committed_with(path, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))
    before = files()
    committed = nbformat.read(path, as_version=4)
    again = nbformat.read(path, as_version=4)
    NotebookClient(
        again, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    ).execute()
    for ours, theirs in zip(committed.cells, again.cells, strict=True):
        if ours.cell_type == "code":
            assert ours.outputs, "committed without its outputs: run `make notebooks`"
            both = ours.outputs + theirs.outputs
            assert not any(x.get("name") == "stderr" for x in both)
            assert not any(x.output_type == "error" for x in both)  # a picture that failed to draw
            # Training differs in the last digits between kinds of CPU, and so may what is picked.
            if "varies" not in ours.metadata.get("tags", []):
                assert said(ours) == said(theirs), "run `make notebooks`"
    assert files() == before


def test_there_are_six_notebooks_of_under_fifteen_cells():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]
    for path in NOTEBOOKS:
        assert len(nbformat.read(path, as_version=4).cells) < 15
