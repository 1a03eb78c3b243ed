"""The command line: `ipython-assistant demo | ask | serve | replay | record | recordings | model | doctor`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant import model_commands, notebook_runs
from ipython_assistant.display.escaping import visible
from ipython_assistant.display.live import ProgressLines
from ipython_assistant.errors import AssistantError, ConfigError, InputError, Interrupted, OptionError
from ipython_assistant.notebook_runs import STOPPED, RunError, run_notebook
from ipython_assistant.options import add_options, checked, options_from, variable_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipython_assistant.answer import Answer

NOTEBOOK = "01_first_cell.ipynb"
"""What the demonstration shows: the main job, with a real table and no key."""
NOTEBOOKS = Path(__file__).parent / "demo_notebooks"
if not NOTEBOOKS.is_dir():  # a checkout, in an editable install
    NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
WRITERS = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".xlsx": lambda frame, path: frame.to_excel(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
}
"""How a table is written to a file with this ending."""


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
    ask = commands.add_parser("ask", help="ask one question; answered from its recording if it was asked before")
    ask.add_argument("question", help="the question, or - to read it from stdin")
    ask.add_argument("--json", action="store_true", help="print the answer as JSON: text, files, code, usage")
    add_options(ask, leave_out=("new", "help", "help_all"))
    ask.set_defaults(run=ask_in_shell)
    notebook_runs.add_commands(commands)
    model_commands.add_model_commands(commands)
    doctor = commands.add_parser("doctor", help="look whether everything is there, and say what to do")
    doctor.set_defaults(run=_doctor)
    commands.add_parser(
        "serve", help="serve the embedded engine to others (its own options follow: serve --help)", add_help=False
    )
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
        print("\nInterrupted. The same command goes on where it stopped.", file=sys.stderr)
        return STOPPED


def ask_in_shell(arguments: argparse.Namespace) -> int:
    """Ask, print the answer to stdout and all else to stderr, write the tables named with `-o`.

    Exit code: 0 answered, 1 failed, 2 a wrong call (nothing was asked), 3 refused, 130 after Ctrl-C.
    """
    from ipython_assistant import turn_run
    from ipython_assistant.session import process_session

    try:
        options = options_from(arguments)
        tables = {_table_name(written): Path(written) for written in options.outputs}
        options = checked(replace(options, outputs=tuple(tables)))
        words = (sys.stdin.read() if arguments.question == "-" else arguments.question).strip()
        if not words:
            raise OptionError("There is no question.", 'Write: ipython-assistant ask "Plot coverage by year"')
        with contextlib.closing(process_session()) as session:
            question = turn_run.read(session, options, words, session.next_run(), {}, from_code=True)
            if options.dry_run:
                print(turn_run.dry_run(session, question))
                return 0
            answer = turn_run.answer_question(session, question, output=ProgressLines(answer=False))
            for name, path in tables.items():
                WRITERS[path.suffix.casefold()](answer.frames[name], path)
    except AssistantError as error:
        if error.answer is not None and not isinstance(error, Interrupted):
            _print(error.answer, as_json=arguments.json)
        print(visible(f"{type(error).__name__}: {error}"), file=sys.stderr)
        wrong_call = isinstance(error, OptionError | InputError | ConfigError)
        return 2 if wrong_call else STOPPED if isinstance(error, Interrupted) else 1
    _print(answer, as_json=arguments.json)
    return 3 if answer.status == "refused" else 0


def _table_name(written: str) -> str:
    path = Path(written)
    if path.suffix.casefold() not in WRITERS:
        raise OptionError(f"-o {written} is not a table's file.", f"End it in one of: {', '.join(WRITERS)}")
    if not path.parent.is_dir():
        raise OptionError(f"The folder of -o {written} does not exist.", f"Make it first: {path.parent}")
    return variable_name(path.stem)


def _print(answer: Answer, *, as_json: bool) -> None:
    if not as_json:
        print(visible(answer.text))
        for file in answer.files.values():
            print(f"saved {file.path}", file=sys.stderr)
        return
    names = ("text", "status", "notes", "code", "logs", "response_id", "usage")
    files = [{**asdict(file), "path": str(file.path)} for file in answer.files.values()]
    body = {**{name: getattr(answer, name) for name in names}, "files": files, "model": answer.turn.model}
    print(json.dumps(body, ensure_ascii=False, indent=2))


def _doctor(_options: argparse.Namespace) -> int:
    from ipython_assistant.doctor import run_doctor
    from ipython_assistant.session import process_session

    with contextlib.closing(process_session()) as session:
        return 0 if run_doctor(session) else 1


def _become(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run a module of Python in place of this process: a signal to it, such as SIGTERM or Ctrl-C, then is its own."""
    command = [sys.executable, *command]
    if os.name == "posix":
        os.execve(sys.executable, command, environment)  # noqa: S606 - a list, no shell
    return subprocess.run(command, env=environment, check=False).returncode


def _demo(options: argparse.Namespace) -> int:
    """Open JupyterLab on a copy of the first notebook, or run it with `--headless`."""
    needed = "nbclient" if options.headless else "jupyterlab"
    if find_spec(needed) is None:
        print(f"{needed} is not installed here.\nRun: python -m pip install jupyterlab nbclient", file=sys.stderr)
        return 1
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
