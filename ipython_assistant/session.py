"""The conductor: one turn, from the cell's text to files on disk, room by room.

There is one Session for each shell. It owns what outlives a cell: the conversation, the connection to the service and
the folders files go to.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.answer import Answer
from ipython_assistant.collection import Collected, Shelf, collect
from ipython_assistant.config import AssistantMagics, Settings, freeze
from ipython_assistant.core.conversation import Conversation, Step, Upload
from ipython_assistant.core.links import relink
from ipython_assistant.core.provenance import record_of
from ipython_assistant.core.request import build_request
from ipython_assistant.core.turn import Turn, TurnFold, read_response
from ipython_assistant.display import buttons
from ipython_assistant.display.bundles import size_in_words
from ipython_assistant.display.live import FrontEnd, LiveOutput, front_end, publish
from ipython_assistant.errors import (
    AssistantError,
    CodeFailed,
    ContainerExpired,
    FilesMissing,
    Interrupted,
    OptionError,
    TurnFailed,
)
from ipython_assistant.options import Options, option_help, parse_options
from ipython_assistant.service.client import ASKED_OF_THE_ENVIRONMENT, over_client
from ipython_assistant.service.connection import Connection, connect
from ipython_assistant.service.containers import RENEWED, Containers, Footing
from ipython_assistant.service.downloads import Downloads, Limits, interrupted
from ipython_assistant.service.stream import EventStream
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.inputs import gather
from ipython_assistant.workspace.provenance import recorded_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from IPython.core.interactiveshell import InteractiveShell

    from ipython_assistant.core.turn import Json

WHAT_TO_WRITE = """\
Write your question below the first line:

%%assistant -i coverage.csv
Plot coverage by year for District B and save the mean per district as by_district.csv

%%assistant --help lists the options."""

_DOING = {
    "response.created": "thinking",
    "response.in_progress": "thinking",
    "response.output_text.delta": "writing",
    "response.refusal.delta": "writing",
    "response.code_interpreter_call.in_progress": "writing code",
    "response.code_interpreter_call_code.delta": "writing code",
    "response.code_interpreter_call.interpreting": "running code",
    "response.code_interpreter_call.completed": "thinking",
}


@dataclass(frozen=True, slots=True)
class _Question:
    """What a cell asks, and from where in the conversation."""

    prompt: str
    settings: Settings
    cell: str
    parent: Step | None
    uploads: tuple[Upload, ...]
    began: datetime


@dataclass(frozen=True, slots=True)
class _Streamed:
    """A turn, and what ended its stream if that was not its end."""

    turn: Turn
    cut: AssistantError | None = None


@dataclass(frozen=True, slots=True)
class _Last:
    """The last turn, as it takes to fetch its files again."""

    connection: Connection
    question: _Question
    streamed: _Streamed
    collected: Collected


class Session:
    """Everything one shell shares between its cells.

    Args:
        shell: The shell, or None outside IPython.
        traits: Where the settings are read from, at every cell.
        notebook_dir: The notebook's directory.
    """

    def __init__(self, shell: InteractiveShell | None, traits: AssistantMagics, notebook_dir: Path) -> None:
        self.last_answer: Answer | None = None
        self.last_error: BaseException | None = None
        self._shell = shell
        self._traits = traits
        self._notebook_dir = notebook_dir
        self._conversation = Conversation()
        self._connections: dict[tuple[str, float, int], Connection] = {}
        self._folders: dict[Path, Folder] = {}
        self._rows = buttons.Rows(shell)
        self._scratch: Path | None = None
        self._runs = 0
        self._last: _Last | None = None

    def ask_cell(self, line: str, body: str) -> Answer | None:
        """What `%%assistant` does: ask, or show help, or say what to write."""
        try:
            options = parse_options(line, body)
            if options.help or not body.strip():
                print(option_help() if options.help else WHAT_TO_WRITE)  # noqa: T201 plain text is what was asked for
                return None
            return self.run(options, body.strip())
        except AssistantError as error:
            self.last_error = error
            raise

    def run(self, options: Options, prompt: str) -> Answer:
        """One turn. Raises an `AssistantError` after everything that could be shown and saved was."""
        front = front_end(self._shell)
        question = self._question(options, prompt, front)
        with LiveOutput(front) as live:
            live.update("", "connecting")
            connection = self._connect(question.settings)
            with self._downloads(connection, question.settings) as downloads:
                footing = connection.containers.footing(question.parent, question.uploads, question.settings.policy)
                streamed, footing = self._ask(connection, question, footing, downloads, live)
                collected, cut = self._collect(connection, downloads, question, streamed, live)
            answer = self._recorded(question, self._answer(streamed, collected, footing.notes, prompt))
            live.finish(answer.text_output())
        self._show(answer, question.settings, front)
        self._remember(connection, question, streamed, collected)
        return self._ended(answer, streamed.cut or cut, question.settings)

    def show(self, response: Any, client: Any = None) -> Answer:
        """Show a response that somebody's own code got; see `ipython_assistant.show`."""
        turn = read_response(response if isinstance(response, dict) else response.model_dump(mode="json"))
        settings, streamed, collected = self._settings(Options()), _Streamed(turn), Collected()
        question = _Question("", settings, f"response {turn.response_id}", None, (), datetime.now(UTC))
        if turn.container_ids:
            connection = Connection(over_client(client)) if client is not None else self._connect(settings)
            shelf = self._shelf(settings, question.cell)
            with self._downloads(connection, settings) as downloads:
                collected = collect(connection.containers, downloads, turn, shelf, _progress(None))
        cure = "Asked by another client? Then: ipython_assistant.show(response, client=client)."
        notes = (cure,) if collected.failed and client is None else ()
        answer = self._recorded(question, self._answer(streamed, collected, notes))
        publish(answer.text_output())
        self._show(answer, settings, front_end(self._shell))
        return self._ended(answer, None, settings)

    def retry(self) -> Answer:
        """Fetch again what could not be had of the last answer, while its container lives; then show it again.

        Raises:
            AssistantError: There is no last answer, or files are still missing.
        """
        last = self._last
        if last is None:
            raise OptionError("There is no answer whose files could be fetched again.", "Ask with %%assistant first.")
        settings = last.question.settings
        connection = last.connection if last.connection.usable else self._connect(settings)
        shelf = self._shelf(settings, last.question.cell)
        connection.containers.unsee(last.collected.listed)
        with self._downloads(connection, settings) as downloads:
            collected = collect(
                connection.containers,
                downloads,
                last.streamed.turn,
                shelf,
                _progress(None),
                have=last.collected.artifacts,
            )
        connection.containers.see(last.streamed.turn.container_ids, collected.listed)
        self._last = replace(last, collected=collected)
        answer = self._recorded(last.question, self._answer(last.streamed, collected, (), last.question.prompt))
        publish(answer.text_output())
        self._show(answer, settings, front_end(self._shell))
        return self._ended(answer, downloads.cut, settings)

    @property
    def folder(self) -> Folder:
        """The folder where files go now."""
        return self._folder(self._settings(Options()))

    @property
    def containers(self) -> Containers:
        """The containers of the service that answers now."""
        return self._connect(self._settings(Options())).containers

    def status(self) -> dict[str, str]:
        """Who answers, where files go and what runs, for a person to read."""
        settings = self._settings(Options())
        engines = [connection for connection in self._connections.values() if connection.engine_pid is not None]
        running = [f"process {engine.engine_pid}, sandbox: {engine.sandbox}" for engine in engines if engine.usable]
        return {
            "service": settings.service,
            "model": settings.model,
            "mode": settings.mode,
            "files": str(settings.save_dir),
            "engine": "; ".join(running) or "not running",
            "buttons": buttons.wanted_in_words(settings.buttons, front_end(self._shell)),
        }

    def close(self, *, rows: bool = True) -> None:
        """End what this session started. May be called twice.

        Args:
            rows: Also the rows of buttons it shows; otherwise each ends when its cell runs again.
        """
        if rows:
            self._rows.close()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        for folder in self._folders.values():
            folder.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _settings(self, options: Options) -> Settings:
        return freeze(self._traits, options, self._notebook_dir, os.environ)

    def _question(self, options: Options, prompt: str, front: FrontEnd) -> _Question:
        self._runs += 1
        cell = front.cell_id or f"run {self._runs}"
        namespace = self._shell.user_ns if self._shell is not None else {}
        inputs = gather(options.inputs, namespace, Path.cwd(), self._new_scratch)
        uploads = tuple(Upload(item.name, item.path, item.sha256, item.description) for item in inputs)
        parent = self._conversation.parent(cell)
        return _Question(prompt, self._settings(options), cell, parent, uploads, datetime.now(UTC))

    def _new_scratch(self) -> Path:
        """A directory for the files that are made of one cell's variables: they may be sent again, so they stay."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="ipython_assistant-"))
        return Path(tempfile.mkdtemp(dir=self._scratch))

    def _connect(self, settings: Settings) -> Connection:
        # Somebody who corrects a key or an address in the environment means the next cell.
        around = hash(tuple(os.environ.get(name) for name in ASKED_OF_THE_ENVIRONMENT))
        key = (settings.service, settings.timeout_s, around if settings.service != "local" else 0)
        connection = self._connections.get(key)
        if connection is None or not connection.usable:
            if connection is not None:
                connection.close()
            connection = self._connections[key] = connect(settings.service, settings.timeout_s, os.environ)
        return connection

    @contextlib.contextmanager
    def _downloads(self, connection: Connection, settings: Settings) -> Iterator[Downloads]:
        """The downloads of one turn; their temporary files are gone afterwards."""
        folder = self._folder(settings)
        limits = Limits(settings.downloads, settings.files_timeout_s, settings.prefetch_bytes)
        downloads = Downloads(connection.wire, connection.containers, folder.stage, limits)
        try:
            with downloads:
                yield downloads
        finally:
            if downloads.staged is not None:
                folder.unstage(downloads.staged)

    def _folder(self, settings: Settings) -> Folder:
        return self._folders.setdefault(settings.save_dir, Folder(settings.notebook_dir, settings.save_dir))

    def _shelf(self, settings: Settings, cell: str) -> Shelf:
        return Shelf(self._folder(settings), cell, self._conversation.names_of_others(cell))

    def _ask(
        self,
        connection: Connection,
        question: _Question,
        footing: Footing,
        downloads: Downloads,
        live: LiveOutput,
    ) -> tuple[_Streamed, Footing]:
        """Ask; once more in a new container if the old one has expired."""
        try:
            return self._stream(connection, _request(question, footing), downloads, live), footing
        except ContainerExpired:
            settings = question.settings
            footing = connection.containers.fresh_footing(
                question.parent, question.uploads, settings.policy, (RENEWED,)
            )
            return self._stream(connection, _request(question, footing), downloads, live), footing

    def _stream(self, connection: Connection, request: Json, downloads: Downloads, live: LiveOutput) -> _Streamed:
        fold = TurnFold()
        cut: AssistantError | None = None
        try:
            events = EventStream(connection.wire.respond(request))
        except AssistantError as error:
            raise connection.explain(error) from error
        try:
            for event in events:
                if event is None:
                    live.tick()
                elif fold.feed(event):
                    live.update(lambda: fold.turn.text, _DOING.get(event["type"]))
                    if event["type"] == "response.code_interpreter_call.completed":
                        downloads.code_ended(fold.turn.calls[-1].container_id)
        except KeyboardInterrupt:
            cut = Interrupted("The cell was interrupted.", "What had arrived is above; its files are saved.")
        except AssistantError as error:
            cut = connection.explain(error)
        finally:
            events.close()
        return _Streamed(fold.turn, cut)

    def _collect(
        self,
        connection: Connection,
        downloads: Downloads,
        question: _Question,
        streamed: _Streamed,
        live: LiveOutput,
    ) -> tuple[Collected, AssistantError | None]:
        """The turn's files; whatever ends this early, `retry` can go on from here."""
        collected, cut = Collected(), None
        try:
            shelf = self._shelf(question.settings, question.cell)
            collected = collect(connection.containers, downloads, streamed.turn, shelf, _progress(live))
        except KeyboardInterrupt:
            cut = interrupted()
        self._last = _Last(connection, question, streamed, collected)
        return collected, cut or downloads.cut

    def _answer(self, streamed: _Streamed, collected: Collected, notes: Iterable[str], prompt: str = "") -> Answer:
        turn, missing = streamed.turn, {file.name: "it could not be saved" for file in collected.failed}
        messages = (
            "".join(relink(part, collected.artifacts, missing) for part in message.parts) for message in turn.messages
        )
        return Answer(
            text="\n\n".join(message for message in messages if message),
            turn=turn,
            artifacts=collected.artifacts,
            failed=collected.failed,
            notes=(*notes, *collected.notes),
            repeated=collected.repeated,
            interrupted=isinstance(streamed.cut, Interrupted),
            prompt=prompt,
            shown_in=self._shell.execution_count if self._shell is not None else None,
        )

    def _show(self, answer: Answer, settings: Settings, front: FrontEnd) -> None:
        for bundle in answer.outputs():
            publish(bundle)
        if buttons.wanted(settings.buttons, front):
            self._rows.show(answer.artifacts, settings.notebook_dir, front.cell_id)
        self.last_answer = answer

    def _recorded(self, question: _Question, answer: Answer) -> Answer:
        """The answer, once its record is kept beside its files; that it could not be is said in a note."""
        record = record_of(
            answer.turn,
            prompt=question.prompt,
            cell=question.cell,
            service=question.settings.service,
            model=question.settings.model,
            status=answer.status,
            began=question.began,
            ended=datetime.now(UTC),
            inputs=recorded_inputs(question.uploads),
            artifacts=answer.artifacts,
            failed=answer.failed,
        )
        return replace(answer, notes=(*answer.notes, *self._folder(question.settings).record(record)))

    def _remember(self, connection: Connection, question: _Question, streamed: _Streamed, collected: Collected) -> None:
        """Put the turn into the conversation. One that did not come to its end only leaves its container used."""
        turn, step, replaced = streamed.turn, None, None
        if streamed.cut is None:
            inherited = question.parent.container_id if question.parent is not None else ""
            step = Step(
                prompt=question.prompt,
                turn=turn,
                service=connection.wire.identity,
                container_id=turn.container_ids[-1] if turn.container_ids else inherited,
                uploads=question.uploads,
                artifacts=collected.artifacts,
                before=question.parent,
            )
            replaced = self._conversation.present(question.cell)
            self._conversation = self._conversation.with_step(question.cell, step)
        connection.containers.ran(turn.container_ids, step)
        connection.containers.see(turn.container_ids, collected.listed)
        if step is not None:
            connection.containers.let_go(replaced)

    def _ended(self, answer: Answer, cut: AssistantError | None, settings: Settings) -> Answer:
        """The answer, or the error that the cell ends in; either way everything is shown and saved by now."""
        error = cut or _fault(answer, settings)
        if error is None:
            return answer
        error.answer = answer
        self.last_error = error
        raise error


def _progress(live: LiveOutput | None) -> Callable[[int, int, int], None]:
    def show(done: int, total: int, received: int) -> None:
        if live is not None:
            live.update(None, f"fetching files, {done} of {total}, {size_in_words(received)}")

    return show


def _request(question: _Question, footing: Footing) -> Json:
    return build_request(
        model=question.settings.model,
        prompt=question.prompt,
        container=footing.container_id or {"type": "auto", **question.settings.policy.body()},
        instructions=question.settings.instructions,
        inputs=footing.inputs,
        previous_response_id=footing.previous_response_id,
        history=footing.history,
    )


def _fault(answer: Answer, settings: Settings) -> AssistantError | None:
    """What is wrong with a turn that came to its end."""
    turn = answer.turn
    if turn.status == "failed" or turn.failure is not None:
        failure = turn.failure
        message = failure.message if failure is not None and failure.message else "no reason was given"
        return TurnFailed(
            f"The service gave up: {' '.join(message.split()).rstrip('.')}.",
            "What arrived is above. Run the cell again, or change the question.",
            code=failure.code if failure is not None else None,
        )
    if turn.status == "incomplete":
        reason = turn.incomplete_reason or "no reason was given"
        return TurnFailed(f"The answer is incomplete: {reason}.", "What arrived is above. Ask for less at once.")
    if answer.calls and answer.calls[-1].status == "failed":
        last_line = (answer.calls[-1].logs.strip().splitlines() or ["no message"])[-1]
        return CodeFailed(f"The code raised {last_line}", "Its log is above. Change the code, then run the cell again.")
    if answer.failed and settings.raise_on_missing:
        count = len(answer.failed)
        listed = "\n".join(f"  {file.name}: {file.reason}" for file in answer.failed)
        return FilesMissing(
            f"{count} file{'s' if count > 1 else ''} of the answer could not be saved.",
            f'Run the cell again, or set `%config AssistantMagics.on_missing_file = "warn"`.\n{listed}',
        )
    return None
