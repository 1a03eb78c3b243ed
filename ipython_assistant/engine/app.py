"""The routes: HTTP in, HTTP out, and nothing decided here.

Every route but `/health` wants the token; requests must be addressed to this machine by name and must not come from a
web page of elsewhere (`door`). What brings and gives files is in `file_doors`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tornado import iostream, web

from ipython_assistant.engine import errors, parameters, wire
from ipython_assistant.engine.door import Door, Nowhere, Rooms
from ipython_assistant.engine.file_doors import (
    ContainerFileContent,
    ContainerFiles,
    FileContent,
    Files,
    OneContainerFile,
    OneFile,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from ipython_assistant.engine.wire import Event

_log = logging.getLogger(__name__)


def application(rooms: Rooms) -> web.Application:
    """The routes over these rooms."""
    one = "([^/]+)"
    routes: list[tuple[str, type[Door]]] = [
        ("/health", Health),
        ("/v1/models", Models),
        (f"/v1/models/{one}", OneModel),
        ("/v1/responses", Responses),
        (f"/v1/responses/{one}", OneResponse),
        ("/v1/containers", AllContainers),
        (f"/v1/containers/{one}", OneContainer),
        (f"/v1/containers/{one}/files", ContainerFiles),
        (f"/v1/containers/{one}/files/{one}", OneContainerFile),
        (f"/v1/containers/{one}/files/{one}/content", ContainerFileContent),
        ("/v1/files", Files),
        (f"/v1/files/{one}", OneFile),
        (f"/v1/files/{one}/content", FileContent),
    ]
    return web.Application(
        [(pattern, door, {"rooms": rooms}) for pattern, door in routes],
        default_handler_class=Nowhere,
        default_handler_args={"rooms": rooms},
        log_function=_note,
    )


class Health(Door):
    """What this engine is, for anyone on this machine."""

    def prepare(self) -> None:
        """No token is needed."""
        self.check_address()

    def get(self) -> None:
        """Say what is here."""
        sandbox = self.rooms.sandbox
        answer = {"status": "ok", "sandbox": sandbox.kind, "reason": sandbox.reason, "models": list(self.rooms.models)}
        self.answer(answer)


class Models(Door):
    """The models that are offered."""

    def get(self) -> None:
        """List them."""
        rows = [wire.model(name, self.rooms.started_at) for name in self.rooms.models]
        self.answer({"object": "list", "data": rows})


class OneModel(Door):
    """A model."""

    def get(self, name: str) -> None:
        """Describe it.

        Raises:
            ApiError: There is no such model.
        """
        if name not in self.rooms.models:
            raise errors.model_not_found(name, tuple(self.rooms.models), status=404)
        self.answer(wire.model(name, self.rooms.started_at))


class Streaming(Door):
    """A route that may answer with events."""

    async def stream(self, made: AsyncGenerator[Event, None]) -> None:
        """Pass events on as they come."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        # Events are small and must not wait for each other.
        self.request.connection.stream.set_nodelay(True)  # type: ignore[union-attr] # HTTP/1 has a stream
        async with aclosing(made) as events:
            async for event in events:
                self.write(wire.sse(event))
                await self.flush()


class Responses(Streaming):
    """Questions."""

    _work: asyncio.Task[None] | None = None

    async def post(self) -> None:
        """Answer a question, as a stream of events or at once.

        Raises:
            ApiError: The question is refused.
        """
        question = parameters.question(self.json())
        if self.rooms.manners.log_prompts:
            _log.info("asked: %s", question.prompt)
        responder = self.rooms.responder
        accepted = await responder.accept(question)
        events = responder.respond(accepted)
        await self._abandonable(self.stream(events) if question.stream else self._whole(events))

    def on_connection_close(self) -> None:
        """The client is gone: what is being done for it is interrupted."""
        if self._work is not None:
            self._work.cancel()

    async def _abandonable(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = asyncio.create_task(work)
        try:
            await self._work
        except asyncio.CancelledError:
            if not self._work.cancelled():
                raise
        except iostream.StreamClosedError:
            return

    async def _whole(self, made: AsyncGenerator[Event, None]) -> None:
        event: Event = {}
        async with aclosing(made) as events:
            async for last in events:
                event = last
        self.answer(event["response"])


class OneResponse(Door):
    """A stored response."""

    def get(self, response_id: str) -> None:
        """Give it.

        Raises:
            ApiError: It is not stored, or asked for as a stream, which is possible in the background only.
        """
        if self.get_query_argument("stream", "false") == "true":
            raise errors.response_not_found(response_id)  # https://community.openai.com/t/1362217
        body = self.rooms.transcripts.body(response_id)
        include = parameters.included(self.get_query_arguments("include") + self.get_query_arguments("include[]"))
        self.answer(body if parameters.OUTPUTS in include else wire.without_outputs(body))

    def delete(self, response_id: str) -> None:
        """Forget it.

        Raises:
            ApiError: It is not stored.
        """
        self.rooms.transcripts.remove(response_id)
        self.answer(wire.deleted(response_id, "response"))


class AllContainers(Door):
    """Containers."""

    async def post(self) -> None:
        """Make one.

        Raises:
            ApiError: The request is refused.
        """
        wanted = parameters.new_container(self.json())
        uploads = [self.rooms.uploads.get(file_id) for file_id in wanted.file_ids]
        made = await self.rooms.containers.create(
            wanted.name, minutes=wanted.minutes, uploads=uploads, memory=wanted.memory
        )
        self.answer(wire.container(made))

    def get(self) -> None:
        """List them, expired ones too."""
        name = self.get_query_argument("name", None)
        containers = self.rooms.containers.all()
        self.listing([wire.container(each) for each in containers if name is None or each.name == name])


class OneContainer(Door):
    """A container."""

    def get(self, container_id: str) -> None:
        """Describe it; that counts as use.

        Raises:
            ApiError: There is none.
        """
        container = self.rooms.containers.get(container_id)
        if not container.expired:
            container.touch()
        self.answer(wire.container(container))

    async def delete(self, container_id: str) -> None:
        """End it.

        Raises:
            ApiError: There is none.
        """
        await self.rooms.containers.delete(container_id)
        self.answer(wire.deleted(container_id, "container.deleted"))


def _note(door: web.RequestHandler) -> None:
    """One line of the log for each request: what was done, not what was said."""
    request, milliseconds = door.request, 1000 * door.request.request_time()
    _log.info("%s %s %d %.0f ms", request.method, request.path, door.get_status(), milliseconds)
