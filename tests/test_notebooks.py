"""The notebooks run as they stand: every code cell in order, in plain Python, without Jupyter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def cells_of(path, kind):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS][:1] == ["01_quick_start.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_code_cell_runs(path, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib", reason="notebooks draw with matplotlib, which is not installed")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for number, source in enumerate(cells_of(path, "code")):
        exec(compile(source, f"{path.name}, code cell {number}", "exec"), namespace)
    matplotlib.pyplot.close("all")
    assert not any(tmp_path.iterdir()), "a notebook leaves nothing behind in the folder it runs in"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs_and_explain_themselves(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len(cells_of(path, "markdown")) >= len(code) / 2
    assert cells_of(path, "markdown")[0].startswith("# ")
