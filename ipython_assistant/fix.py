"""`%assistant fix`: the error of the last cell becomes a question, and the answer's code a new cell below."""

from __future__ import annotations

import ast
import contextlib
import re
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from ipython_assistant import turn_run
from ipython_assistant.core.redaction import Redactor
from ipython_assistant.display.live import front_end
from ipython_assistant.errors import AssistantError, InputError, OptionError
from ipython_assistant.options import Options
from ipython_assistant.workspace.frames import kind_of_frame, table_of
from ipython_assistant.workspace.secrets import secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipython_assistant.session import Session

REQUEST = """\
This cell of a notebook failed. Say in one or two sentences why, then give the whole corrected cell as one block of
Python. Do not run it.

```python
{code}
```

{error}
{frames}"""
_BLOCK = re.compile(r"^```(?:python|py)?[ \t]*\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)


def fix_last_cell(session: Session, *, dry_run: bool) -> None:
    """Ask why the last cell failed, show the answer, and insert the corrected cell below.

    What goes to the service: the cell's code, the error's type, message and line, and of each table that the code
    names its columns, their types and its size. No value of a table, and nothing else of the notebook. Raises an
    `AssistantError` where the last cell did not fail, or the question did.
    """
    words = question_about(getattr(session.shell, "last_execution_result", None), session.visible())
    words = Redactor(secrets_of(session.environment()))(words)
    question = turn_run.read(session, Options(no_code=True), words, session.cell_of_ask(), {}, from_code=True)
    if dry_run:
        print(turn_run.dry_run(session, question))  # noqa: T201 plain text is what was asked for
        return
    answer = turn_run.answer_question(session, question, turn_run.Viewer(front_end(session.shell)))
    block = _BLOCK.search(answer.text)
    if block is None:
        return
    insert_cell(session, block["code"].rstrip())


def insert_cell(session: Session, code: str) -> None:
    """Insert code as a new cell below; print it where no live front end would show one."""
    if session.shell is not None and front_end(session.shell).live:
        session.shell.set_next_input(code, replace=False)
    else:
        print(code)  # noqa: T201 see the docstring


def question_about(result: Any, namespace: Mapping[str, Any]) -> str:
    """The question about a cell that failed, by IPython's `ExecutionResult`. Raises `OptionError` where none did."""
    error = (result.error_before_exec or result.error_in_exec) if result is not None else None
    if error is None:
        raise OptionError("The last cell ended without an error.", "Run a cell that fails, then %assistant fix.")
    if isinstance(error, AssistantError):
        raise OptionError(f"The last error says what to do: {error.message}", error.hint or "Correct the cell.")
    code = str(result.info.raw_cell).strip()
    frames = "\n".join(_frames(code, namespace))
    line = f", line {number}" if (number := _line_of(error)) else ""
    return REQUEST.format(code=code, error=f"{type(error).__name__}{line}: {error}", frames=frames).strip()


def _line_of(error: BaseException) -> int | None:
    """The line of the cell that failed: where a syntax error is, or where its code is in the stack."""
    if isinstance(error, SyntaxError):
        return error.lineno
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_globals.get("__name__") == "__main__"]
    return lines[0] if lines else None


def _frames(code: str, namespace: Mapping[str, Any]) -> Iterator[str]:
    try:
        names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    except (SyntaxError, ValueError):
        names = set(re.findall(r"[^\W\d]\w*", code))
    for name in sorted(names & namespace.keys()):
        with contextlib.suppress(InputError):  # a table that no file can hold has no columns to name
            if kind_of_frame(namespace[name]):
                yield f"{name}: {table_of(namespace[name], name).describe()}"
