"""Runs notebooks from top to bottom and saves what they show. Needs the extra `notebooks`.

    python notebooks/execute.py                             all of them
    python notebooks/execute.py notebooks/04_tuning.ipynb   these

Each runs with a kernel of its own in an empty folder, so that it can rest on nothing that happens to lie around. A notebook is
replaced when its last cell has run; one that fails stays as it was.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from recsys.storage import write_file

_SECONDS_A_CELL = 600


def execute(path: Path) -> None:
    """Runs the notebook and writes it with its outputs; raises `CellExecutionError` for a cell that fails."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # Times of cells would differ from run to run.
        client = NotebookClient(
            notebook,
            timeout=_SECONDS_A_CELL,
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    # The kernel adds the Python it ran on, which says nothing about the notebook.
    notebook.metadata.language_info = {"name": "python"}
    with write_file(path, overwrite=True) as temporary:
        nbformat.write(notebook, temporary)


def main(arguments: list[str]) -> int:
    """The exit status: 1 as soon as a notebook fails."""
    for path in [Path(argument) for argument in arguments] or sorted(Path(__file__).parent.glob("*.ipynb")):
        began = time.perf_counter()
        try:
            execute(path)
        except CellExecutionError as error:
            print(f"{path.name} failed:\n{error}", file=sys.stderr)
            return 1
        print(f"{path.name}: {time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
