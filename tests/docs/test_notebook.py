"""The notebook runs from top to bottom, and is committed without its outputs."""

import re
from typing import Any

import pytest

from tests.docs.pages import ROOT

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_committed(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_first_steps_run(checkout, monkeypatch):
    """In a copy of the checkout, in its folder, as Jupyter starts it."""
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = checkout / "docs" / "notebooks"
    notebook = nbformat.read(folder / "first_steps.ipynb", as_version=4)
    place = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=1800, resources=place).execute()
    shown = {cell.id: cell.get("outputs", []) for cell in notebook.cells}
    assert "cifar10-resnet20" in _text(shown["imports"])
    for figure in ("histogram", "pictured"):
        assert any("image/png" in output.get("data", {}) for output in shown[figure])
    assert {"dsd", "finetune"} < set(re.findall(r"\w+", _text(shown["frame"])))
    assert " 0 weights at zero" in _text(shown["weights"])
    assert "2048 of 4096 weights" in _text(shown["dsd"])
    assert (checkout / "runs" / "records" / "cifar10-resnet20.mini.finetune.seed0.json").exists()


def _text(outputs: list[Any]) -> str:
    return "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )
