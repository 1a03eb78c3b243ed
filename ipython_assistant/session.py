"""The conductor: one turn, from the cell's text to files on disk, room by room.

There is one Session for each shell. It owns what outlives a cell: the conversations, the connection to the service and
the folders files go to.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipython_assistant.answer import Answer
from ipython_assistant.collection import Collected, Shelf, collect
from ipython_assistant.config import AssistantMagics, Settings, check_model, freeze, origins
from ipython_assistant.core.conversation import Conversations, Step
from ipython_assistant.core.fold import read_response
from ipython_assistant.core.footnotes import finished
from ipython_assistant.core.provenance import record_of, stamp
from ipython_assistant.core.redaction import redactor
from ipython_assistant.core.tool_secrets import secrets_in
from ipython_assistant.display import buttons
from ipython_assistant.display.bundles import KEY, Bundle
from ipython_assistant.display.live import FrontEnd, LiveOutput, front_end, publish
from ipython_assistant.endings import fault, hide, without_code
from ipython_assistant.errors import AssistantError, Interrupted, OptionError
from ipython_assistant.inserting import cell_of
from ipython_assistant.options import Options, option_help, parse_options
from ipython_assistant.question import Place, Question, Surroundings, read_question
from ipython_assistant.recorded import recorded_answer, strangers
from ipython_assistant.service.client import ASKED_OF_THE_ENVIRONMENT, over_client
from ipython_assistant.service.connection import Connection, connect
from ipython_assistant.service.downloads import Downloads, Limits
from ipython_assistant.service.replay import recorded_reply
from ipython_assistant.service.threads import Threads
from ipython_assistant.streaming import Asking, Streamed, before_an_answer, fold_reply, progress
from ipython_assistant.workspace.dotenv import read_env_file
from ipython_assistant.workspace.folder import Folder
from ipython_assistant.workspace.outputs import NoFrame, named_frame
from ipython_assistant.workspace.provenance import recorded_inputs
from ipython_assistant.workspace.recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.conversation import Conversation
    from ipython_assistant.core.provenance import TurnRecord
    from ipython_assistant.core.recording import Exchange
    from ipython_assistant.service.containers import Containers, Footing
    from ipython_assistant.workspace.inputs import Input
    from ipython_assistant.workspace.recordings import Recording

WHAT_TO_WRITE = """\
Write your question below the first line:

%%assistant -i coverage.csv
Plot coverage by year for District B and save the mean per district as by_district.csv

%%assistant --help lists the options."""

MOST_ANSWERS = 100
"""So many answers `%assistant show RESPONSE_ID` knows: a loop may ask thousands, each with pictures in it."""
_IPYTHONS = frozenset({"In", "Out", "exit", "quit", "open", "get_ipython"})


@dataclass(frozen=True, slots=True)
class Audience:
    """Who a turn is for.

    Attributes:
        front: Who is watching.
        shows: Whether its outputs are shown.
        stopped: Set from outside to end it, where Ctrl-C cannot reach it; None where it can.
    """

    front: FrontEnd
    shows: bool = True
    stopped: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class _Last:
    """The last turn, as it takes to fetch its files again."""

    connection: Connection
    question: Question
    streamed: Streamed
    collected: Collected
    exchange: Exchange | None
    notes: tuple[str, ...] = ()
    step: Step | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its containers were listed and every file came."""
        listed = bool(self.collected.listed) or not self.streamed.turn.container_ids
        return listed and not self.collected.failed and self.streamed.cut is None


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
        self.traits = traits
        self.notebook_dir = notebook_dir
        self._shell = shell
        self._talks = Conversations()
        self._connections: dict[tuple[str, float, int], Connection] = {}
        self._folders: dict[Path, Folder] = {}
        self._recordings: dict[tuple[Path, int], Recordings] = {}
        self._inputs: dict[str, Input] = {}
        self._answers: dict[str, Answer] = {}
        self._rows = buttons.Rows(shell)
        self._scratch: Path | None = None
        self._runs = 0
        self._asks: tuple[tuple[str, int] | None, int] = (None, 0)
        self._last: _Last | None = None
        self._asked_because = ""
        self._threads: dict[int, Threads] = {}
        self._one_at_a_time = threading.RLock()

    # --- asking -------------------------------------------------------------------------------------------------------

    def ask_cell(self, line: str, body: str) -> Answer | None:
        """What `%%assistant` does: ask, or show help, or say what to write."""
        try:
            options = parse_options(line, body, self._visible())
            if options.help or options.help_all or not body.strip():
                asked = options.help or options.help_all
                print(option_help(everything=options.help_all) if asked else WHAT_TO_WRITE)  # noqa: T201 plain text is what was asked for
                return None
            front = front_end(self._shell)
            cell = front.cell_id or self._next_run()
            question = self.question(options, body.strip(), cell, self._visible())
            if options.dry_run:
                check_model(question.settings)
                print(question.in_full())  # noqa: T201 as above
                return None
            return self.answer(question, Audience(front), fresh=options.fresh)
        except AssistantError as error:
            self.last_error = error
            raise

    def question(
        self,
        options: Options,
        words: str,
        cell: str,
        namespace: Mapping[str, Any],
        *,
        alone: bool = False,
        filled: bool = False,
    ) -> Question:
        """What is asked. Raises an `AssistantError` where something in it cannot be meant.

        Args:
            options: The options.
            words: The text, as it was written.
            cell: The cell that owns the files.
            namespace: What may be named in it.
            alone: Whether it stands outside every conversation, unless the options name one.
            filled: Whether the text is as it is meant: no braces are filled in.
        """

        def place(name: str) -> Place:
            if alone and not options.conversation:
                return Place(cell, None, None)
            return Place(cell, None if options.new else self._talks.named(name).parent(cell), name)

        with self._one_at_a_time:
            around = Surroundings(
                traits=self.traits,
                environment=self.environment(),
                notebook_dir=self.notebook_dir,
                working_dir=Path.cwd(),
                namespace=namespace,
                scratch=self._new_scratch,
                known=tuple(self._inputs.values()),
            )
            question = read_question(options, words, around, place, datetime.now(UTC), filled=filled)
            self._inputs |= {item.name: item for item in question.inputs}
            return question

    def run(self, options: Options, words: str) -> Answer:
        """Ask one question that stands alone, and show nothing. Raises an `AssistantError`."""
        question = self.question(options, words, self.cell_of_ask(), {}, alone=True)
        return self.answer(question, Audience(FrontEnd(), shows=False), fresh=options.fresh)

    def cell_of_ask(self) -> str:
        """What owns the files of a question that code asks: its cell, and which of the cell's questions it is."""
        cell = front_end(self._shell).cell_id
        if cell is None or self._shell is None:
            return self._next_run()
        running = (cell, self._shell.execution_count)
        self._asks = (running, self._asks[1] + 1 if self._asks[0] == running else 1)
        return f"{cell} ask {self._asks[1]}"

    def answer(self, question: Question, audience: Audience, *, fresh: bool = False) -> Answer:
        """One turn, asked or replayed. Raises an `AssistantError`, after everything that can be is shown and saved."""
        try:
            return self._answered(question, audience, fresh=fresh)
        except AssistantError as error:
            # A service may repeat what it was sent, and a tool may hold somebody's token.
            hide(error, redactor(secrets_in(question.settings.tools)))
            raise

    def _answered(self, question: Question, audience: Audience, *, fresh: bool) -> Answer:
        for hint in question.hints if audience.shows else ():
            print(hint)  # noqa: T201 it belongs to the question, not to the answer
        recording = recorded_answer(question, self._recordings_of(question.settings), fresh=fresh)
        if recording is not None:
            return self._replay(question, recording, audience)
        why = ""
        if question.settings.mode == "auto" and not fresh:
            why = self._recordings_of(question.settings).asked_because(question.written)
        return self._ask(question, audience, why)

    def show(self, response: Any, client: Any = None) -> Answer:
        """Show a response that somebody's own code got; see `ipython_assistant.show`."""
        turn = read_response(response if isinstance(response, dict) else response.model_dump(mode="json"))
        settings, streamed, collected = self.settings, Streamed(turn), Collected()
        question = Question("", settings, Place(f"response {turn.response_id}"), datetime.now(UTC))
        if turn.container_ids:
            connection = Connection(over_client(client)) if client is not None else self.connect(settings)
            shelf = self._shelf(question)
            with self._downloads(connection, settings) as downloads:
                collected = collect(connection.containers, downloads, turn, shelf, progress(None))
        cure = "Asked by another client? Then: ipython_assistant.show(response, client=client)."
        notes = (cure,) if collected.failed and client is None else ()
        answer, _ = self._keep(question, self._answer(question, streamed, collected, notes))
        audience = Audience(front_end(self._shell))
        publish(answer.text_output())
        self._show(answer, question, audience)
        return self._ended(answer, None, question)

    def retry(self) -> Answer:
        """Fetch again what could not be had of the last answer, while its container lives; then show it again.

        Raises:
            AssistantError: There is no last answer, or files are still missing.
        """
        last = self._last
        if last is None:
            raise OptionError("There is no answer whose files could be fetched again.", "Ask with %%assistant first.")
        if last.is_whole:
            raise OptionError("Nothing is missing from the last answer.", "%assistant show shows it again.")
        question, settings = last.question, last.question.settings
        connection = last.connection if last.connection.usable else self.connect(settings)
        shelf = self._shelf(question)
        connection.containers.unsee(last.collected.listed)
        with self._downloads(connection, settings) as downloads:
            collected = collect(
                connection.containers,
                downloads,
                last.streamed.turn,
                shelf,
                progress(None),
                have=last.collected.artifacts,
            )
        connection.containers.see(last.streamed.turn.container_ids, collected.listed)
        answer = self._answer(question, last.streamed, collected, last.notes)
        answer, record = self._keep(question, answer, last.exchange)
        step, before = last.step, last.step
        if before is not None:
            step = replace(before, artifacts=collected.artifacts, digest=record.digest, ended=datetime.now(UTC))
            with self._one_at_a_time:
                self._talks = self._talks.amended(before, step)
                connection.containers.amend(before, step)
        self._last = replace(last, collected=collected, step=step)
        audience = Audience(front_end(self._shell))
        publish(answer.text_output())
        self._show(answer, question, audience)
        if downloads.cut is not None:
            return self._ended(answer, downloads.cut, question)
        return self._delivered(question, answer, audience)

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Folder:
        """The folder where files go now."""
        return self._folder(self.settings)

    @property
    def recordings(self) -> Recordings:
        """The recordings that are looked into now."""
        return self._recordings_of(self.settings)

    @property
    def containers(self) -> Containers:
        """The containers of the service that answers now."""
        return self.connect(self.settings).containers

    @property
    def conversations(self) -> Mapping[str, Conversation]:
        """The conversations of this session by name; the notebook's own has none."""
        return self._talks.by_name

    @property
    def steps(self) -> tuple[tuple[str, Step], ...]:
        """Every turn of this session with its cell, in the order in which they ended, replaced ones too."""
        return self._talks.steps

    @property
    def outside(self) -> tuple[tuple[str, Step], ...]:
        """The last turns of cells that are in no conversation: what was cut, and what code asked by itself."""
        return self._talks.outside

    @property
    def last_step(self) -> Step | None:
        """The turn that ended last and came to its end."""
        return self._talks.last

    @property
    def shell(self) -> InteractiveShell | None:
        """The shell, where there is one."""
        return self._shell

    @property
    def settings(self) -> Settings:
        """What the next cell would run with."""
        return freeze(self.traits, Options(), self.notebook_dir, self.environment())

    def environment(self) -> Mapping[str, str]:
        """The environment, and below it the `.env` file that was asked for. Raises `ConfigError`."""
        if not self.traits.env_file:
            return os.environ
        return {**read_env_file(self.notebook_dir / Path(self.traits.env_file).expanduser()), **os.environ}

    def connect(self, settings: Settings) -> Connection:
        """The connection the next cell would use; starts the engine where it answers. Raises an `AssistantError`."""
        environment = self.environment()
        # Somebody who corrects a key or an address in the environment means the next cell.
        around = hash(tuple(environment.get(name) for name in ASKED_OF_THE_ENVIRONMENT))
        around = around if settings.service != "local" else hash(settings.engine_arguments)
        key = (settings.service, settings.timeout_s, around)
        with self._one_at_a_time:
            connection = self._connections.get(key)
            if connection is None or not connection.usable:
                if connection is not None:
                    connection.close()
                connection = connect(settings.service, settings.timeout_s, environment, settings.engine_arguments)
                self._connections[key] = connection
            return connection

    def apart(self, notebook_dir: Path) -> Session:
        """Another session with the same settings, in another directory, that always asks and shares nothing else."""
        traits = AssistantMagics()
        for name in self.traits.trait_names(config=True):
            setattr(traits, name, getattr(self.traits, name))
        traits.mode = "live"
        return Session(None, traits, notebook_dir)

    def status(self) -> dict[str, tuple[str, str]]:
        """Who answers, where files go and what runs, for a person to read: value, and where it comes from."""
        settings, by = self.settings, origins(self.traits, self.environment())
        engines = [connection for connection in self._connections.values() if connection.engine_pid is not None]
        running = [f"process {engine.engine_pid}, sandbox: {engine.sandbox}" for engine in engines if engine.usable]
        last = self.last_step
        answered = ""
        if last is not None and last.ended is not None:
            how = "from the recording of" if last.replayed else f"by {last.model or last.provider},"
            answered = f"{how} {last.ended:%Y-%m-%d %H:%M} UTC"
        mode = settings.mode, by.get("mode", "")
        if settings.mode == "auto" and strangers(settings, self._recordings_of(settings)):
            mode = "replay", "there is no key of the service whose answers are recorded here"
        return {
            "service": (settings.service, by.get("service", "")),
            "model": (settings.model, by.get("model", "")),
            "mode": mode,
            "files": (str(settings.save_dir), by.get("save_dir", "")),
            "engine": ("; ".join(running) or "not running", ""),
            "buttons": (buttons.wanted_in_words(settings.buttons, front_end(self._shell)), by.get("buttons", "")),
            "last answer": (answered or "none yet", self._asked_because),
        }

    def answer_of(self, response_id: str) -> Answer:
        """The answer of this session whose response has this id. Raises `OptionError`."""
        found = self._answers.get(response_id)
        if found is None:
            known = ", ".join(self._answers) or "none"
            raise OptionError(f"No answer of this session has the id {response_id}.", f"Its answers: {known}.")
        return found

    def code_cell(self) -> str:
        """The code of the last answer as a cell of its own; empty where it ran none."""
        return cell_of(self.last_step, self._visible(), self.notebook_dir) if self.last_step is not None else ""

    @property
    def threads(self) -> Threads:
        """The threads in which questions are asked that nobody waits for; so many as `questions_at_once` says."""
        at_once = self.traits.questions_at_once
        with self._one_at_a_time:
            if at_once not in self._threads:
                self._threads[at_once] = Threads(at_once, "ipython_assistant aask")
            return self._threads[at_once]

    def begin_anew(self) -> None:
        """The next question of the notebook's own conversation continues from nothing."""
        self._talks = self._talks.begun_anew("")

    def close(self, *, rows: bool = True) -> None:
        """End what this session started. May be called twice.

        Args:
            rows: Also the rows of buttons it shows; otherwise each ends when its cell runs again.
        """
        if rows:
            self._rows.close()
        for threads in self._threads.values():
            threads.close()
        self._threads.clear()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        for folder in self._folders.values():
            folder.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    # --- one turn -----------------------------------------------------------------------------------------------------

    def _ask(self, question: Question, audience: Audience, why: str = "") -> Answer:
        """Ask the service; `why` is what the reader should know before: it is shown until the answer begins.

        What is left below the cell is the same as after a replay, so why it was asked goes to the metadata.
        """
        check_model(question.settings)
        question.check_size()
        self._asked_because = why
        if audience.stopped is not None and audience.stopped.is_set():
            raise before_an_answer()
        with LiveOutput(audience.front if audience.shows else FrontEnd()) as live:
            live.update(why, "connecting")
            try:
                connection = self.connect(question.settings)
            except KeyboardInterrupt:
                raise before_an_answer() from None
            with self._downloads(connection, question.settings) as downloads:
                if question.inputs:
                    live.update(why, question.sending())
                asking = Asking(question, connection, downloads, live, audience.stopped, why)
                streamed, footing, exchange = asking.ask()
                collected, cut = self._collect(asking, streamed, exchange, footing.notes)
            answer = self._answer(question, streamed, collected, footing.notes)
            answer, record = self._keep(question, answer, exchange)
            if audience.shows:
                told = _circumstances(record, connection.sandbox) | ({"asked_because": why} if why else {})
                live.finish(_with(answer.text_output(), **told))
        self._show(answer, question, audience)
        self._remember(asking, footing, streamed, collected, record)
        if streamed.cut is not None or cut is not None:
            return self._ended(answer, streamed.cut or cut, question)
        return self._delivered(question, answer, audience)

    def _replay(self, question: Question, recording: Recording, audience: Audience) -> Answer:
        """The same, but answered from a recording: everything above the bytes is the same code."""
        record, recordings = recording.record, self._recordings_of(question.settings)
        assert record.exchange is not None  # noqa: S101 for the type checker: without one it is no recording
        # Before anything is shown: a body that was changed since is named, and nothing is replayed.
        reply = recorded_reply(record.exchange, recordings.open_body)
        in_use = self._talks.names_in_use(question.cell, question.settings.save_dir)
        back = recordings.bring_back(recording, question.cell, in_use)
        self._adopt(question, record, back.artifacts)
        self._last = None
        with LiveOutput(audience.front if audience.shows else FrontEnd()) as live:
            streamed = fold_reply(reply, live, audience.stopped)
            collected = Collected(back.artifacts, back.failed, (*record.notes, *back.notes), back.repeated)
            answer = self._answer(question, streamed, collected, recorded=True)
            if audience.shows:
                told = _circumstances(record, "recorded")
                live.finish(_with(answer.text_output(), **told, recorded=record.ended))
        self._show(answer, question, audience)
        step = Step(
            prompt=question.prompt,
            turn=streamed.turn,
            service=f"recording {record.id}",
            uploads=question.uploads,
            artifacts=collected.artifacts,
            before=question.place.parent,
            digest=record.digest,
            provider=record.service,
            model=record.model,
            status=answer.status,
            replayed=True,
            began=question.began,
            ended=datetime.fromisoformat(record.ended),
        )
        self._asked_because = ""
        replaced = self._take_place(question, step)
        for connection in list(self._connections.values()):
            connection.containers.let_go(replaced)
        if streamed.cut is not None:
            return self._ended(answer, streamed.cut, question)
        return self._delivered(question, answer, audience)

    def _adopt(self, question: Question, record: TurnRecord, artifacts: tuple[Artifact, ...]) -> None:
        """What a recording's turn wrote and is still on disk belongs to the cell again."""
        ours = {(file.name, file.sha256): file.ours for file in record.files}
        folder, recorded = self._folder(question.settings), {file.sha256: file for file in record.files}
        for artifact in artifacts:
            if (artifact.name, artifact.sha256) in ours:
                wrote = ours[artifact.name, artifact.sha256]
                folder.adopt(artifact, question.cell, f"recording {record.id}", ours=wrote)
        files = tuple(
            replace(
                recorded[artifact.sha256],
                name=artifact.name,
                ours=ours.get((artifact.name, artifact.sha256), True),
            )
            for artifact in artifacts
        )
        folder.turns.replayed(replace(record, files=files), question.cell, stamp(datetime.now(UTC)))

    def _collect(
        self, asking: Asking, streamed: Streamed, exchange: Exchange, notes: tuple[str, ...]
    ) -> tuple[Collected, AssistantError | None]:
        """The turn's files; whatever ends this early, `retry` can go on from here."""
        question, connection, downloads = asking.question, asking.connection, asking.downloads
        shelf, words = self._shelf(question), progress(asking.live)
        collected = collect(connection.containers, downloads, streamed.turn, shelf, words)
        self._last = _Last(connection, question, streamed, collected, exchange, notes)
        return collected, downloads.cut

    def _answer(
        self,
        question: Question,
        streamed: Streamed,
        collected: Collected,
        notes: tuple[str, ...] = (),
        *,
        recorded: bool = False,
    ) -> Answer:
        turn, missing = streamed.turn, {file.name: "it could not be saved" for file in collected.failed}
        answer = Answer(
            text=finished(turn, collected.artifacts, missing),
            turn=turn,
            artifacts=collected.artifacts,
            failed=collected.failed,
            notes=(*notes, *collected.notes),
            repeated=collected.repeated,
            interrupted=isinstance(streamed.cut, Interrupted),
            prompt=question.prompt,
            shown_in=self._shell.execution_count if self._shell is not None else None,
        )
        if recorded or streamed.cut is not None:
            return answer
        expected = bool(question.inputs or question.outputs)
        return replace(answer, notes=(*answer.notes, *without_code(answer, question.settings, expected=expected)))

    def _show(self, answer: Answer, question: Question, audience: Audience) -> None:
        self._know(answer)
        if not audience.shows:
            return
        for bundle in answer.outputs():
            publish(bundle)
        if buttons.wanted(question.settings.buttons, audience.front):
            self._rows.show(answer.artifacts, self.notebook_dir, audience.front.cell_id)

    def _know(self, answer: Answer) -> None:
        """This is the last answer; some before it can be shown again."""
        self.last_answer = self._answers[answer.response_id] = answer
        for response_id in list(self._answers)[:-MOST_ANSWERS]:
            self._answers.pop(response_id, None)

    def _keep(self, question: Question, answer: Answer, exchange: Exchange | None = None) -> tuple[Answer, TurnRecord]:
        """The answer, once it is recorded beside its files, and the record; that it could not be is said in a note."""
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
            notes=answer.notes,
            repeated=answer.repeated,
            written=question.written if exchange is not None else None,
            exchange=exchange,
        )
        with self._one_at_a_time:
            notes = self._recordings_of(question.settings).keep(record)
        return replace(answer, notes=(*answer.notes, *notes)), record

    def _delivered(self, question: Question, answer: Answer, audience: Audience) -> Answer:
        """The answer with the tables that were asked for, or the error that the cell ends in.

        A cell gets them as variables; whoever asked from code has them on the answer alone.
        """
        found = {name: named_frame(answer.artifacts, name, question.dtypes) for name in question.outputs}
        frames = {name: frame for name, frame in found.items() if not isinstance(frame, NoFrame)}
        if frames:
            answer = replace(answer, frames=frames)
            self._know(answer)
        if audience.shows and self._shell is not None:
            self._shell.user_ns.update(frames)
        absent = tuple(frame for frame in found.values() if isinstance(frame, NoFrame))
        return self._ended(answer, None, question, absent)

    def _remember(
        self, asking: Asking, footing: Footing, streamed: Streamed, collected: Collected, record: TurnRecord
    ) -> None:
        """Put the turn into its conversation. One that did not come to its end only leaves its container used."""
        connection, question = asking.connection, asking.question
        turn, parent = streamed.turn, question.place.parent
        # An answer in words alone leaves the conversation its container, with the inputs that are in it.
        stays_in = footing.container_id or (parent.container_id if parent is not None else "")
        container_ids = turn.container_ids or ((stays_in,) if stays_in else ())
        step = Step(
            prompt=question.prompt,
            turn=turn,
            service=connection.wire.identity,
            container_id=container_ids[-1] if container_ids else "",
            uploads=question.uploads,
            artifacts=collected.artifacts,
            before=parent,
            digest=record.digest,
            provider=question.settings.service,
            model=record.model,
            status=record.status,
            memory=question.settings.policy.memory,
            began=question.began,
            ended=datetime.now(UTC),
        )
        containers, ended = connection.containers, streamed.cut is None
        with self._one_at_a_time:
            containers.ran(container_ids, step if ended else None)
            containers.see(turn.container_ids, collected.listed)
            if ended:
                containers.let_go(self._take_place(question, step))
            else:
                self._talks = self._talks.with_cut(question.cell, step)
            if self._last is not None and self._last.question is question:
                self._last = replace(self._last, step=step)
        if ended and question.place.conversation is None and not collected.failed:
            # Nothing will ever go on from here.
            containers.let_go(step)

    def _take_place(self, question: Question, step: Step) -> Step | None:
        """Put a step into its conversation; gives the one that was there."""
        with self._one_at_a_time:
            replaced = self._talks.present(question.cell)
            self._talks = self._talks.with_step(question.place.conversation, question.cell, step)
        return replaced

    def _ended(
        self,
        answer: Answer,
        cut: AssistantError | None,
        question: Question,
        absent: tuple[NoFrame, ...] = (),
    ) -> Answer:
        """The answer, or the error that the cell ends in; either way everything is shown and saved by now."""
        error = cut or fault(answer, question.settings, absent)
        if error is None:
            return answer
        error.answer = answer
        self.last_error = error
        raise error

    # --- what outlives a turn -----------------------------------------------------------------------------------------

    def _visible(self) -> dict[str, Any]:
        """The user's variables, without those that are IPython's own."""
        shell = self._shell
        if shell is None:
            return {}
        hidden = set(shell.user_ns_hidden) | _IPYTHONS
        return {name: value for name, value in shell.user_ns.items() if name not in hidden}

    def _next_run(self) -> str:
        self._runs += 1
        return f"run {self._runs}"

    def _new_scratch(self) -> Path:
        """A directory for the files that are made of one cell's variables: they may be sent again, so they stay."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="ipython_assistant-"))
        return Path(tempfile.mkdtemp(dir=self._scratch))

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
        if settings.save_dir not in self._folders:
            folder = Folder(settings.notebook_dir, settings.save_dir, environment=self.environment)
            self._folders[settings.save_dir] = folder
        return self._folders[settings.save_dir]

    def _recordings_of(self, settings: Settings) -> Recordings:
        key = (settings.save_dir, settings.max_recorded_bytes)
        if key not in self._recordings:
            self._recordings[key] = Recordings(self._folder(settings), settings.max_recorded_bytes)
        return self._recordings[key]

    def _shelf(self, question: Question) -> Shelf:
        names = self._talks.names_in_use(question.cell, question.settings.save_dir)
        return Shelf(self._folder(question.settings), question.cell, names, question.written.key)


def _circumstances(record: TurnRecord, sandbox: str) -> dict[str, str]:
    """What may differ between two runs of one recording: for an output's metadata."""
    return {"service": record.service, "model": record.model, "sandbox": sandbox}


def _with(bundle: Bundle, **more: str) -> Bundle:
    return Bundle(bundle.data, {**bundle.metadata, KEY: {**bundle.metadata[KEY], **more}})
