"""Where a turn and its files come from: a live service, or a recording.

Both have the same methods, in the order in which `turn_run.run_turn` calls them: `receive` the turn with its files,
`keep` it in the recordings and in its conversation, `release` containers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from math import ceil
from threading import Event, Thread
from typing import TYPE_CHECKING

from ipython_assistant.collect_files import collect
from ipython_assistant.core.artifacts import TurnFiles
from ipython_assistant.core.conversation import PlacedTurn
from ipython_assistant.core.fold import TurnFold
from ipython_assistant.core.named_secrets import secrets_in
from ipython_assistant.core.recording import RecordedFile, RecordedInput, Recording, sha256_of
from ipython_assistant.core.redaction import redacted_turn
from ipython_assistant.core.turn import without_code_outputs
from ipython_assistant.core.wording import DOING, PERCENT_FROM_BYTES, transfer_in_words
from ipython_assistant.display.live import front_end
from ipython_assistant.errors import AssistantError, Interrupted, ModelUnknown, Refused, TurnNotKept
from ipython_assistant.service.downloads import Downloads
from ipython_assistant.service.stream import EventStream, broken
from ipython_assistant.service.turn_base import TurnBase, check_kept, lost_base
from ipython_assistant.who_answers import check_max_cost, unknown_model

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ipython_assistant.answer import Answer
    from ipython_assistant.core.artifacts import Artifact
    from ipython_assistant.core.turn import Turn
    from ipython_assistant.display.live import LiveOutput
    from ipython_assistant.question import Question
    from ipython_assistant.service.connection import Connection
    from ipython_assistant.session import Session


@dataclass(frozen=True, slots=True)
class Arrival:
    """A turn as it arrived; `error` is what cut its stream, and `files_error` what cut the fetching of its files."""

    turn: Turn
    error: AssistantError | None = None
    notes: tuple[str, ...] = ()
    files: TurnFiles = field(default_factory=TurnFiles)
    files_error: AssistantError | None = None


@dataclass(eq=False)
class _AnySource:
    """What both sources do with the turn of a question."""

    session: Session
    question: Question
    metadata: dict[str, str] = field(default_factory=dict, init=False)
    """What may differ between two runs of one recording."""
    lacks_files: bool = field(default=False, init=False)
    """Whether files are missing, or may be: then the source can be run again to fetch them."""
    _to_delete: tuple[PlacedTurn | None, ...] = field(default=(), init=False)

    def release(self) -> None:
        """Delete the containers that no turn needs any more."""
        for connection in self.session.connections:
            for turn in self._to_delete:
                connection.containers.delete_if_unused(turn)

    def _placed(self, answer: Answer, record: Recording, **more: Any) -> PlacedTurn:
        question = self.question
        return PlacedTurn(
            prompt=question.prompt,
            turn=without_code_outputs(answer.turn),
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


@dataclass(eq=False)
class RecordingSource(_AnySource):
    """Answers from a recording: gives the recorded turn, and puts back those of its files that are missing."""

    recording: Recording

    def receive(self, live: LiveOutput, stop: Event) -> Arrival:  # noqa: ARG002 there is nothing to wait for
        """The recorded turn, and its files where they were. Raises `RecordingDamaged` before anything is shown."""
        files = self.session.recordings(self.question.settings).restore(self.recording, self.question.cell)
        return Arrival(self.recording.turn, notes=self.recording.notes, files=files)

    def keep(self, arrival: Arrival, answer: Answer) -> tuple[str, ...]:  # noqa: ARG002 see ServiceSource
        """Put the turn into its conversation; it is recorded already."""
        it = self.recording
        self.metadata = {"service": it.service, "model": it.model, "sandbox": "recorded", "recorded": it.ended}
        ended = datetime.fromisoformat(it.ended)
        placed = self._placed(answer, it, service=f"recording of {it.ended}", replayed=True, ended=ended)
        self._to_delete = (self.session.place(self.question, placed),)
        return ()


@dataclass(eq=False)
class ServiceSource(_AnySource):
    """A live service, or only the files of a turn that is here already; `cure` is what to say if some are missing."""

    arrival: Arrival | None = None
    connected: Connection | None = None
    cure: str = ""
    _base = TurnBase()
    _present: PlacedTurn | None = None

    @property
    def connection(self) -> Connection:
        """The connection, made when it is first needed. Raises an `AssistantError`."""
        if self.connected is None or not self.connected.usable:
            self.connected = self.session.connect(self.question.settings)
        return self.connected

    def receive(self, live: LiveOutput, stop: Event) -> Arrival:
        """Ask where it is still to be asked, and fetch the files, until `stop` is set. Raises an AssistantError."""
        self._was_here, self._live, self._stop = self.arrival is not None, live, stop
        if self.arrival is None:
            self.question = replace(self.question, settings=self.session.with_answerer(self.question.settings))
            self.question.check()
            check_max_cost(self.question, self.session.recordings(self.question.settings))
            if stop.is_set():
                raise KeyboardInterrupt
            live.update("", "connecting")
        elif not self.arrival.turn.container_ids:
            return self.arrival  # without files to fetch, no connection is needed
        traits, connection = self.question.settings.traits, self.connection
        # What the code's colours and the row of buttons need is imported while the service works.
        buttons = ["ipython_assistant.display.buttons"] if front_end(self.session.shell).live else []
        Thread(target=list, args=[map(import_module, ["pygments.lexers.python", *buttons])], daemon=True).start()
        folder = self.session.recordings(self.question.settings).folder
        limits = {"at_once": traits.downloads, "timeout_s": traits.files_timeout, "ahead_bytes": traits.prefetch_bytes}
        self._downloads = Downloads(connection.wire, connection.containers, folder.stage, **limits)
        try:
            with self._downloads:
                self.arrival = self.arrival or self._ask(connection)
                self.arrival = self._with_files(self.arrival)
        finally:
            if self._downloads.staged is not None:
                folder.unstage(self._downloads.staged)
        it = self.arrival
        self.lacks_files = bool(it.error or it.files.failed or (it.turn.container_ids and not it.files.listed))
        return it

    def _ask(self, connection: Connection) -> Arrival:
        """Ask, and once more where the container or the conversation is gone."""
        live, arrival = self._live, None
        if self.question.inputs:
            live.update("", self.question.sending())

        def sent(done: int, total: int, moved: int, expected: int) -> None:
            if expected > PERCENT_FROM_BYTES:
                live.update("", transfer_in_words("sending", done, total, moved, expected))

        needs = replace(self.question.needs, on_progress=sent)
        self._base = connection.bases.find(needs)
        settings = self.question.settings
        redact = self.session.recordings(settings).folder.secrets.redactor().with_secrets(secrets_in(settings.tools))
        while arrival is None:
            try:
                arrival = self._stream(connection)
            except ModelUnknown as error:
                raise unknown_model(error, settings, connection.model_names()) from error
            except Refused as error:
                self._base = connection.bases.instead(needs, self._base, error)
            except AssistantError as error:
                if (explained := connection.explain(error)) is not error:
                    raise explained from error
                raise
        # What is left below the cell is what a replay shows: without what a recording must not hold.
        verb = "" if arrival.error or arrival.turn.failed else "Refused" if arrival.turn.refused else "Answered"
        by = f"{verb} by {settings.answerer}." if verb and settings.answerer else ""
        notes = tuple(note for note in (self.question.unseen, *self._base.notes, by) if note)
        return replace(arrival, turn=redacted_turn(arrival.turn, redact), notes=notes)

    def _stream(self, connection: Connection) -> Arrival:
        """Fold the answer into a turn as it arrives, event by event, and show it on the way."""
        live, request, fold = self._live, self.question.request(self._base), TurnFold()
        error: AssistantError | None = None
        waiting = "waiting {} s before the next try"
        events = EventStream(connection.wire.respond(request, lambda s: live.update("", waiting.format(ceil(s)))))
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
        lost = error if isinstance(error, TurnNotKept) else lost_base(fold.turn, self.question.settings.service)
        if lost is not None:
            raise lost
        return Arrival(fold.turn, error and connection.explain(error))

    def _with_files(self, arrival: Arrival) -> Arrival:
        question, containers, turn = self.question, self.connection.containers, arrival.turn
        folder = self.session.recordings(question.settings).folder
        for container_id in turn.container_ids:
            containers.known(container_id).saved.difference_update(arrival.files.listed)
        files = collect(
            containers,
            self._downloads,
            turn,
            partial(folder.save, cell=question.cell, turn=turn.response_id, key=question.turn_key.sha256),
            lambda *counts: self._live.update(None, transfer_in_words("fetching", *counts)),
            take_back=partial(folder.take_back, turn=turn.response_id),
            have=arrival.files.artifacts,
        )
        cure = (self.cure,) if files.failed and self.cure else ()
        sandbox = self.connection.sandbox_note() if turn.calls else ()
        files = replace(files, notes=(*cure, *files.notes, *sandbox))
        return replace(arrival, files=files, files_error=self._downloads.interruption)

    def keep(self, arrival: Arrival, answer: Answer) -> tuple[str, ...]:
        """Record the answer beside its files, and put the turn into its conversation."""
        question, key = self.question, self.question.turn_key.sha256
        inputs = [
            RecordedInput(it.name, it.size, it.sha256, it.description, it.logical or it.sha256)
            for it in sorted(question.inputs, key=lambda it: it.name)
        ]
        same = ("name", "own_name", "size", "sha256", "container_id", "file_id", "found")
        files = [
            RecordedFile(**{field: getattr(file, field) for field in same}, repeated=file.name in answer.repeated)
            for file in answer.artifacts
        ]
        record = Recording(
            asked=question.turn_key,
            turn=answer.turn,
            cell=question.cell,
            service=question.settings.service,
            model=answer.turn.model or question.settings.model,
            status=answer.status,
            began=stamp(question.began),
            ended=stamp(datetime.now(UTC)),
            inputs=tuple(inputs),
            files=tuple(files),
            missing=answer.failed,
            notes=answer.notes,
            key=key,
            digest=turn_digest(key, answer.turn, answer.artifacts),
        )
        notes = self.session.recordings(question.settings).keep(record)
        if not self._was_here:
            self._place(arrival, answer, record)
        elif (before := self._present) is not None:
            # It stays in its place, with the files that are here now.
            now = datetime.now(UTC)
            self._present = replace(before, artifacts=answer.artifacts, digest=record.digest, ended=now)
            self.session.amend(before, self._present)
            self.connection.containers.mark_saved(arrival.turn.container_ids, arrival.files.listed)
        return notes

    def _place(self, arrival: Arrival, answer: Answer, record: Recording) -> None:
        """Put the turn into its conversation; of a turn that was cut off, only note the cost and the used container."""
        question, turn, parent = self.question, arrival.turn, self.question.parent
        self.metadata = {"service": record.service, "model": record.model, "sandbox": self.connection.sandbox}
        if question.settings.answerer:
            self.metadata["shared"] = question.settings.shared
        # An answer in words alone leaves the conversation its container, with the inputs that are in it.
        stays_in = self._base.container_id or (parent.container_id if parent is not None else "")
        container_ids = turn.container_ids or ((stays_in,) if stays_in else ())
        placed = self._present = self._placed(
            answer,
            record,
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
        self._to_delete = (replaced, placed if alone else None)


def turn_digest(key: str, turn: Turn, artifacts: Iterable[Artifact]) -> str:
    """The digest of a question with its whole answer, which the keys of later turns include. Empty without a key."""
    hashes = sorted(artifact.sha256 for artifact in artifacts)
    return sha256_of([key, turn.text, [call.code for call in turn.calls], hashes]) if key else ""


def stamp(moment: datetime) -> str:
    """A moment as recordings write it: UTC, to the millisecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


TurnSource = ServiceSource | RecordingSource
