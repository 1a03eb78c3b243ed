"""Run the notebooks, ask the embedded engine what is not recorded, and keep the outputs that a replay gives.

    python docs/run_notebooks.py            # recordings stay as they are; outputs anew
    python docs/run_notebooks.py --fresh    # every question is asked again, in an empty folder

Each runs twice, in its own directory, as a runner without a front end does: first what is not recorded is asked, then
the whole notebook is answered from its recordings. What the second run shows is kept: it is what everybody sees who
runs the notebook later, `%assistant cost` included. A question whose two outputs differ is an error.

The outputs hold our own words too (`--dry-run` shows the built-in instructions): where those change, run this.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
FILES = NOTEBOOKS / "assistant_files"
OURS = "ipython_assistant"
CELL_TIMEOUT_S = 120


def main() -> int:
    """Run all notebooks; 1 if one of them replays as something else."""
    parser = argparse.ArgumentParser(description="Run the notebooks and keep what a replay shows.")
    parser.add_argument("--fresh", action="store_true", help="throw the recordings away and ask every question again")
    if parser.parse_args().fresh:
        shutil.rmtree(FILES, ignore_errors=True)
    different: list[str] = []
    with tempfile.TemporaryDirectory() as settings:
        environment = _environment(Path(settings))
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            asked = _run(notebook, {**environment, "IPYTHON_ASSISTANT_MODE": "auto"})
            replayed = _run(notebook, {**environment, "IPYTHON_ASSISTANT_MODE": "replay"})
            different += (f"{path.name}, cell {at}" for at in _differing(asked, replayed))
            nbformat.write(replayed, path)
            print(path.name)
    for place in different:
        print(f"Replayed as something else: {place}", file=sys.stderr)
    return 1 if different else 0


def _environment(settings: Path) -> Mapping[str, str]:
    """This process's environment without keys and without settings of its user; our own assistants are confirmed."""
    confirmed = settings / "jupyter" / "ipython_assistant" / "confirmed_assistants.txt"
    confirmed.parent.mkdir(parents=True)
    ours = sorted((NOTEBOOKS / "assistants").glob("*.toml"))
    confirmed.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in ours))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "AZURE_", "IPYTHON_ASSISTANT_"))
    }
    return {
        **kept,
        "IPYTHON_ASSISTANT_SERVICE": "local",
        "IPYTHON_ASSISTANT_FIND_MODELS": "0",
        "IPYTHONDIR": str(settings / "ipython"),
        "JUPYTER_CONFIG_DIR": str(settings / "jupyter"),
    }


def _run(notebook: Any, environment: Mapping[str, str]) -> Any:
    """The notebook as it is after a run, without times."""
    run = nbformat.from_dict(notebook)
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    resources = {"metadata": {"path": str(NOTEBOOKS)}}
    quiet = ["--IPKernelApp.log_level=ERROR"]
    client = NotebookClient(
        run, timeout=CELL_TIMEOUT_S, resources=resources, record_timing=False, extra_arguments=quiet
    )
    client.execute(env=dict(environment))
    run.metadata = {"kernelspec": run.metadata["kernelspec"], "language_info": {"name": "python"}}
    for output in _outputs(run):
        output.get("metadata", {}).get(OURS, {}).pop("recorded", None)
    return run


def _outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def _differing(asked: Any, replayed: Any) -> Iterator[int]:
    """The questions, counted from 1 as all cells are, that show other outputs when they are replayed."""
    for at, (first, second) in enumerate(zip(asked.cells, replayed.cells, strict=True), 1):
        if first.source.startswith("%%assistant"):
            shown = [[output.get("data", output.get("text")) for output in cell.outputs] for cell in (first, second)]
            if shown[0] != shown[1]:
                yield at


if __name__ == "__main__":
    sys.exit(main())
