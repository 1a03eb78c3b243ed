"""Answers one question: decide → run → speak.

The model decides, the container runs, the output speaks; this module joins them. It yields the events of the
Responses API as dicts and knows nothing of HTTP.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipython_assistant.engine import errors, wire
from ipython_assistant.engine.models import Ask, Ran, Refuse, Run, Said, Say
from ipython_assistant.engine.output import Output
from ipython_assistant.engine.parameters import Auto, Explicit
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
        before: What was said before, by `previous_response_id`.
        response: The response as it begins.
    """

    question: Question
    model: Model
    container: Container | None
    before: tuple[Said, ...]
    response: Json


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

    async def accept(self, question: Question) -> Accepted:
        """Find everything the question refers to, and make its container if it needs one.

        Raises:
            ApiError: Something it refers to does not exist, or the container is expired.
        """
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
        return Accepted(question, model, container, previous.said if previous else (), response)

    async def respond(self, accepted: Accepted) -> AsyncGenerator[Event, None]:
        """Answer, as events numbered from 0. Closing the iterator, or cancelling, interrupts running code.

        An exception of the model, or of this engine, ends the stream with `error` and `response.failed`.
        """
        question = accepted.question
        output = Output(accepted.response, include_outputs=question.include_outputs, mint=self._mint)
        number = 0
        async with aclosing(self._events(accepted, output)) as events:
            async for event in events:
                yield event | {"sequence_number": number}
                number += 1

    async def _events(self, accepted: Accepted, output: Output) -> AsyncGenerator[Event, None]:
        for event in output.begin():
            yield event
        try:
            async with aclosing(self._steps(accepted, output)) as events:
                async for event in events:
                    yield event
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the client is told and the log has it
            _log.exception("A response failed")
            ending = output.fail("server_error", f"The engine failed: {type(error).__name__}: {error}")
        else:
            ending = output.complete(int(self._clock()))
        self._store(accepted, output)
        for event in ending:
            yield event

    async def _steps(self, accepted: Accepted, output: Output) -> AsyncGenerator[Event, None]:
        container = accepted.container
        if container is None:
            for event in output.refuse(NO_INTERPRETER):
                yield event
            return
        question = accepted.question
        async with container.turn:
            files = container.names()
            ask = Ask(
                prompt=question.prompt,
                files=files,
                new=tuple(name for name in files if name not in container.seen),
                history=accepted.before + question.history,
                instructions=question.instructions,
            )
            outcome: Ran | None = None
            async with aclosing(accepted.model.answer(ask, container)) as steps:
                while (step := await _next(steps, outcome)) is not None:
                    outcome = None
                    match step:
                        case Say(text):
                            events = output.say(text)
                        case Refuse(text):
                            events = output.end_message(container.linkable(), last=False) + output.refuse(text)
                        case Run(code):
                            opening = output.end_message(container.linkable(), last=False)
                            for event in opening + output.run(code, container.id):
                                yield event
                            done = await container.run(code)
                            outcome, events = _ran(done), output.ran(done)
                    for event in events:
                        yield event
            for event in output.end_message(container.linkable(), last=True):
                yield event
            container.seen = frozenset(container.names())
            container.touch()

    async def _container(self, question: Question, previous: Transcript | None) -> Container | None:
        if question.container is None:
            return None
        known = question.replayed_container_id or (previous.container_id if previous else None)
        files = question.file_ids
        if isinstance(question.container, Auto):
            files = question.container.file_ids + files
        uploads = [self._uploads.get(file_id) for file_id in files]
        if isinstance(question.container, Explicit):
            container = self._containers.live(question.container.container_id)
        elif known is not None:
            container = self._containers.live(known)
        else:
            return await self._containers.create(uploads=uploads)
        await container.provide(uploads)
        container.touch()
        return container

    def _store(self, accepted: Accepted, output: Output) -> None:
        question = accepted.question
        if not question.store:
            return
        said = (*accepted.before, *question.history, Said("user", question.prompt), Said("assistant", output.text))
        container_id = accepted.container.id if accepted.container else None
        self._transcripts.put(output.response, Transcript(said, container_id))


async def _next(steps: AsyncGenerator[Step, Ran | None], outcome: Ran | None) -> Step | None:
    try:
        return await steps.asend(outcome)
    except StopAsyncIteration:
        return None


def _ran(done: CodeRun) -> Ran:
    return Ran(
        logs=done.logs,
        error=None if done.failure is None else str(done.failure),
        figures=len(done.figures),
        files=tuple(file.name for file in done.files),
    )
