"""Where a turn and its files come from: a live service, or a recording.

Both have the same methods, in the order in which `turn_run.run_turn` calls them: `receive` the turn with its files,
`keep` the record, `place` the turn in its conversation, `release` containers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from ipython_assistant.collect_files import collect
from ipython_assistant.core.artifacts import TurnFiles
from ipython_assistant.core.conversation import PlacedTurn
from ipython_assistant.core.fold import TurnFold
from ipython_assistant.core.recording import RecordedFile, RecordedInput, Recording, stamp, turn_digest
from ipython_assistant.core.redaction import redacted_turn, secrets_in
from ipython_assistant.core.turn import without_pictures
from ipython_assistant.display.live import DOING, LARGE_BYTES, transfer_in_words
from ipython_assistant.errors import AssistantError, Interrupted, ModelUnknown, Refused, TurnNotKept
from ipython_assistant.service.downloads import Downloads
from ipython_assistant.service.stream import EventStream, broken
from ipython_assistant.service.turn_base import TurnBase, check_kept, lost_base
from ipython_assistant.who_answers import unknown_model

if TYPE_CHECKING:
    import threading
    from typing import Any

    from ipython_assistant.answer import Answer
    from ipython_assistant.core.turn import Json, Turn
    from ipython_assistant.display.live import LiveOutput
    from ipython_assistant.question import Question
    from ipython_assistant.service.client import Reply
    from ipython_assistant.service.connection import Connection
    from ipython_assistant.session import Session


@dataclass(frozen=True, slots=True)
class Arrival:
    """A turn as it arrived, with its files and notes for the reader.

    `error` is what cut its stream, if anything did, and `files_error` what cut the fetching of its files.
    """

    turn: Turn
    error: AssistantError | None = None
    notes: tuple[str, ...] = ()
    files: TurnFiles = field(default_factory=TurnFiles)
    files_error: AssistantError | None = None


@dataclass(eq=False)
class ServiceSource:
    """A live service: it is asked, and the files come out of its containers.

    Given the `turn`, only its files are fetched; `cure` is what to say if some are missing.
    """

    is_replay = False

    session: Session
    question: Question
    turn: Turn | None = None
    connected: Connection | None = None
    cure: str = ""
    _record: Recording | None = None
    _placed: PlacedTurn | None = None
    _to_delete: tuple[PlacedTurn, ...] = ()

    def __post_init__(self) -> None:
        self._arrival = Arrival(self.turn) if self.turn is not None else None
        self._is_here = self.turn is not None
        self._base = TurnBase()

    @property
    def connection(self) -> Connection:
        """The connection, made when it is first needed. Raises an `AssistantError`."""
        if self.connected is None or not self.connected.usable:
            self.connected = self.session.connect(self.question.settings)
        return self.connected

    @property
    def lacks_files(self) -> bool:
        """Whether files are missing, or may be: then this source can be run again to fetch them."""
        it = self._arrival
        return it is not None and bool(it.error or it.files.failed or (it.turn.container_ids and not it.files.listed))

    def receive(self, live: LiveOutput, stop: threading.Event) -> Arrival:
        """Ask where it is still to be asked, and fetch the files; one that cannot be fetched is a value.

        `stop` is set from outside to end the turn. Raises an `AssistantError` where nothing came.
        """
        self._is_here, self._stop = self._arrival is not None, stop
        if self._arrival is None:
            self.question = replace(self.question, settings=self.session.with_answerer(self.question.settings))
            self.question.check_assistant()
            self.question.check_size()
            self.session.check_max_cost(self.question)
            if stop.is_set():
                raise KeyboardInterrupt
            live.update("", "connecting")
        elif not self._arrival.turn.container_ids:
            return self._arrival  # without files to fetch, no connection is needed
        settings, connection = self.question.settings, self.connection
        folder = self.session.folder(settings)
        self._downloads = Downloads(
            connection.wire,
            connection.containers,
            folder.stage,
            at_once=settings.downloads,
            timeout_s=settings.files_timeout_s,
            ahead_bytes=settings.prefetch_bytes,
        )
        try:
            with self._downloads:
                self._arrival = self._arrival or self._ask(live)
                self._arrival = self._with_files(self._arrival, live)
        finally:
            if self._downloads.staged is not None:
                folder.unstage(self._downloads.staged)
        return self._arrival

    def _with_files(self, arrival: Arrival, live: LiveOutput) -> Arrival:
        question, containers = self.question, self.connection.containers
        folder = self.session.folder(question.settings)
        containers.unmark_saved(arrival.files.listed)
        files = collect(
            containers,
            self._downloads,
            arrival.turn,
            partial(folder.save, cell=question.cell, turn=arrival.turn.response_id, key=question.turn_key.sha256),
            lambda *counts: live.update(None, transfer_in_words("fetching", *counts)),
            have=arrival.files.artifacts,
        )
        cure = (self.cure,) if files.failed and self.cure else ()
        sandbox = self.connection.sandbox_note() if arrival.turn.calls else ()
        files = replace(files, notes=(*cure, *files.notes, *sandbox))
        return replace(arrival, files=files, files_error=self._downloads.interruption)

    def _ask(self, live: LiveOutput) -> Arrival:
        """Ask, and once more if the container or the conversation is gone."""
        if self.question.inputs:
            live.update("", self.question.sending())

        def sent(done: int, total: int, moved: int, expected: int) -> None:
            if expected > LARGE_BYTES:
                live.update("", transfer_in_words("sending", done, total, moved, expected))

        bases, needs = self.connection.bases, replace(self.question.needs, on_progress=sent)
        self._base = bases.find(needs)
        while True:
            try:
                arrival = self._stream(live)
                break
            except Refused as error:
                # The container or the conversation is gone: one other way for each.
                self._base = bases.instead(needs, self._base, error)
        # What is left below the cell is what a replay shows: without what a recording must not hold.
        settings = self.question.settings
        redact = self.session.folder(settings).secrets.redactor().with_secrets(secrets_in(settings.tools))
        by = f"Answered by {settings.answerer}." if settings.answerer else ""
        notes = tuple(note for note in (self.question.unseen, *self._base.notes, by) if note)
        return replace(arrival, turn=redacted_turn(arrival.turn, redact), notes=notes)

    def _stream(self, live: LiveOutput) -> Arrival:
        request = self.question.request(self._base)
        connection = self.connection  # this one must say what ended the answer: the next one would be a new engine
        try:
            reply = connection.wire.respond(
                request, lambda seconds: live.update("", f"waiting {ceil(seconds)} s before the next try")
            )
        except ModelUnknown as error:
            raise unknown_model(error, self.question.settings, connection.model_names()) from error
        except AssistantError as error:
            if (explained := connection.explain(error)) is not error:
                raise explained from error
            raise
        arrival = self._fold(reply, request, live)
        if isinstance(arrival.error, TurnNotKept):
            raise arrival.error
        if (lost := lost_base(arrival.turn, self.question.settings.service)) is not None:
            raise lost
        return replace(arrival, error=arrival.error and connection.explain(arrival.error))

    def _fold(self, reply: Reply, request: Json, live: LiveOutput) -> Arrival:
        """Fold the answer into a turn as it arrives, event by event, and show it on the way."""
        fold, events = TurnFold(), EventStream(reply)
        error: AssistantError | None = None
        try:
            for event in events:
                if self._stop.is_set():
                    raise KeyboardInterrupt  # noqa: TRY301 as Ctrl-C would
                if event is None:
                    live.tick()
                    continue
                check_kept(request, event)
                if fold.feed(event):
                    live.update(lambda: fold.turn.text, DOING.get(event["type"]))
                    if event["type"] == "response.code_interpreter_call.completed":
                        self._downloads.code_ended(fold.container_of(event))
        except KeyboardInterrupt:
            error = Interrupted("The cell was interrupted.", "What had arrived is above; its files are saved.")
        except AssistantError as cut:
            error = cut
        except Exception as cut:  # noqa: BLE001 whatever is odd about an answer, what arrived of it is shown and saved
            error = broken(f"because it could not be read ({type(cut).__name__}: {cut})")
            error.__cause__ = cut
        finally:
            events.close()
        return Arrival(fold.turn, error)

    def keep(self, answer: Answer) -> tuple[str, ...]:
        """Record the answer beside its files; gives notes for the reader."""
        question, key = self.question, self.question.turn_key.sha256
        inputs = sorted(question.inputs, key=lambda it: it.name)
        self._record = Recording(
            asked=question.turn_key,
            turn=without_pictures(answer.turn),
            cell=question.cell,
            service=question.settings.service,
            model=answer.turn.model or question.settings.model,
            status=answer.status,
            began=stamp(question.began),
            ended=stamp(datetime.now(UTC)),
            inputs=tuple(
                RecordedInput(it.name, it.size, it.sha256, it.description, it.logical or it.sha256) for it in inputs
            ),
            files=tuple(
                RecordedFile(
                    *(it.name, it.own_name, it.size, it.sha256, it.container_id, it.file_id, it.found),
                    repeated=it.name in answer.repeated,
                )
                for it in answer.artifacts
            ),
            missing=answer.failed,
            notes=answer.notes,
            key=key,
            digest=turn_digest(key, answer.turn, answer.artifacts),
        )
        return self.session.recordings(question.settings).keep(self._record)

    def metadata(self) -> dict[str, str]:
        """The metadata that may differ between two runs of one recording."""
        settings = self.question.settings
        if self._record is None or self._is_here:
            return {}
        by = {"service": self._record.service, "model": self._record.model, "sandbox": self.connection.sandbox}
        return by | ({"shared": settings.shared} if settings.answerer else {})

    def place(self, arrival: Arrival, answer: Answer) -> None:
        """Put the turn into its conversation; one that was cut only leaves its container used."""
        question, turn, parent = self.question, arrival.turn, self.question.parent
        assert self._record is not None  # noqa: S101 for the type checker: `keep` comes first
        if self._is_here:
            if (before := self._placed) is not None:
                # It stays in its place, with the files that are here now.
                files, now = answer.artifacts, datetime.now(UTC)
                self._placed = replace(before, artifacts=files, digest=self._record.digest, ended=now)
                self.session.amend(before, self._placed)
                self.connection.containers.mark_saved(turn.container_ids, arrival.files.listed)
            return
        # An answer in words alone leaves the conversation its container, with the inputs that are in it.
        stays_in = self._base.container_id or (parent.container_id if parent is not None else "")
        container_ids = turn.container_ids or ((stays_in,) if stays_in else ())
        placed = self._placed = _placed(
            question,
            answer,
            self._record,
            service=self.connection.wire.identity,
            container_id=container_ids[-1] if container_ids else "",
            memory=question.settings.policy.memory,
            ended=datetime.now(UTC),
        )
        # A turn that the service gave up is no turn to continue from; it left behind no more than its own calls did.
        ended, containers = arrival.error is None and not turn.failed, self.connection.containers
        containers.mark_ran(turn.container_ids if turn.failed else container_ids, placed if ended else None)
        containers.mark_saved(turn.container_ids, arrival.files.listed)
        replaced = self.session.place(question, placed, cut=not ended)
        # A turn outside every conversation is never continued, so its container is of use only to `retry`.
        alone = ended and question.conversation is None and not arrival.files.failed
        self._to_delete = tuple(each for each in (replaced, placed if alone else None) if each is not None)

    def release(self) -> None:
        """Delete the containers that no turn needs any more."""
        for turn in self._to_delete:
            self.connection.containers.delete_if_unused(turn)


@dataclass(eq=False)
class RecordingSource:
    """A recording: everything above the bytes is the same code as for a service."""

    is_replay = True
    lacks_files = False
    """Nothing can be fetched again: the containers of a recorded turn are gone."""

    session: Session
    question: Question
    recording: Recording
    _replaced: PlacedTurn | None = None

    def receive(self, live: LiveOutput, stop: threading.Event) -> Arrival:  # noqa: ARG002 there is nothing to wait for
        """The recorded turn, and its files where they were. Raises `RecordingDamaged` before anything is shown."""
        files = self.session.recordings(self.question.settings).restore(self.recording, self.question.cell)
        return Arrival(self.recording.turn, notes=self.recording.notes, files=files)

    def keep(self, answer: Answer) -> tuple[str, ...]:  # noqa: ARG002 it is recorded already
        """Nothing to record."""
        return ()

    def metadata(self) -> dict[str, str]:
        """The metadata that may differ between two runs of one recording."""
        it = self.recording
        return {"service": it.service, "model": it.model, "sandbox": "recorded", "recorded": it.ended}

    def place(self, arrival: Arrival, answer: Answer) -> None:  # noqa: ARG002 see ServiceSource
        """Put the turn into its conversation."""
        record = self.recording
        service, ended = f"recording of {record.ended}", datetime.fromisoformat(record.ended)
        placed = _placed(self.question, answer, record, service=service, replayed=True, ended=ended)
        self._replaced = self.session.place(self.question, placed)

    def release(self) -> None:
        """Delete the container of the turn that this one replaces."""
        for connection in self.session.connections:
            connection.containers.delete_if_unused(self._replaced)


TurnSource = ServiceSource | RecordingSource


def _placed(question: Question, answer: Answer, record: Recording, **more: Any) -> PlacedTurn:
    return PlacedTurn(
        prompt=question.prompt,
        turn=answer.turn,
        uploads=question.uploads,
        artifacts=answer.artifacts,
        before=question.parent,
        status=answer.status,
        began=question.began,
        digest=record.digest,
        provider=record.service,
        model=record.model,
        **more,
    )
