"""What is wrong with a turn that came to its end, if anything is: the error that its cell ends in."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ipython_assistant.core.turn import text_of
from ipython_assistant.core.wording import counted
from ipython_assistant.errors import AssistantError, CodeFailed, FilesMissing, TableMissing, ToolNotAllowed
from ipython_assistant.service.faults import in_one_line, incomplete_error, service_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipython_assistant.answer import Answer
    from ipython_assistant.config import Settings
    from ipython_assistant.core.turn import OtherItem
    from ipython_assistant.workspace.named_frames import NoFrame

NOTHING_CALCULATED = "No code was run: nothing in the answer was calculated."
NO_CODE_RAN = "No code was run: the service may not have the code interpreter, and the answer may be made up."


def error_of(answer: Answer, settings: Settings, absent: Sequence[NoFrame] = ()) -> AssistantError | None:
    """What is wrong with a turn that came to its end, if anything; `absent` are tables that `-o` asked for in vain."""
    turn = answer.turn
    if turn.unanswered is not None:
        return _unanswered(turn.unanswered)
    if turn.failed:
        code, message = (turn.failure.code, turn.failure.message) if turn.failure is not None else ("", "")
        return service_error(code, message, service=settings.service)
    if turn.status == "incomplete":
        return incomplete_error(turn.incomplete_reason)
    if answer.calls and answer.calls[-1].status == "failed":
        last_line = (answer.calls[-1].logs.strip().splitlines() or ["no message"])[-1]
        cure = "Change the code, then run it again; its log is above, and in the error's .answer.logs."
        return CodeFailed(f"The code raised {last_line}", cure)
    if absent:
        return _tables_missing(answer, absent)
    if answer.failed and settings.raise_on_missing:
        says = f"{counted(len(answer.failed), 'file')} of the answer could not be saved."
        cure = 'Run the cell again, or set `%config AssistantMagics.on_missing_file = "warn"`.'
        return FilesMissing(says, "\n".join([cure, *(f"  {file.name}: {file.reason}" for file in answer.failed)]))
    return None


def no_code_note(answer: Answer, settings: Settings, *, expected: bool) -> tuple[str, ...]:
    """What is to be said of an answer for which code was `expected`, or that links a file, where no code ran.

    Some servers accept the tool and drop it without a word.
    """
    ran = bool(answer.turn.steps) or answer.status != "completed"
    linked = "sandbox:" in answer.turn.text and not (answer.artifacts or answer.failed)
    note = NOTHING_CALCULATED if settings.service == "local" else NO_CODE_RAN
    return (note,) if settings.code and not ran and (expected or linked) else ()


def _unanswered(item: OtherItem) -> ToolNotAllowed:
    name, server = in_one_line(text_of(item.raw.get("name")) or item.type), item.raw.get("server_label")
    if item.type == "mcp_approval_request":
        where = f" of the server {in_one_line(server)}" if isinstance(server, str) else ""
        return ToolNotAllowed(
            f"The model waits for an approval to use {name}{where}, and a cell cannot give one.",
            'If you trust the server, write "require_approval": "never" into its --tool; else leave the tool out.',
        )
    return ToolNotAllowed(
        f"The model waits for the result of the tool {name}, and a cell cannot give one.",
        "Leave this tool out: the tools of a cell are those that the service runs itself.",
    )


def _tables_missing(answer: Answer, absent: Sequence[NoFrame]) -> TableMissing:
    names = ", ".join(table.name for table in absent)
    reason = "the question was refused." if answer.status == "refused" else absent[0].reason
    listed = "\n".join(f"  {table.name}: {table.reason}" for table in absent) if len(absent) > 1 else ""
    cure = "Say in the question which table is to be saved under that name, then run the cell again."
    lost = {PurePosixPath(file.name).stem.casefold(): file for file in answer.failed}
    not_fetched = next((lost[table.name.casefold()] for table in absent if table.name.casefold() in lost), None)
    if not_fetched is not None:
        reason = f"{not_fetched.name} was made, and could not be saved: {not_fetched.reason}"
        cure = "%assistant retry fetches it again while its container lives, about 20 minutes."
    if answer.status == "refused":
        cure = "The answer says why, and what would work."
    return TableMissing(f"The answer brought no table {names}: {reason}", cure + (f"\n{listed}" if listed else ""))
