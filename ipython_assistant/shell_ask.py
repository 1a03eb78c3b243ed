"""`ipython-assistant ask`: one question from a shell, for make, cron and other languages.

The answer goes to stdout, as Markdown or as JSON; everything else goes to stderr. Exit codes: 0 answered, 1 the
question failed, 2 the call is wrong and nothing was asked, 3 the question was refused, 130 Ctrl-C.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ipython_assistant import turn_run
from ipython_assistant.display.escaping import visible
from ipython_assistant.display.live import FrontEnd, LiveOutput
from ipython_assistant.errors import AssistantError, ConfigError, InputError, Interrupted, OptionError
from ipython_assistant.options import checked, options_from, variable_name
from ipython_assistant.session import process_session

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
IN_A_SHELL = (
    (r"\b([Rr])un (the cell|it) again", r"\1un the command again"),
    (r"%assistant retry fetches [^.]*", "--fresh asks again"),
    ("on the first line", "after the command"),
    (r"`%config AssistantMagics\.timeout = (\d+)`", r"--timeout \1"),
    *(
        (rf'`%config AssistantMagics\.{name} = "?([^`"]+)"?`', rf"IPYTHON_ASSISTANT_{name.upper()}=\1")
        for name in ("service", "mode", "model")
    ),
)
"""What an error says to the reader of a cell, and what it says here."""


def run(arguments: argparse.Namespace) -> int:
    """Ask, print the answer, write the tables named with `-o`; returns the exit code."""
    try:
        options = options_from(arguments)
        tables = {_table_name(written): Path(written) for written in options.outputs}
        session = process_session()
        try:
            options = checked(replace(options, outputs=tuple(tables)))
            words = sys.stdin.read() if arguments.question == "-" else arguments.question
            if not words.strip():
                raise OptionError("There is no question.", 'Write: ipython-assistant ask "Plot coverage by year"')
            question = turn_run.read(session, options, words.strip(), session.next_run(), {}, from_code=True)
            if options.dry_run:
                print(turn_run.dry_run(session, question))
                return 0
            viewer = turn_run.Viewer(FrontEnd(), shows=False, output=_ProgressLines(FrontEnd()))
            answer = turn_run.answer_question(session, question, viewer, fresh=options.fresh)
            for name, path in tables.items():
                WRITERS[path.suffix.casefold()](answer.frames[name], path)
        finally:
            session.close()
    except (OptionError, InputError, ConfigError) as error:
        return _failed(error, 2)
    except Interrupted as error:
        return _failed(error, 130)
    except AssistantError as error:
        if error.answer is not None:
            _print(error.answer, as_json=arguments.json)
        return _failed(error, 1)
    _print(answer, as_json=arguments.json)
    return 3 if answer.status == "refused" else 0


def _table_name(written: str) -> str:
    path = Path(written)
    if path.suffix.casefold() not in WRITERS:
        raise OptionError(f"-o {written} is not a table's file.", f"End it in one of: {', '.join(WRITERS)}")
    if not path.parent.is_dir():
        raise OptionError(f"The folder of -o {written} does not exist.", f"Make it first: {path.parent}")
    return variable_name(path.stem)


def _failed(error: AssistantError, code: int) -> int:
    said = f"{type(error).__name__}: {error}"
    for in_a_cell, here in IN_A_SHELL:
        said = re.sub(in_a_cell, here, said)
    print(visible(said), file=sys.stderr)
    return code


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


class _ProgressLines(LiveOutput):
    """A `LiveOutput` that writes what is going on, one line for each new activity."""

    _last = ""

    def update(self, text: object = None, activity: str | None = None) -> None:  # noqa: ARG002 the answer goes to stdout
        """Write the activity where it is new; counts that only grow are not written again."""
        begins = (activity or "").partition(" of ")[0].rstrip("0123456789 ")
        if activity and begins != self._last:
            self._last = begins
            print(visible(activity), file=sys.stderr, flush=True)

    def finish(self, bundle: object) -> None:
        """Nothing is left to say."""
