"""Every notebook runs from top to bottom on a shortened config."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.training.small_runs import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the notebook's kernel and client warn about their own futures
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs_and_reproduces_its_figures(path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TRIMTAB_NOTEBOOK_STEPS", "12")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "identical: True" in printed


def test_every_notebook_is_saved_with_its_outputs() -> None:
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert any(cell.outputs for cell in code), f"{path.name} was committed without its outputs"
