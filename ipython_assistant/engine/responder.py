"""Answers one question: decide → run → speak.

The model decides, the container runs, the output speaks; this module joins them. It yields the events of the
Responses API as dicts and knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipython_assistant.engine import errors, parameters, wire
from ipython_assistant.engine.models import (
    WISHES,
    Ask,
    ChatMessage,
    EndEarly,
    ModelFailed,
    Refuse,
    Run,
    RunOutcome,
    Say,
    Talker,
    TokensUsed,
    Write,
)
from ipython_assistant.engine.output import Output
from ipython_assistant.engine.parameters import Auto, Explicit
from ipython_assistant.engine.showing import Figure
from ipython_assistant.engine.transcripts import Transcript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ipython_assistant.engine.containers import CodeRun, Container, Containers
    from ipython_assistant.engine.models import Model, Step
    from ipython_assistant.engine.parameters import Question
    from ipython_assistant.engine.transcripts import Transcripts
    from ipython_assistant.engine.uploads import Uploads
    from ipython_assistant.engine.wire import Event, Json

NO_INTERPRETER = (
    "This engine answers by running code, and the request gives it no code interpreter. "
    'Add `{"type": "code_interpreter", "container": {"type": "auto"}}` to `tools`.'
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A question that will be answered: everything it refers to exists.

    Args:
        question: As it was asked.
        model: Who decides.
        container: Where code runs, if it may.
        previous: What it continues from, by `previous_response_id`.
        response: The response as it begins.
    """

    question: Question
    model: Model
    container: Container | None
    previous: Transcript | None
    response: Json

    @property
    def conversation(self) -> tuple[ChatMessage, ...]:
        """What was said before, and what is said now."""
        return (self.previous.said if self.previous is not None else ()) + self.question.messages

    def ask(self, files: tuple[str, ...] = (), new: tuple[str, ...] = (), made: tuple[str, ...] = ()) -> Ask:
        """The question as a model is asked it."""
        conversation = self.conversation
        place, prompt = parameters.prompted(conversation)
        return Ask(
            prompt=prompt,
            files=files,
            new=new,
            made=made,
            history=tuple(message for index, message in enumerate(conversation) if index != place),
            enclosed=self.question.enclosed,
            unread=() if self.container else (*(one.name for one in self.question.enclosed), *self.question.file_ids),
            instructions=self.question.instructions,
            wishes=_wishes(self.question),
        )


class Responder:
    """Answers questions in containers.

    Args:
        models: Name → model.
        containers: Where code runs.
        uploads: Files that questions may name.
        transcripts: Where finished responses are kept.
        mint: Makes ids.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        models: Mapping[str, Model],
        containers: Containers,
        uploads: Uploads,
        transcripts: Transcripts,
        mint: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._models = models
        self._containers = containers
        self._uploads = uploads
        self._transcripts = transcripts
        self._mint = mint
        self._clock = clock
        self._at_work = 0
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def finish(self, within_s: float, hurry: asyncio.Event) -> None:
        """Take no more questions, and let those that are being answered come to their end, if it is near.

        Args:
            within_s: How long to wait for them.
            hurry: When it is set, they are waited for no longer.
        """
        self._closing = True
        waiting = [asyncio.create_task(event.wait()) for event in (self._idle, hurry)]
        await asyncio.wait(waiting, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def accept(self, question: Question) -> Accepted:
        """Find everything the question refers to, and make its container if it needs one.

        Raises:
            ApiError: Something it refers to does not exist, or the container is expired.
        """
        if self._closing:
            raise errors.stopping()
        model = self._models.get(question.model)
        if model is None:
            raise errors.model_not_found(question.model, tuple(self._models))
        previous = None
        if question.previous_response_id is not None:
            previous = self._transcripts.find(question.previous_response_id)
            if previous is None:
                raise errors.previous_response_not_found(question.previous_response_id)
        container = await self._container(question, previous)
        response = wire.response(
            response_id=self._mint("resp_"),
            created_at=int(self._clock()),
            echo=question.echo,
            previous_response_id=question.previous_response_id,
            store=question.store,
        )
        return Accepted(question, model, container, previous, response)

    async def respond(self, accepted: Accepted) -> AsyncGenerator[Event, None]:
        """Answer, as events numbered from 0. Closing the iterator, or cancelling, interrupts running code.

        An exception of the model, or of this engine, ends the stream with `error` and `response.failed`.
        """
        question = accepted.question
        self._at_work += 1
        self._idle.clear()
        output = Output(accepted.response, include_outputs=question.include_outputs, mint=self._mint)
        number = 0
        try:
            async with aclosing(self._events(accepted, output)) as events:
                async for event in events:
                    yield event | {"sequence_number": number}
                    number += 1
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._idle.set()

    async def _events(self, accepted: Accepted, output: Output) -> AsyncGenerator[Event, None]:
        for event in output.begin():
            yield event
        try:
            async with aclosing(self._steps(accepted, output)) as events:
                async for event in events:
                    yield event
        except ModelFailed as error:
            ending = [*output.end_code(), *output.end_message({}, last=True)]
            ending += output.fail("server_error", str(error))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the client is told and the log has it
            _log.exception("A response failed")
            ending = output.fail("server_error", f"The engine failed: {type(error).__name__}: {error}")
        else:
            cut = output.cut_short
            ending = output.complete(int(self._clock())) if cut is None else output.incomplete(cut)
        self._store(accepted, output)
        for event in ending:
            yield event

    async def _steps(self, accepted: Accepted, output: Output) -> AsyncGenerator[Event, None]:
        container = accepted.container
        if container is None:
            async with aclosing(self._talk(accepted, output)) as events_of_talk:
                async for event in events_of_talk:
                    yield event
            return
        async with container.turn:
            files = container.names()
            new = tuple(name for name in files if name not in container.seen)
            ask = accepted.ask(files, new, tuple(container.linkable()))
            outcome: RunOutcome | None = None
            async with aclosing(accepted.model.answer(ask, container)) as steps:
                while (step := await _next(steps, outcome)) is not None:
                    outcome = None
                    if isinstance(step, Run):
                        opening = output.end_message(container.linkable(), last=False)
                        for event in opening + output.run(step.code, container.id):
                            yield event
                        done = await container.run(step.code)
                        outcome, events = _ran(done), output.ran(done)
                    else:
                        events = _told(step, output, container)
                    for event in events:
                        yield event
            for event in output.end_message(container.linkable(), last=True):
                yield event
            container.seen = frozenset(container.names())
            container.touch()

    async def _talk(self, accepted: Accepted, output: Output) -> AsyncGenerator[Event, None]:
        """Answer without a container, if the model can."""
        model = accepted.model
        if not isinstance(model, Talker):
            for event in output.refuse(NO_INTERPRETER):
                yield event
            return
        async with aclosing(model.talk(accepted.ask())) as steps:
            async for step in steps:
                for event in _told(step, output, None):
                    yield event
        for event in output.end_message({}, last=True):
            yield event

    async def _container(self, question: Question, previous: Transcript | None) -> Container | None:
        known = question.replayed_container_id or (previous.container_id if previous else None)
        files, memory = question.file_ids, ""
        if isinstance(question.container, Auto):
            files, memory = question.container.file_ids + files, question.container.memory
        uploads = [self._uploads.get(file_id) for file_id in files]
        if question.container is None:
            return None
        if isinstance(question.container, Explicit):
            container = self._containers.live(question.container.container_id)
        elif known is not None:
            container = self._containers.live(known)
        else:
            container = await self._containers.create(uploads=uploads, memory=memory)
        await container.provide(uploads)
        for enclosed in question.enclosed:
            container.enclose(enclosed.content, enclosed.name)
        container.touch()
        return container

    def _store(self, accepted: Accepted, output: Output) -> None:
        question = accepted.question
        if not question.store:
            return
        container_id = accepted.container.id if accepted.container else None
        told = (*question.messages, ChatMessage("assistant", output.text))
        self._transcripts.put(output.response, Transcript(told, container_id, accepted.previous))


async def _next(steps: AsyncGenerator[Step, RunOutcome | None], outcome: RunOutcome | None) -> Step | None:
    try:
        return await steps.asend(outcome)
    except StopAsyncIteration:
        return None


def _told(step: Step, output: Output, container: Container | None) -> list[Event]:
    """The events of a step that runs nothing; without a container there is nothing to cite and no code."""
    match step:
        case Say(text):
            return output.say(text)
        case Refuse(text):
            return output.end_message(container.linkable() if container else {}, last=False) + output.refuse(text)
        case Write(code):
            if container is None:
                return []
            return output.end_message(container.linkable(), last=False) + output.write(code, container.id)
        case TokensUsed():
            output.spend(step)
            return []
        case EndEarly(reason):
            output.cut_short = reason
            return output.end_code()
        case Run():
            return []


def _wishes(question: Question) -> dict[str, Any]:
    return {wish: question.echo[wish] for wish in WISHES if question.echo.get(wish) is not None}


def _ran(done: CodeRun) -> RunOutcome:
    return RunOutcome(
        logs=done.logs,
        error=None if done.failure is None else str(done.failure),
        figures=len(done.figures),
        files=tuple(file.name for file in done.files),
        pictures=tuple(part.png for part in done.shown if isinstance(part, Figure)),
    )
