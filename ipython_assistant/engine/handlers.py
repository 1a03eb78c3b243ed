"""The routes: HTTP in, HTTP out, and nothing decided here.

A route is a function from the request to the JSON of the answer; it may raise `ApiError`. A value that is missing is
left out where the API's description (https://developers.openai.com/api/docs/api-reference) does not allow null.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import inspect
import json
import os
import shutil
import sys
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header
from tornado import iostream, web

from ipython_assistant.engine import api
from ipython_assistant.engine.api import ApiError
from ipython_assistant.engine.sandbox import MOUNT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
    from types import TracebackType

    from python_multipart.multipart import File

    from ipython_assistant.engine.api import Json
    from ipython_assistant.engine.container import KernelContainer
    from ipython_assistant.engine.container_folder import FileVersion
    from ipython_assistant.engine.responder import Responder

CHUNK: Final = 256 * 1024


def sse(event: Json) -> bytes:
    """One event of a `text/event-stream`."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), dumps(event))


def dumps(value: object) -> bytes:
    """Compact JSON; characters as themselves, half ones as question marks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@web.stream_request_body
class JsonHandler(web.RequestHandler):
    """Lets in who may enter before any of the body is read, calls the route's function, and answers in JSON."""

    def initialize(self, engine: Responder, methods: Mapping[str, Callable[..., Any]]) -> None:
        """Called by tornado before anything else; `methods` holds a function for each HTTP method."""
        self.engine, self.methods = engine, methods
        self._body = bytearray()

    def set_default_headers(self) -> None:
        """Called by tornado; most answers are JSON."""
        self.set_header("Content-Type", "application/json")

    def prepare(self) -> None:
        """Raise ApiError for a wrong token, which is also what keeps web pages out."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        right = hmac.compare_digest(token.strip().encode(), self.engine.token.encode())
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

    def listing(self, rows: Iterable[Json]) -> Json:
        """One page with the whole list, in the `order` that the query asks for; `rows` come oldest first."""
        data = list(rows) if self.get_query_argument("order", "") == "asc" else list(rows)[::-1]
        first_id, last_id = (data[0]["id"], data[-1]["id"]) if data else ("", "")
        return {"object": "list", "data": data, "first_id": first_id, "last_id": last_id, "has_more": False}

    async def respond(self, answer: Any) -> None:
        """Send what the function has returned."""
        self.finish(dumps(answer))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado with whatever was raised."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, ApiError):
            of_ours = status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
            message = "The engine had an error; its log says more." if of_ours else HTTPStatus(status_code).phrase
            error = ApiError(500 if of_ours else status_code, message)
        self.set_status(error.status)
        self.finish(dumps(error.body))

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Log what the engine did wrong, not what it refused."""
        if not isinstance(value, ApiError | web.HTTPError | iostream.StreamClosedError):
            super().log_exception(typ, value, tb)

    async def _call(self, *ids: str) -> None:
        method = str(self.request.method)
        if method not in self.methods:
            message = f"Invalid URL or method ({method} {self.request.path})"
            raise ApiError(405 if self.methods else 404, message, code="unknown_url")
        answer = self.methods[method](self, *ids)
        await self.respond(await answer if inspect.isawaitable(answer) else answer)

    get = post = delete = _call  # tornado's names


class ResponsesHandler(JsonHandler):
    """A route that answers with events as they come, or with the response that the last of them holds."""

    _work: asyncio.Task[Any] | None = None

    async def respond(self, answer: Any) -> None:
        """Send all the events if the client asked for a stream, else only the response that the last one holds."""
        stream, made = answer
        event: Json = {}
        if stream:
            self.set_header("Content-Type", "text/event-stream; charset=utf-8")
            # Events are small and must not wait for each other.
            self.request.connection.stream.set_nodelay(True)  # type: ignore[union-attr] # HTTP/1 has a stream
        self._work = asyncio.current_task()
        with contextlib.suppress(asyncio.CancelledError, iostream.StreamClosedError):  # the client is gone
            async with aclosing(made) as events:
                async for event in events:
                    if stream:
                        self.write(sse(event))
                        await self.flush()
            if not stream:
                await super().respond(event["response"])

    def on_connection_close(self) -> None:
        """The client is gone: what is being done for it is interrupted."""
        super().on_connection_close()
        if self._work is not None:
            self._work.cancel()


class UploadHandler(JsonHandler):
    """A route that may take a file, as the only one of a `multipart/form-data` body, which goes to disk as it comes."""

    _parser: FormParser | None = None
    _staging: Path | None = None
    _refused: ApiError | None = None
    _received = 0

    def prepare(self) -> None:
        """Make room for a form; raises ApiError as `JsonHandler` does, and for any other body."""
        super().prepare()
        if self.request.method != "POST":
            return
        kind, options = parse_options_header(self.request.headers.get("Content-Type", ""))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise api.bad_upload("multipart/form-data with a boundary is expected")
        # The limit is ours to say, in words: tornado's would cut the connection.
        self.request.connection.set_max_body_size(sys.maxsize)  # type: ignore[union-attr] # HTTP/1 has a limit
        self._files: list[tuple[Path, str]] = []
        self._staging = self.engine.uploads.staging()
        config = {"UPLOAD_DIR": str(self._staging), "UPLOAD_DELETE_TMP": False, "MAX_MEMORY_FILE_SIZE": 0}
        to = (None, self._keep_file)  # nothing for fields
        self._parser = FormParser(kind.decode(), *to, boundary=options[b"boundary"], config=config)

    def data_received(self, chunk: bytes) -> None:
        """Called by tornado with the next piece of the body; a refusal here would only cut the connection."""
        self._received += len(chunk)
        if self._received > self.engine.upload_bytes and self._refused is None:
            message = f"The file is too large: at most {self.engine.upload_bytes:,} bytes are taken."
            self._refused = ApiError(413, message, param="file", code="file_too_large")
        if self._refused is None and self._parser is not None:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                self._refused = api.bad_upload(str(error).rstrip("."))

    def form(self) -> tuple[Path, str]:
        """The uploaded file's path and name. Raises ApiError if the form was refused or does not hold just one file."""
        if self._refused is not None:
            raise self._refused
        if len(self._files) != 1:
            raise api.bad_upload("a whole form with one file is expected")
        return self._files[0]

    def on_finish(self) -> None:
        """Called by tornado when the answer is out: what was not moved away is deleted."""
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)

    def on_connection_close(self) -> None:
        """The client is gone."""
        super().on_connection_close()
        self.on_finish()

    def _keep_file(self, file: File) -> None:
        if file.in_memory:  # an empty one
            file.flush_to_disk()
        file.close()
        if _text(file.field_name) == "file":
            self._files.append((Path(os.fsdecode(file.actual_file_name or b"")), _text(file.file_name)))


class DownloadHandler(JsonHandler):
    """A route that gives a file."""

    async def respond(self, answer: Any) -> None:
        """Send an open file. Where its size changes meanwhile, tornado cuts the connection."""
        with os.fdopen(answer, "rb", buffering=0) as source:
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Length", os.fstat(answer).st_size)
            while chunk := source.read(CHUNK):
                self.write(chunk)
                await self.flush()


def _list_models(handler: JsonHandler) -> Json:
    created_at = handler.engine.started_at
    row = {"object": "model", "created": created_at, "owned_by": "ipython_assistant"}
    return {"object": "list", "data": [{"id": name, **row} for name in handler.engine.models]}


def _get_model(handler: JsonHandler, name: str) -> Json:
    for row in _list_models(handler)["data"]:
        if row["id"] == name:
            return dict(row)
    raise api.model_not_found(name, handler.engine.models, status=404)


def _create_response(handler: JsonHandler) -> tuple[bool, AsyncGenerator[Json, None]]:
    """Answer a question: whether the events are to be streamed, and the events."""
    request = api.response_request(handler.json(), handler.engine.stored.item)
    return request.stream, handler.engine.respond(request)


def _get_response(handler: JsonHandler, response_id: str) -> Json:
    return handler.engine.stored.body(response_id)


def _container_row(found: KernelContainer) -> Json:
    """A container as JSON. A limit that is not enforced as requested is left out."""
    row = {"id": found.id, "object": "container", "created_at": found.created_at, "name": found.name}
    row |= {"last_active_at": int(found.used_at), "status": "expired" if found.expired else "running"}
    row |= {"expires_after": {"anchor": "last_active_at", "minutes": found.minutes}}
    row |= {"memory_limit": found.memory} if found.memory else {}
    return row | ({"network_policy": {"type": "disabled"}} if found.offline else {})


async def _create_container(handler: JsonHandler) -> Json:
    name, minutes, memory = api.container_request(handler.json())
    return _container_row(await handler.engine.containers.create(name, minutes=minutes, memory=memory))


def _list_containers(handler: JsonHandler) -> Json:
    return handler.listing(map(_container_row, handler.engine.containers.all()))


def _get_container(handler: JsonHandler, container_id: str) -> Json:
    """A container; asking counts as use."""
    container = handler.engine.containers.get(container_id)
    if not container.expired:
        container.touch()
    return _container_row(container)


async def _delete_container(handler: JsonHandler, container_id: str) -> Json:
    await handler.engine.containers.delete(container_id)
    return {"id": container_id, "object": "container.deleted", "deleted": True}


def _container_file_row(file: FileVersion) -> Json:
    row = {"id": file.id, "object": "container.file", "created_at": file.created_at, "source": file.source}
    return row | {"bytes": file.size_bytes, "container_id": file.container_id, "path": f"{MOUNT}/{file.name}"}


async def _add_container_file(handler: UploadHandler, container_id: str) -> Json:
    container = handler.engine.containers.live(container_id)
    staged, name = handler.form()
    return _container_file_row(await container.folder.add(staged, name))


async def _list_container_files(handler: JsonHandler, container_id: str) -> Json:
    folder = handler.engine.containers.live(container_id).folder
    await folder.scan()
    return handler.listing(map(_container_file_row, folder.files()))


def _container_content(handler: JsonHandler, container_id: str, file_id: str) -> int:
    return handler.engine.containers.live(container_id).folder.open(file_id)


def _add_file(handler: UploadHandler) -> Json:
    staged, name = handler.form()
    mint = handler.engine.mint
    row: Json = {"id": mint("file-"), "object": "file", "bytes": staged.stat().st_size, "created_at": mint.now()}
    row |= {"status": "processed", "purpose": "user_data"}
    return row | {"filename": handler.engine.uploads.add(row["id"], staged, name)}


def _text(value: Any) -> str:
    """As text; browsers and HTTP clients send these three characters of a name encoded."""
    text = (value or b"").decode("utf-8", "replace")
    return str(text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n"))


_ONE: Final = "([^/]+)"
ROUTES: Final[tuple[tuple[str, type[JsonHandler], Json], ...]] = (
    ("/v1/models", JsonHandler, {"GET": _list_models}),
    (f"/v1/models/{_ONE}", JsonHandler, {"GET": _get_model}),
    ("/v1/responses", ResponsesHandler, {"POST": _create_response}),
    (f"/v1/responses/{_ONE}", JsonHandler, {"GET": _get_response}),
    ("/v1/containers", JsonHandler, {"GET": _list_containers, "POST": _create_container}),
    (f"/v1/containers/{_ONE}", JsonHandler, {"GET": _get_container, "DELETE": _delete_container}),
    (f"/v1/containers/{_ONE}/files", UploadHandler, {"GET": _list_container_files, "POST": _add_container_file}),
    (f"/v1/containers/{_ONE}/files/{_ONE}/content", DownloadHandler, {"GET": _container_content}),
    ("/v1/files", UploadHandler, {"POST": _add_file}),
)
