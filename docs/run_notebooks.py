"""Run the notebooks in place and keep their outputs, as a runner without a front end does."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def main() -> int:
    """Run each notebook with the embedded engine, in its own directory, from a clean folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_"))}
    environment |= {"IPYTHON_ASSISTANT_SERVICE": "local", "IPYTHON_ASSISTANT_MODE": "live"}
    shutil.rmtree(NOTEBOOKS / "assistant_files", ignore_errors=True)
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute(env=environment)
        notebook.metadata = {key: notebook.metadata[key] for key in ("kernelspec",)}
        notebook.metadata["language_info"] = {"name": "python"}
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # times: a saved notebook has none
        nbformat.write(notebook, path)
        print(path.name, file=sys.stdout)
    shutil.rmtree(NOTEBOOKS / "assistant_files", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
