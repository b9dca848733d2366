"""The notebooks run, in plain Python, without Jupyter and in a short form; and they are kept as they ran, in order."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

# What the cell tagged "parameters" sets, made smaller. A notebook without such a cell runs as it stands.
SHORT: dict[str, dict[str, Any]] = {
    "02_splits_and_metrics.ipynb": {"n_events": 40_000, "core": 10},
    "03_comparing_trainers.ipynb": {"core": 10, "n_seeds": 2, "n_simulations": 5},
    "04_tuning.ipynb": {"core": 10, "factors": 8, "grown_factors": 16, "n_trials": 6, "n_draws": 20},
    "05_what_the_embedding_knows.ipynb": {"core": 6, "factors": 16, "iterations": 3, "map_method": "pca"},
    "06_which_trainer.ipynb": {"core": 15, "factors": 8, "without": ("Item2Vec",), "real_data": Path("absent")},
}
NEEDS = {"05_what_the_embedding_knows.ipynb": "lance", "03_comparing_trainers.ipynb": "altair", "04_tuning.ipynb": "optuna"}

MOST_BYTES = 500_000
PATH_OF_A_MACHINE = re.compile(r"(?<![\w.:/])(?:/(?:home|root|work|tmp|var|usr|opt|mnt|private|Users)/|[A-Za-z]:\\)")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def cells_of(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def text_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def outputs_of(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells_of(path, "code") for output in cell["outputs"]]


def texts_shown(output: dict[str, Any]) -> list[str]:
    """Everything of an output but its pictures, whose base64 may hold any letters."""
    data = {kind: text for kind, text in output.get("data", {}).items() if kind.startswith("text/")}
    return ["".join(text) for text in [output.get("text", ""), *data.values()]]


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == [
        "01_quick_start.ipynb",
        "02_splits_and_metrics.ipynb",
        "03_comparing_trainers.ipynb",
        "04_tuning.ipynb",
        "05_what_the_embedding_knows.ipynb",
        "06_which_trainer.ipynb",
    ]


@each_notebook
def test_every_code_cell_runs(path, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib", reason="notebooks draw with matplotlib, which is not installed")
    if path.name in NEEDS:
        pytest.importorskip(NEEDS[path.name], reason=f"this notebook needs {NEEDS[path.name]}, which is not installed")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with matplotlib.rc_context():
        for number, cell in enumerate(cells_of(path, "code")):
            exec(compile(text_of(cell), f"{path.name}, code cell {number}", "exec"), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                assert SHORT[path.name].keys() <= namespace.keys()
                namespace.update(SHORT[path.name])
        matplotlib.pyplot.close("all")
    assert not any(tmp_path.iterdir()), "a notebook leaves nothing behind in the folder it runs in"


@each_notebook
def test_notebooks_are_kept_as_they_ran_from_top_to_bottom(path):
    code = cells_of(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert {output["output_type"] for output in outputs_of(path)} <= {"stream", "display_data", "execute_result"}, "an error"
    assert all(output.get("name") != "stderr" for output in outputs_of(path)), "a warning"


@each_notebook
def test_every_plot_is_kept_and_nothing_large(path):
    for cell in cells_of(path, "code"):
        pictures = [output for output in cell["outputs"] if "image/png" in output.get("data", {})]
        assert len(pictures) == text_of(cell).count("plt.show()")
    assert path.stat().st_size < MOST_BYTES


@each_notebook
def test_notebooks_name_no_path_of_the_machine_they_ran_on(path):
    texts = [text_of(cell) for kind in ("code", "markdown") for cell in cells_of(path, kind)]
    texts += [text for output in outputs_of(path) for text in texts_shown(output)]
    assert [found.group() for text in texts for found in PATH_OF_A_MACHINE.finditer(text)] == []


@each_notebook
def test_notebooks_explain_themselves_and_link_to_what_is_there(path):
    prose = [text_of(cell) for cell in cells_of(path, "markdown")]
    assert len(prose) >= len(cells_of(path, "code")) / 2
    assert prose[0].startswith("# ")
    links = {link for text in prose for link in re.findall(r"\]\(([^)#:]+)\)", text)}
    assert sorted(link for link in links if not (path.parent / link).exists()) == []
