"""The command line: `ipython-assistant demo | ask | serve | replay | record | recordings | model | doctor`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant.core.wording import counted, disk_reason, first_words, printable
from ipython_assistant.errors import AssistantError
from ipython_assistant.model_commands import add_model_commands
from ipython_assistant.notebook_runs import STOPPED, RunError, add_notebook_commands, run_notebook
from ipython_assistant.shell_ask import add_ask_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTEBOOK = "01_first_cell.ipynb"  # what the demonstration shows: the main job, with a real table and no key
NOTEBOOKS = Path(__file__).parent / "demo_notebooks"
if not NOTEBOOKS.is_dir():  # a checkout, in an editable install
    NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="ipython-assistant",
        description="Ask for an analysis in a notebook cell; every file it makes is saved beside the notebook.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="show the main job in JupyterLab, without a key")
    demo.add_argument("--headless", action="store_true", help="run it without a browser and print what was saved")
    demo.add_argument("--no-browser", action="store_true", help="start JupyterLab but open no browser")
    demo.set_defaults(run=_demo)
    add_ask_command(commands)
    add_notebook_commands(commands)
    add_model_commands(commands)
    recordings = commands.add_parser("recordings", help="list a folder's recordings; exit code 1 if one is damaged")
    where = "a folder, with all below it (default: this)"
    recordings.add_argument("folder", nargs="?", type=Path, default=Path(), help=where)
    recordings.set_defaults(run=_recordings)
    doctor = commands.add_parser("doctor", help="look whether everything is there, and say what to do")
    doctor.set_defaults(run=_doctor)
    commands.add_parser("serve", help="serve the embedded engine to others; see serve --help", add_help=False)
    options, rest = parser.parse_known_args(arguments)
    if options.command == "serve":
        # The engine is never imported.
        return _become(["-P", "-m", "ipython_assistant.engine.server", "--standing", *rest])
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return int(options.run(options))
    except AssistantError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command resumes a download.", file=sys.stderr)
        return STOPPED


def _recordings(options: argparse.Namespace) -> int:
    """List the recordings of a folder and of all below it; 1 if one is damaged."""
    from ipython_assistant.workspace.folder import Folder
    from ipython_assistant.workspace.recordings import Recordings

    asked, code = options.folder.absolute(), 0
    folders = sorted(path.parent for path in asked.rglob(".turns") if path.is_dir())
    if not folders:
        says = f"There are no recordings in {options.folder}.\nName the folder they are in."
        print(printable(says), file=sys.stderr)
        return 1
    for folder in folders:
        recordings = Recordings(Folder(asked, folder))
        try:
            found, damaged = recordings.all(), recordings.store.summaries()[1]
        except OSError as error:
            print(printable(f"{folder} cannot be read: {disk_reason(error)}."), file=sys.stderr)
            code = 1
            continue
        about = ((it, counted(len(it.files), "file"), first_words(it.prompt, 60)) for it in found)
        lines = [f"{it.began[:10]}  {it.service:<7} {it.status:<10} {files:>8}  {words}" for it, files, words in about]
        lines += [f"{recordings.where}/{name}: {reason}" for name, reason in damaged]
        code = 1 if damaged else code
        print(printable("\n".join(lines) or f"Nothing is recorded in {recordings.where}."))
    return code


def _doctor(_options: argparse.Namespace) -> int:
    from ipython_assistant.doctor import run_doctor
    from ipython_assistant.session import process_session

    with contextlib.closing(process_session()) as session:
        return 0 if run_doctor(session) else 1


def _become(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run Python in place of this process: a signal to it, such as SIGTERM or Ctrl-C, then is its own."""
    command = [sys.executable, *command]
    if os.name == "posix":
        os.execve(sys.executable, command, environment)  # noqa: S606 - a list, no shell
    signal.signal(signal.SIGINT, lambda *_: None)  # Windows: it gets Ctrl-C too, and JupyterLab asks before it stops
    return subprocess.run(command, env=environment, check=False).returncode


def _demo(options: argparse.Namespace) -> int:
    """Open JupyterLab on a copy of the first notebook, or run it with `--headless`."""
    directory = _copy_of_notebook()
    # The embedded engine, whatever the environment holds, and no configuration of IPython's in the way.
    ours = {"SERVICE": "local", "MODE": "live", "DIR": str(directory), "MODEL": "basic"}
    environment = {**os.environ, "IPYTHONDIR": str(directory / ".ipython")}
    environment |= {f"IPYTHON_ASSISTANT_{name}": value for name, value in ours.items()}
    if options.headless:
        try:
            run_notebook(directory / NOTEBOOK, environment, timeout_s=120, save=True)
        except RunError as error:
            print(error)
            return 1
        saved = sorted(path for path in (directory / "assistant_files").glob("*") if path.is_file())
        lines = [f"Saved:    {path}  ({path.stat().st_size:,} bytes)" for path in saved]
        print("\n".join([f"Notebook: {directory / NOTEBOOK}", *lines]))
        return 0 if saved else 1
    if find_spec("jupyterlab") is None:
        print("jupyterlab is not installed here.\nRun: python -m pip install jupyterlab", file=sys.stderr)
        return 1
    says = f"The notebook is {directory / NOTEBOOK}\nIn JupyterLab: Run > Run All Cells. Here: Ctrl-C twice to stop."
    print(says, flush=True)
    command = ["-m", "jupyterlab", f"--ServerApp.root_dir={directory}", "--ServerApp.ip=127.0.0.1"]
    command += ["--allow-root"] if os.name == "posix" and os.getuid() == 0 else []
    command += ["--no-browser"] if options.no_browser else []
    return _become([*command, str(directory / NOTEBOOK)], environment)


def _copy_of_notebook() -> Path:
    """A fresh directory with the notebook, its outputs cleared, and its table."""
    import nbformat

    directory = Path(tempfile.mkdtemp(prefix="ipython_assistant-demo-"))
    shutil.copytree(NOTEBOOKS / "data", directory / "data")
    notebook = nbformat.read(NOTEBOOKS / NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.update({"outputs": [], "execution_count": None} if cell.cell_type == "code" else {})
    nbformat.write(notebook, directory / NOTEBOOK)
    return directory


if __name__ == "__main__":
    sys.exit(main())
