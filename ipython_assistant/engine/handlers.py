"""The routes: HTTP in, HTTP out, and nothing decided here.

A route is a function from the request to the JSON of the answer; it may raise `ApiError`. Questions are apart, since
their answers come as events, and what brings and gives files is in `file_handlers`.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import json
import secrets
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado import iostream, web

from ipython_assistant.engine import response_request, shapes
from ipython_assistant.engine.response_output import without_outputs
from ipython_assistant.engine.shapes import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
    from types import TracebackType

    from ipython_assistant.engine.responder import EngineParts, Responder
    from ipython_assistant.engine.shapes import Event, Json


@web.stream_request_body
class BaseHandler(web.RequestHandler):
    """Lets in who may enter before any of the body is read, and answers in JSON."""

    def initialize(self, parts: EngineParts, responder: Responder, methods: Mapping[str, Callable[..., Any]]) -> None:
        """Called by tornado before anything else; `methods` holds a function for each HTTP method."""
        self.parts = parts
        self.responder = responder
        self.methods = methods
        self._body = bytearray()

    def set_default_headers(self) -> None:
        """No word about the server's software, and a number for the request."""
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Request-Id", f"req_{secrets.token_hex(16)}")

    def prepare(self) -> None:
        """Raise ApiError for a wrong token, which is also what keeps web pages out."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        right = hmac.compare_digest(token.strip().encode(), self.parts.token.encode())
        if scheme.lower() != "bearer" or not right:
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    def data_received(self, chunk: bytes) -> None:
        """Called by tornado with the next piece of the body, if the request was let in."""
        self._body += chunk

    def json(self) -> object:
        """The body; raises ApiError if it is not JSON."""
        try:
            return json.loads(bytes(self._body))
        except (ValueError, RecursionError):  # nested without end
            raise ApiError(400, "We could not parse the JSON body of your request.") from None

    def page(self, rows: Iterable[Json]) -> Json:
        """The page of a list that the query asks for; see `shapes.page_of`."""
        query = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        return shapes.page_of(list(rows), query)

    def answer(self, body: Json) -> None:
        """Answer with JSON."""
        self.finish(shapes.dumps(body).encode("utf-8", "replace"))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado with whatever was raised."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, ApiError):
            error = ApiError(status_code, HTTPStatus(status_code).phrase)
            if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                error = ApiError(500, "The engine had an error; its log says more.", kind="server_error")
        self.set_status(error.status)
        self.answer(error.body)

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Log what the engine did wrong, not what it refused."""
        if not isinstance(value, ApiError | web.HTTPError | iostream.StreamClosedError):
            super().log_exception(typ, value, tb)


class JsonHandler(BaseHandler):
    """A route whose methods are functions from the request to the JSON of the answer; without any it is unknown."""

    async def respond(self, answer: Any) -> None:
        """Send what the function has returned."""
        self.answer(answer)

    async def _call(self, *ids: str) -> None:
        asked = f"({self.request.method} {self.request.path})"
        if not self.methods:
            raise ApiError(404, f"Invalid URL {asked}", code="unknown_url")
        if self.request.method not in self.methods:
            raise ApiError(405, f"Method not allowed {asked}", code="method_not_allowed")
        answer = self.methods[self.request.method](self, *ids)
        await self.respond(await answer if inspect.isawaitable(answer) else answer)

    get = post = delete = _call  # tornado's names


class ResponsesHandler(BaseHandler):
    """Questions."""

    _work: asyncio.Task[None] | None = None

    async def post(self) -> None:
        """Answer a question, as a stream of events or at once; raises ApiError if it is refused."""
        request = response_request.response_request(self.json(), self.parts.stored.item)
        events = self.responder.respond(request)
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
                self.write(shapes.sse(event))
                await self.flush()

    async def _whole(self, made: AsyncGenerator[Event, None]) -> None:
        event: Event = {}
        async with aclosing(made) as events:
            async for last in events:
                event = last
        self.answer(event["response"])


def health(handler: BaseHandler) -> Json:
    """What this engine is."""
    sandbox = handler.parts.sandbox
    models = list(handler.parts.models)
    return {"status": "ok", "sandbox": sandbox.kind, "reason": sandbox.reason, "models": models}


def list_models(handler: BaseHandler) -> Json:
    """The models that are offered."""
    rows = [shapes.model_row(name, handler.parts.started_at) for name in handler.parts.models]
    return {"object": "list", "data": rows}


def get_model(handler: BaseHandler, name: str) -> Json:
    """A model."""
    if name not in handler.parts.models:
        raise shapes.model_not_found(name, handler.parts.models, status=404)
    return shapes.model_row(name, handler.parts.started_at)


def get_response(handler: BaseHandler, response_id: str) -> Json:
    """A stored response, whole: it is not streamed again."""
    body = handler.parts.stored.body(response_id)
    if handler.get_query_argument("stream", "false") == "true":
        raise shapes.unsupported("stream", "This engine streams a response once, while it is made.")
    include = handler.get_query_arguments("include") + handler.get_query_arguments("include[]")
    return body if response_request.OUTPUTS in include else without_outputs(body)


def delete_response(handler: BaseHandler, response_id: str) -> Json:
    """Forget a stored response."""
    handler.parts.stored.remove(response_id)
    return shapes.deletion(response_id, "response")


def list_input_items(handler: BaseHandler, response_id: str) -> Json:
    """What a stored response was asked with."""
    return handler.page(handler.parts.stored.input_items(response_id))


async def create_container(handler: BaseHandler) -> Json:
    """Make a container."""
    name, minutes, wanted = response_request.container_request(handler.json())
    uploads = [handler.parts.uploads.get(file_id) for file_id in wanted.file_ids]
    create = handler.parts.containers.create
    return shapes.container_row(await create(name, minutes=minutes, uploads=uploads, memory=wanted.memory))


def list_containers(handler: BaseHandler) -> Json:
    """All containers, or those of a name, expired ones too."""
    name = handler.get_query_argument("name", None)
    containers = [each for each in handler.parts.containers.all() if name in {None, each.name}]
    return handler.page(map(shapes.container_row, containers))


def get_container(handler: BaseHandler, container_id: str) -> Json:
    """A container; asking counts as use."""
    container = handler.parts.containers.get(container_id)
    if not container.expired:
        container.touch()
    return shapes.container_row(container)


async def delete_container(handler: BaseHandler, container_id: str) -> Json:
    """End a container."""
    await handler.parts.containers.delete(container_id)
    return shapes.deletion(container_id, "container.deleted")
