"""The command line: `ipython-assistant demo | ask | serve | replay | record | recordings | model | doctor`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from ipython_assistant import model_commands, notebook_runs
from ipython_assistant.options import add_options

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    ask = commands.add_parser("ask", help="ask one question; answered from its recording if it was asked before")
    ask.add_argument("question", help="the question, or - to read it from stdin")
    ask.add_argument("--json", action="store_true", help="print the answer as JSON: text, files, code, usage")
    add_options(ask, leave_out=("new", "help", "help_all"))
    notebook_runs.add_commands(commands)
    model_commands.add_model_commands(commands)
    commands.add_parser("doctor", help="look whether everything is there, and say what to do")
    commands.add_parser(
        "serve", help="serve the embedded engine to others (its own options follow: serve --help)", add_help=False
    )
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "serve":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    match options.command:
        case "serve":
            return _serve(rest)
        case "doctor":
            return _doctor()
        case "ask":
            from ipython_assistant import shell_ask

            return shell_ask.run(options)
        case "demo":
            from ipython_assistant.demo import run_demo

            return run_demo(options)
    return int(options.run(options))


def _doctor() -> int:
    from ipython_assistant.doctor import run_doctor
    from ipython_assistant.session import process_session

    session = process_session()
    try:
        return 0 if run_doctor(session) else 1
    finally:
        session.close()


def _serve(arguments: Sequence[str]) -> int:
    """Become the engine, which is never imported: a signal to this process, such as SIGTERM, then is the engine's."""
    command = [sys.executable, "-P", "-m", "ipython_assistant.engine", "--standing", *arguments]
    if os.name == "posix":
        os.execv(sys.executable, command)  # noqa: S606 - a list, no shell
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
