"""`ipython-assistant ask`: one question from a shell; the answer goes to stdout, and everything else to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant.display.escaping import visible
from ipython_assistant.display.live import ProgressLines
from ipython_assistant.errors import AssistantError, ConfigError, InputError, Interrupted, OptionError, TableMissing
from ipython_assistant.notebook_runs import STOPPED
from ipython_assistant.options import add_options, checked, options_from, variable_name

if TYPE_CHECKING:
    import argparse

    from ipython_assistant.answer import Answer

WRITERS = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    ".xlsx": lambda frame, path: frame.to_excel(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
}
"""How a table is written to a file with this ending."""


def add_ask_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ask` to the command line; it sets `run`, which takes the options and gives the exit code."""
    ask = commands.add_parser("ask", help="ask one question; answered from its recording if it was asked before")
    ask.add_argument("question", help="the question, or - to read it from stdin")
    ask.add_argument("--json", action="store_true", help="print the answer as JSON: text, files, code, usage")
    add_options(ask, leave_out=("new", "help", "help_all"))
    ask.set_defaults(run=ask_in_shell)


def ask_in_shell(arguments: argparse.Namespace) -> int:
    """Ask, print the answer, write its tables. Exit code: 0 answered, 1 failed, 2 not asked, 3 refused, 130 Ctrl-C."""
    from ipython_assistant import turn_run
    from ipython_assistant.session import process_session

    try:
        options = options_from(arguments)
        tables = [(_table_name(written), Path(written)) for written in options.outputs]
        options = checked(replace(options, outputs=tuple(dict.fromkeys(name for name, _ in tables))))
        words = (sys.stdin.read() if arguments.question == "-" else arguments.question).strip()
        if not words:
            raise OptionError("There is no question.", 'Write: ipython-assistant ask "Plot coverage by year"')
        with contextlib.closing(process_session()) as session:
            question = turn_run.read(session, options, words, session.next_run(), {}, from_code=True)
            if options.dry_run:
                print(turn_run.dry_run(session, question))
                return 0
            answer = turn_run.answer_question(session, question, output=ProgressLines(answer=False))
            try:
                for name, path in tables:
                    WRITERS[path.suffix.casefold()](answer.frames[name], path)
            except Exception as error:  # a full disk, no openpyxl, or a value that the format cannot hold
                cure = "Ask the same with -o NAME.csv, or elsewhere: it is answered from its recording."
                raise TableMissing(f"{path} could not be written: {error}", cure, answer=answer) from error
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
