"""The main job, shown on a fresh machine: a notebook, a real table, no key.

Works on a copy in a fresh temporary directory and forces the embedded engine, whatever the environment holds.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant.notebook_runs import NotebookRun, RunError, run_notebook

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

NOTEBOOK = "01_first_cell.ipynb"
CELL_TIMEOUT_S = 120


def run_demo(options: argparse.Namespace) -> int:
    """Open JupyterLab on a copy of the first notebook, or run it with `--headless`; returns the exit code."""
    needed = "nbclient" if options.headless else "jupyterlab"
    if importlib.util.find_spec(needed) is None:
        print(f"{needed} is not installed here.\nRun: python -m pip install jupyterlab nbclient", file=sys.stderr)
        return 1
    return _run_headless() if options.headless else _open_lab(browser=not options.no_browser)


def _open_lab(*, browser: bool) -> int:
    directory = _copy()
    print(f"The notebook is {directory / NOTEBOOK}\nIn JupyterLab: Run > Run All Cells. Here: Ctrl-C twice to stop.")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={directory}", "--ServerApp.ip=127.0.0.1"]
    if os.name == "posix" and os.getuid() == 0:
        command.append("--allow-root")
    if not browser:
        command.append("--no-browser")
    process = subprocess.Popen([*command, str(directory / NOTEBOOK)], env=_environment(directory))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # JupyterLab got it too: it asks whether it should stop, and a second one stops it.
            continue


def _run_headless() -> int:
    """Run the notebook, print what was saved and where; 1 if anything is missing, else 0."""
    directory = _copy()
    run, fault = NotebookRun(directory / NOTEBOOK), ""
    try:
        run_notebook(run, _environment(directory), CELL_TIMEOUT_S, save=True)
    except RunError as error:
        fault = str(error)
    print(f"Notebook: {run.path}")
    saved = sorted(path for path in (directory / "assistant_files").glob("*") if path.is_file())
    for path in saved:
        print(f"Saved:    {path}  ({path.stat().st_size:,} bytes)")
    missing = [f"a {suffix} file" for suffix in (".png", ".csv") if suffix not in {path.suffix for path in saved}]
    for words in filter(None, [fault, *missing]):
        print(f"Missing:  {words}")
    return 1 if fault or missing else 0


def _copy() -> Path:
    """A fresh directory with the notebook, its outputs cleared, and its table."""
    import nbformat

    source = _source()
    directory = Path(tempfile.mkdtemp(prefix="ipython_assistant-demo-"))
    shutil.copytree(source / "data", directory / "data")
    notebook = nbformat.read(source / NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, directory / NOTEBOOK)
    return directory


def _source() -> Path:
    """Where the notebook lies: inside the installed package, or in the checkout of an editable install."""
    installed = Path(__file__).parent / "demo_notebooks"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "notebooks"


def _environment(directory: Path) -> Mapping[str, str]:
    """This process's environment with the embedded engine forced and no configuration of IPython's in the way."""
    return {
        **os.environ,
        "IPYTHON_ASSISTANT_SERVICE": "local",
        "IPYTHON_ASSISTANT_MODE": "live",
        "IPYTHON_ASSISTANT_DIR": str(directory),
        "IPYTHON_ASSISTANT_MODEL": "basic",
        "IPYTHONDIR": str(directory / ".ipython"),
    }
