"""One turn, from the question to the last output: asked, replayed, shown (the user's own code got it) or retried.

What differs is where the turn and its files come from: that is a `TurnSource`. Everything else happens once, here.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from datetime import UTC, datetime
from os import environ
from threading import Event
from typing import TYPE_CHECKING

from ipython_assistant import errors
from ipython_assistant.answer import answer_of, rows_to_browse
from ipython_assistant.config import freeze, working_directory
from ipython_assistant.core.fold import read_response
from ipython_assistant.core.named_secrets import secrets_in
from ipython_assistant.core.placeholders import fill
from ipython_assistant.core.redaction import redact_error
from ipython_assistant.core.turn import text_of, without_pictures
from ipython_assistant.core.wording import counted
from ipython_assistant.display.live import FrontEnd, LiveOutput, ProgressLines, front_end, publish
from ipython_assistant.display.outputs import KEY, Bundle
from ipython_assistant.errors import AssistantError, Interrupted, OptionError
from ipython_assistant.question import Question, with_assistant
from ipython_assistant.service.accounts import over_client
from ipython_assistant.service.connection import Connection
from ipython_assistant.service.faults import in_one_line, incomplete_error, service_error
from ipython_assistant.turn_sources import Arrival, RecordingSource, ServiceSource
from ipython_assistant.who_answers import recorded_answer
from ipython_assistant.workspace.assistants import assistant_folders, check_inputs, load_assistant
from ipython_assistant.workspace.folder import check_folder
from ipython_assistant.workspace.tables import named_frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ipython_assistant.answer import Answer
    from ipython_assistant.options import Options
    from ipython_assistant.session import Session
    from ipython_assistant.turn_sources import TurnSource

FETCH_AGAIN = "%assistant retry fetches again while the container lives, about 20 minutes; --fresh asks again."
NO_CODE_RAN = "No code was run: nothing in the answer was calculated."


def read(
    session: Session, options: Options, words: str, cell: str, namespace: Mapping[str, Any], *, from_code: bool = False
) -> Question:
    """Read a question from what the user wrote in a cell, which owns the answer's files, or in code.

    In code braces stay, and the question stands outside every conversation unless the options name one. Raises an
    `AssistantError` where an option, a setting, an input or an assistant is wrong.
    """
    directory = working_directory()
    renamed, notebook_dir = session.follow_rename(directory), session.notebook_dir
    assistant = None
    if options.assistant is not None:
        assistant = load_assistant(options.assistant, assistant_folders(notebook_dir))
        check_inputs(assistant, notebook_dir, directory, namespace)
        options = with_assistant(options, assistant)
    settings = freeze(session.traits, options, notebook_dir, environ)
    check_folder(settings.save_dir, notebook_dir)
    prompt, hints = (words, ()) if from_code else fill(words, namespace)
    conversation, parent = options.conversation or (None if from_code else ""), None
    if conversation is not None and not options.new:
        parent = session.conversations.parent(conversation, cell)
    return Question(
        prompt=prompt,
        settings=settings,
        cell=cell,
        began=datetime.now(UTC),
        parent=parent,
        conversation=conversation,
        inputs=session.gather(options, namespace, directory),
        outputs=tuple(dict.fromkeys(options.outputs)),
        hints=(*renamed, *hints),
        large=options.yes,
        fresh=options.fresh,
        assistant=assistant,
    )


def answer_question(session: Session, question: Question, front: FrontEnd | None = None, **how: Any) -> Answer:
    """Answer from a recording or a service. Raises an `AssistantError` at the end; `.answer` holds what arrived."""
    for hint in question.hints if front else ():
        print(hint)  # noqa: T201 it belongs to the question, not to the answer
    recording = recorded_answer(question, session.recordings(question.settings))
    source = RecordingSource(session, question, recording) if recording else None
    return run_turn(source or ServiceSource(session, question), front, **how)


def dry_run(session: Session, question: Question) -> str:
    """Everything that would be sent, for a person to read; nothing is sent. Raises an `AssistantError`."""
    return replace(question, settings=session.with_answerer(question.settings)).in_full()


def show_response(session: Session, response: Any, client: Any = None) -> Answer:
    """Show a response that the user's own code got, with its files saved; see `ipython_assistant.show`."""
    turn = read_response(response if isinstance(response, dict) else response.model_dump(mode="json"))
    if turn.status in {"queued", "in_progress"}:
        raise OptionError(f"The response {turn.response_id} is still {turn.status}.", "Show it once it has ended.")
    question = Question("", session.settings, f"response {turn.response_id}", datetime.now(UTC))
    connection = Connection(over_client(client)) if client is not None else None
    cure = "" if connection else "Asked by another client? Then: ipython_assistant.show(response, client=client)."
    source = ServiceSource(session, question, arrival=Arrival(turn), connected=connection, cure=cure)
    return run_turn(source, front_end(session.shell))


def retry(session: Session) -> Answer:
    """Fetch again what is missing of the last answer, while its container lives; then show it again."""
    if session.unfinished is None:
        raise OptionError("No file is missing that could be fetched again.", "%assistant show shows the last answer.")
    return run_turn(session.unfinished, front_end(session.shell))


def run_turn(
    source: TurnSource, front: FrontEnd | None = None, *, stop: Event | None = None, output: LiveOutput | None = None
) -> Answer:
    """Run one turn to its end; gives the answer with its tables. Raises the error that the cell ends in.

    The front end shows its outputs; without one, code takes the answer, and `output` may show it as it arrives. `stop`
    is set from outside to end the turn where Ctrl-C cannot reach it.
    """
    session, question, answer = source.session, source.question, None
    try:
        in_terminal = front and getattr(session.shell, "kernel", None) is None and sys.stdout.isatty()
        shown = ProgressLines() if in_terminal else LiveOutput(front or FrontEnd())
        with output or shown as live:
            arrival = source.receive(live, stop or Event())
            answer = _answer(source, arrival, front)
            # Recorded before it is shown: what the recording cannot hold is one of the notes.
            answer = replace(answer, notes=(*answer.notes, *source.keep(arrival, answer)))
            if front:
                data, metadata = answer.text_output()
                live.finish(Bundle(data, {**metadata, KEY: {**metadata[KEY], **source.metadata}}))
        session.remember(answer, source)
        if front:
            _show(source, answer, front)
        tables = {name: named_frame(answer.artifacts, name, question.dtypes) for name in question.outputs}
    except KeyboardInterrupt:
        if answer is not None:
            session.remember(answer, source)
        raise interrupted(answer) from None
    except AssistantError as refusal:
        redact_error(refusal, secrets_in(question.settings.tools))
        raise
    found = {name: table for name, table in tables.items() if not isinstance(table, str)}
    if found:
        read_how = (f"{name}: {note}" for name, table in found.items() for note in table.notes)
        frames = {name: table.frame for name, table in found.items()}
        answer = replace(answer, frames=frames, notes=(*answer.notes, *read_how))
        if front and session.shell is not None:
            session.shell.user_ns.update(frames)
        session.remember(answer, source)
    # The answer is complete. Ctrl-C now only stops the wait for a container to be deleted.
    with contextlib.suppress(KeyboardInterrupt):
        source.release()
    absent = {name: reason for name, reason in tables.items() if isinstance(reason, str)}
    error = arrival.error or arrival.files_error or _error_of(answer, source, absent)
    if error is not None:
        # A service may repeat the tokens in tools that it was sent.
        redact_error(error, secrets_in(question.settings.tools))
        error.answer, session.last_error = answer, error
        raise error
    return answer


def interrupted(answer: Answer | None = None) -> Interrupted:
    """The error for Ctrl-C; `answer` is what had arrived by then."""
    if answer is None:
        return Interrupted("The cell was interrupted before an answer came.", "Ask again.")
    return Interrupted("The cell was interrupted.", "%assistant show shows what had arrived.", answer=answer)


def _answer(source: TurnSource, arrival: Arrival, front: FrontEnd | None) -> Answer:
    question, shell, files = source.question, source.session.shell, arrival.files
    answer = answer_of(question.prompt, without_pictures(arrival.turn), files)
    notes = (*arrival.notes, *files.notes)
    # Some servers accept the tool and drop it without a word.
    linked = "sandbox:" in answer.turn.text and not files.artifacts and not files.failed
    if question.settings.code and (question.inputs or question.outputs or linked):
        ended = arrival.error is None and answer.status == "completed"
        notes += (NO_CODE_RAN,) if ended and isinstance(source, ServiceSource) and not answer.turn.steps else ()
    shown_in = shell.execution_count if shell is not None and front else None
    return replace(answer, notes=notes, interrupted=isinstance(arrival.error, Interrupted), shown_in=shown_in)


def _show(source: TurnSource, answer: Answer, front: FrontEnd) -> None:
    session, settings = source.session, source.question.settings
    above, below = answer.output_parts()
    for bundle in above:
        publish(bundle)
    always = settings.traits.buttons == "always"
    if always or (settings.traits.buttons == "auto" and front.live):
        # Where the answer came from differs from run to run: the row of buttons is not saved, and not compared.
        note = ""
        if recorded := source.metadata.get("recorded", ""):
            note = f"Answered from the recording of {recorded[: len('2026-01-15T09:30')].replace('T', ' ')} UTC."
            note += "" if settings.mode == "replay" else " %%assistant --fresh asks again."
        session.rows.show(
            answer.artifacts, session.notebook_dir, front, note=note, always=always, read_rows=rows_to_browse
        )
    for bundle in below:
        publish(bundle)


def _error_of(answer: Answer, source: TurnSource, absent: Mapping[str, str]) -> AssistantError | None:
    """The error of a turn that came to its end, or None; `absent` are tables that `-o` asked for and did not get."""
    turn, settings = answer.turn, source.question.settings
    if (item := turn.unanswered) is not None:
        name, cure = in_one_line(text_of(item.raw.get("name")) or item.type), "Leave this tool out of the cell."
        if item.type == "mcp_approval_request":
            cure = 'If you trust that server, write "require_approval": "never" into the tool; else leave it out.'
        return errors.ToolNotAllowed(f"The model waits for {name}, which no cell can give.", cure)
    if turn.failed:
        code, message = (turn.failure.code, turn.failure.message) if turn.failure is not None else ("", "")
        return service_error(code, message, service=settings.service)
    if turn.status == "incomplete":
        return incomplete_error(turn.incomplete_reason)
    if answer.calls and answer.calls[-1].status == "failed":
        last_line = (answer.calls[-1].logs.strip().splitlines() or ["no message"])[-1]
        cure = "Change the code, then ask again; its log is above, and in the error's .answer.logs."
        return errors.CodeFailed(f"The code raised {last_line}", cure)
    lost = [f"  {file.name}: {file.reason}" for file in answer.failed]
    if absent:
        why = next(iter(absent.values()))
        cure = "Say in the question which table is to be saved under that name, then ask again."
        if answer.status == "refused":
            cure = "The answer says why it was refused."
        elif lost:
            why, cure = f"{answer.failed[0].name} could not be saved.", FETCH_AGAIN
        says = f"The answer brought no table {', '.join(absent)}: {why}"
        return errors.TableMissing(says, "\n".join([cure, *lost]))
    if lost and settings.traits.on_missing_file == "raise":
        says = f"{counted(len(lost), 'file')} of the answer could not be saved."
        return errors.FilesMissing(says, "\n".join([FETCH_AGAIN, *lost]))
    return None
