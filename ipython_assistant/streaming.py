"""A question on its way: asked, and its answer taken in event by event, into a turn and onto the page.

The same for a service and for a recording: both are a reply whose bytes are events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipython_assistant.core.fold import TurnFold
from ipython_assistant.display.activity import Fetching
from ipython_assistant.errors import AssistantError, ContainerExpired, Interrupted, TurnNotKept
from ipython_assistant.service.containers import RENEWED, TOLD_AGAIN, Footing
from ipython_assistant.service.replay import Recorder
from ipython_assistant.service.stream import EventStream, broken

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from ipython_assistant.core.recording import Exchange
    from ipython_assistant.core.turn import Json, Turn
    from ipython_assistant.display.live import LiveOutput
    from ipython_assistant.question import Question
    from ipython_assistant.service.connection import Connection
    from ipython_assistant.service.downloads import Downloads
    from ipython_assistant.service.wire import Reply

_DOING = {
    "response.created": "thinking",
    "response.in_progress": "thinking",
    "response.output_text.delta": "writing",
    "response.refusal.delta": "writing",
    "response.code_interpreter_call.in_progress": "writing code",
    "response.code_interpreter_call_code.delta": "writing code",
    "response.code_interpreter_call.interpreting": "running code",
    "response.code_interpreter_call.completed": "thinking",
    "response.web_search_call.searching": "searching the web",
    "response.file_search_call.searching": "searching files",
}


@dataclass(frozen=True, slots=True)
class Streamed:
    """A turn, and what ended its stream if that was not its end."""

    turn: Turn
    cut: AssistantError | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """A question on its way, and who takes part."""

    question: Question
    connection: Connection
    downloads: Downloads
    live: LiveOutput
    stopped: threading.Event | None
    why: str = ""

    def ask(self) -> tuple[Streamed, Footing, Exchange]:
        """Ask; once more if the container or the conversation is no longer there.

        Raises:
            Interrupted: By Ctrl-C, before the answer began.
        """
        try:
            return self._ask()
        except KeyboardInterrupt:
            raise before_an_answer() from None

    def _ask(self) -> tuple[Streamed, Footing, Exchange]:
        containers, ground = self.connection.containers, self.question.ground
        recorder = Recorder(self.connection.wire)
        footing = containers.footing(ground)
        try:
            streamed = self._stream(recorder, self.question.request(footing))
        except (ContainerExpired, TurnNotKept) as error:
            if ground.container_id is not None and isinstance(error, ContainerExpired):
                raise
            footing = containers.fresh_footing(ground, (_again(error),))
            streamed = self._stream(recorder, self.question.request(footing))
        return streamed, footing, recorder.exchange

    def _stream(self, recorder: Recorder, request: Json) -> Streamed:
        try:
            reply = recorder.respond(request)
        except AssistantError as error:
            explained = self.connection.explain(error)
            if explained is error:
                raise
            raise explained from error
        streamed = fold_reply(
            reply,
            self.live,
            self.stopped,
            hear=recorder.hear,
            code_ended=self.downloads.code_ended,
            before=self.why,
        )
        if streamed.cut is not None and not isinstance(streamed.cut, Interrupted):
            return replace(streamed, cut=self.connection.explain(streamed.cut))
        return streamed


def before_an_answer() -> Interrupted:
    """The error for Ctrl-C while nothing had been answered."""
    return Interrupted("The cell was interrupted before an answer came.", "Run it again to ask.")


def _again(error: AssistantError) -> str:
    return RENEWED if isinstance(error, ContainerExpired) else TOLD_AGAIN


def fold_reply(
    reply: Reply,
    live: LiveOutput,
    stopped: threading.Event | None = None,
    *,
    hear: Callable[[Json], None] = lambda _event: None,
    code_ended: Callable[[str], None] = lambda _container_id: None,
    before: str = "",
) -> Streamed:
    """An answer as it comes, event by event, into a turn; `before` is shown as long as it has no text."""
    fold = TurnFold()
    cut: AssistantError | None = None
    interrupt = Interrupted("The cell was interrupted.", "What had arrived is above; its files are saved.")
    events = EventStream(reply)
    try:
        for event in events:
            if stopped is not None and stopped.is_set():
                cut = interrupt
                break
            if event is None:
                live.tick()
                continue
            hear(event)
            if fold.feed(event):
                live.update(lambda: fold.turn.text or before, _DOING.get(event["type"]))
                if event["type"] == "response.code_interpreter_call.completed":
                    code_ended(fold.container_of(event))
    except KeyboardInterrupt:
        cut = interrupt
    except AssistantError as error:
        cut = error
    except Exception as error:  # noqa: BLE001 whatever is odd about an answer, what arrived of it is shown and saved
        cut = broken(f"because it could not be read ({type(error).__name__}: {error})")
        cut.__cause__ = error
    finally:
        events.close()
    return Streamed(fold.turn, cut)


def progress(live: LiveOutput | None) -> Callable[[int, int, int], None]:
    """What `collection.collect` calls as files come: the words for it go to the live output, where there is one."""
    words = Fetching()

    def show(done: int, total: int, received: int) -> None:
        if live is not None:
            live.update(None, words(done, total, received))

    return show
