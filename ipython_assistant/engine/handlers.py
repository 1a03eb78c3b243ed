"""The routes: HTTP in, HTTP out, and nothing decided here.

Each route is a function from the request to the JSON of the answer; it may raise `ApiError`. Questions are apart, since
their answers come as events, and what brings and gives files is in `file_handlers`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from tornado import iostream, web

from ipython_assistant.engine import errors, file_handlers, parameters, wire
from ipython_assistant.engine.base_handler import BaseHandler, JsonHandler, UnknownRoute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from ipython_assistant.engine.base_handler import EngineParts
    from ipython_assistant.engine.wire import Event, Json

_ONE: Final = "([^/]+)"
_log = logging.getLogger(__name__)


def application(parts: EngineParts) -> web.Application:
    """The routes over these parts of the engine."""
    content = {"GET": file_handlers.container_content}
    routes: list[tuple[str, type[BaseHandler], Json]] = [
        ("/health", JsonHandler, {"GET": health}),
        ("/v1/models", JsonHandler, {"GET": list_models}),
        (f"/v1/models/{_ONE}", JsonHandler, {"GET": get_model}),
        ("/v1/responses", ResponsesHandler, {}),
        (f"/v1/responses/{_ONE}", JsonHandler, {"GET": get_response, "DELETE": delete_response}),
        (f"/v1/responses/{_ONE}/input_items", JsonHandler, {"GET": list_input_items}),
        ("/v1/containers", JsonHandler, {"GET": list_containers, "POST": create_container}),
        (f"/v1/containers/{_ONE}", JsonHandler, {"GET": get_container, "DELETE": delete_container}),
        (f"/v1/containers/{_ONE}/files", file_handlers.UploadHandler, file_handlers.CONTAINER_FILES),
        (f"/v1/containers/{_ONE}/files/{_ONE}", JsonHandler, file_handlers.CONTAINER_FILE),
        (f"/v1/containers/{_ONE}/files/{_ONE}/content", file_handlers.DownloadHandler, content),
        ("/v1/files", file_handlers.UploadHandler, file_handlers.FILES),
        (f"/v1/files/{_ONE}", JsonHandler, file_handlers.FILE),
        (f"/v1/files/{_ONE}/content", file_handlers.DownloadHandler, {"GET": file_handlers.file_content}),
    ]
    return web.Application(
        [(pattern, handler, {"parts": parts, "methods": methods}) for pattern, handler, methods in routes],
        default_handler_class=UnknownRoute,
        default_handler_args={"parts": parts, "methods": {}},
        log_function=_log_request,
    )


def health(handler: BaseHandler) -> Json:
    """What this engine is."""
    sandbox = handler.parts.sandbox
    models = list(handler.parts.models)
    return {"status": "ok", "sandbox": sandbox.kind, "reason": sandbox.reason, "models": models}


def list_models(handler: BaseHandler) -> Json:
    """The models that are offered."""
    return {"object": "list", "data": [wire.model(name, handler.parts.started_at) for name in handler.parts.models]}


def get_model(handler: BaseHandler, name: str) -> Json:
    """A model."""
    if name not in handler.parts.models:
        raise errors.model_not_found(name, tuple(handler.parts.models), status=404)
    return wire.model(name, handler.parts.started_at)


def get_response(handler: BaseHandler, response_id: str) -> Json:
    """A stored response; never as a stream, which is possible in the background only."""
    if handler.get_query_argument("stream", "false") == "true":
        raise errors.response_not_found(response_id)  # https://community.openai.com/t/1362217
    body = handler.parts.stored.body(response_id)
    include = handler.get_query_arguments("include") + handler.get_query_arguments("include[]")
    return body if parameters.OUTPUTS in include else wire.without_outputs(body)


def delete_response(handler: BaseHandler, response_id: str) -> Json:
    """Forget a stored response."""
    handler.parts.stored.remove(response_id)
    return wire.deleted(response_id, "response")


def list_input_items(handler: BaseHandler, response_id: str) -> Json:
    """What a stored response was asked with."""
    items = [SimpleNamespace(id=item["id"], item=item) for item in handler.parts.stored.input_items(response_id)]
    return handler.page(items, lambda each: each.item)


async def create_container(handler: BaseHandler) -> Json:
    """Make a container."""
    wanted = parameters.container_request(handler.json())
    uploads = [handler.parts.uploads.get(file_id) for file_id in wanted.file_ids]
    create = handler.parts.containers.create
    return wire.container(await create(wanted.name, minutes=wanted.minutes, uploads=uploads, memory=wanted.memory))


def list_containers(handler: BaseHandler) -> Json:
    """All containers, or those of a name, expired ones too."""
    name = handler.get_query_argument("name", None)
    containers = handler.parts.containers.all()
    return handler.page([each for each in containers if name is None or each.name == name], wire.container)


def get_container(handler: BaseHandler, container_id: str) -> Json:
    """A container; asking counts as use."""
    container = handler.parts.containers.get(container_id)
    if not container.expired:
        container.touch()
    return wire.container(container)


async def delete_container(handler: BaseHandler, container_id: str) -> Json:
    """End a container."""
    await handler.parts.containers.delete(container_id)
    return wire.deleted(container_id, "container.deleted")


class ResponsesHandler(BaseHandler):
    """Questions."""

    _work: asyncio.Task[None] | None = None

    async def post(self) -> None:
        """Answer a question, as a stream of events or at once; raises ApiError if it is refused."""
        request = parameters.response_request(self.json(), self.parts.stored.item)
        responder = self.parts.responder
        events = responder.respond(await responder.accept(request))
        await self._abandonable(self._stream(events) if request.stream else self._whole(events))

    def on_connection_close(self) -> None:
        """The client is gone: what is being done for it is interrupted."""
        super().on_connection_close()
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

    async def _stream(self, made: AsyncGenerator[Event, None]) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        # Events are small and must not wait for each other.
        self.request.connection.stream.set_nodelay(True)  # type: ignore[union-attr] # HTTP/1 has a stream
        async with aclosing(made) as events:
            async for event in events:
                self.write(wire.sse(event))
                await self.flush()

    async def _whole(self, made: AsyncGenerator[Event, None]) -> None:
        event: Event = {}
        async with aclosing(made) as events:
            async for last in events:
                event = last
        self.answer(event["response"])


def _log_request(handler: web.RequestHandler) -> None:
    """One line of the log for each request: what was done, not what was said."""
    request, milliseconds = handler.request, 1000 * handler.request.request_time()
    _log.info("%s %s %d %.0f ms", request.method, request.path, handler.get_status(), milliseconds)
