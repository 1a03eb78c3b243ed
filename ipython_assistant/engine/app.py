"""The routes: HTTP in, HTTP out, and nothing decided here.

Every route but `/health` wants the token; requests must be addressed to this machine by name and must not come from a
web page of elsewhere. Uploads go to disk, and downloads come from disk, piece by piece.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import os
import sys
import urllib.parse
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tornado import iostream, web

from ipython_assistant.engine import errors, parameters, wire
from ipython_assistant.engine.errors import ApiError
from ipython_assistant.engine.folder import changed
from ipython_assistant.engine.form import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

    from ipython_assistant.engine.containers import Containers
    from ipython_assistant.engine.models import Model
    from ipython_assistant.engine.responder import Accepted, Responder
    from ipython_assistant.engine.sandbox import Sandbox
    from ipython_assistant.engine.transcripts import Transcripts
    from ipython_assistant.engine.uploads import Uploads
    from ipython_assistant.engine.wire import Json

CHUNK: Final = 256 * 1024
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - listened on only with a token of one's own

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Manners:
    """Who may enter, and what may be brought in.

    Args:
        host: The address that is listened on.
        names: Other names that requests may be addressed to.
        upload_bytes: The largest file that is taken.
        log_prompts: Whether the log holds what was asked.
    """

    host: str
    names: tuple[str, ...]
    upload_bytes: int
    log_prompts: bool

    def addressed(self, name: str | None) -> bool:
        """Whether a `Host` is this engine: a name that someone else points here is not.

        Where it listens on all addresses of a machine, each of them is, but only as an address.
        """
        if name in LOOPBACK or name in {self.host, *self.names}:
            return True
        try:
            ipaddress.ip_address(name or "")
        except ValueError:
            return False
        return self.host in EVERY_ADDRESS


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the routes lead to.

    Args:
        token: What every request must carry.
        sandbox: How code is confined.
        manners: Who may enter.
        started_at: Seconds since the epoch.
    """

    responder: Responder
    containers: Containers
    uploads: Uploads
    transcripts: Transcripts
    models: Mapping[str, Model]
    token: str
    sandbox: Sandbox
    manners: Manners
    started_at: int


def application(rooms: Rooms) -> web.Application:
    """The routes over these rooms."""
    one = "([^/]+)"
    routes: list[tuple[str, type[Door]]] = [
        ("/health", Health),
        ("/v1/models", Models),
        (f"/v1/models/{one}", OneModel),
        ("/v1/responses", Responses),
        ("/v1/responses/compact", Nowhere),
        (f"/v1/responses/{one}", OneResponse),
        (f"/v1/responses/{one}/cancel", Cancel),
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


class Door(web.RequestHandler):
    """What all routes have in common: who may enter, and how errors look."""

    rooms: Rooms

    def initialize(self, rooms: Rooms) -> None:
        """Called by tornado before anything else."""
        self.rooms = rooms

    def set_default_headers(self) -> None:
        """No word about the server's software."""
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        """Refuse whoever may not enter.

        Raises:
            ApiError: Wrong token, or a request that a web page may have smuggled in.
        """
        self.check_address()
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self.rooms.token.encode()):
            raise errors.unauthorized()

    def check_address(self) -> None:
        """A page of elsewhere can make a browser call us, even by a name that it points at this machine.

        Raises:
            ApiError: `Host` is not a name of this machine, or `Origin` is not this server.
        """
        host = self.request.headers.get("Host", "")
        origin = self.request.headers.get("Origin")
        if not self.rooms.manners.addressed(_hostname(host)):
            raise errors.forbidden_origin()
        if origin is not None and urllib.parse.urlsplit(origin).netloc != host:
            raise errors.forbidden_origin()

    def json(self) -> object:
        """The body.

        Raises:
            ApiError: It is not JSON.
        """
        try:
            parsed: object = json.loads(self.request.body)
        except ValueError:
            raise errors.not_json() from None
        return parsed

    def listing(self, rows: list[Json], *, maximum: int = 100, default: int = 20) -> None:
        """Answer with one page of a list, oldest row first."""
        query = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        wanted = parameters.listing(query, maximum=maximum, default=default)
        self.answer(wire.page(rows, limit=wanted.limit, order=wanted.order, after=wanted.after))

    def answer(self, body: Json) -> None:
        """Answer with JSON."""
        self.finish(wire.dumps(body).encode("utf-8", "replace"))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado with whatever was raised."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, ApiError):
            error = _as_refusal(status_code, self.request.method or "", self.request.path)
        self.set_status(error.status)
        self.answer(error.body())

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """A refusal is no event for the log."""
        if not isinstance(value, ApiError | web.HTTPError | iostream.StreamClosedError):
            super().log_exception(typ, value, tb)


class Nowhere(Door):
    """Every path that is no route."""

    def prepare(self) -> None:
        """Refuse.

        Raises:
            ApiError: Always.
        """
        super().prepare()
        raise errors.unknown_url(self.request.method or "", self.request.path)


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


class Responses(Door):
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
        accepted = await self.rooms.responder.accept(question)
        await self._abandonable(self._stream(accepted) if question.stream else self._whole(accepted))

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

    async def _stream(self, accepted: Accepted) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        # Events are small and must not wait for each other.
        self.request.connection.stream.set_nodelay(True)  # type: ignore[union-attr] # HTTP/1 has a stream
        async with aclosing(self.rooms.responder.respond(accepted)) as events:
            async for event in events:
                self.write(wire.sse(event))
                await self.flush()

    async def _whole(self, accepted: Accepted) -> None:
        event: Json = {}
        async with aclosing(self.rooms.responder.respond(accepted)) as events:
            async for last in events:
                event = last
        self.answer(event["response"])


class OneResponse(Door):
    """A stored response."""

    def get(self, response_id: str) -> None:
        """Give it again.

        Raises:
            ApiError: It is not stored, or asked for as a stream.
        """
        if self.get_query_argument("stream", "false") == "true":
            raise errors.response_not_found(response_id)  # only background responses can be streamed again
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


class Cancel(Door):
    """Cancelling by request, which is for background responses only."""

    def post(self, response_id: str) -> None:
        """Refuse.

        Raises:
            ApiError: Always.
        """
        self.rooms.transcripts.body(response_id)
        raise errors.not_background()


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


@web.stream_request_body
class Uploading(Door):
    """A route that takes a file."""

    _form: Form | None = None
    _refused: ApiError | None = None
    _taken = 0

    def prepare(self) -> None:
        """Make room for the body.

        Raises:
            ApiError: Whoever asks may not enter, or sends something that is no form.
        """
        super().prepare()
        if self.request.method == "POST":
            # The limit is ours to say, in words: tornado's would cut the connection.
            self.request.connection.set_max_body_size(sys.maxsize)  # type: ignore[union-attr] # HTTP/1 has a limit
            content_type = self.request.headers.get("Content-Type", "")
            self._form = Form(content_type, self.rooms.uploads.staging())

    def data_received(self, chunk: bytes) -> None:
        """Called by tornado with the next piece of the body."""
        self._taken += len(chunk)
        if self._taken > self.rooms.manners.upload_bytes and self._refused is None:
            self._refused = errors.too_large(self.rooms.manners.upload_bytes)
            self._discard()
        if self._form is not None and self._refused is None:
            try:
                self._form.feed(chunk)
            except ApiError as error:  # told when the body is over: raised here, it would only cut the connection
                self._refused = error

    def form(self) -> Form:
        """The form, complete.

        Raises:
            ApiError: The body was malformed.
        """
        if self._refused is not None:
            raise self._refused
        if self._form is None:
            raise errors.missing("file")
        self._form.close()
        return self._form

    def on_finish(self) -> None:
        """Called by tornado when the answer is out."""
        self._discard()

    def on_connection_close(self) -> None:
        """The client is gone."""
        super().on_connection_close()
        self._discard()

    def _discard(self) -> None:
        if self._form is not None:
            self._form.discard()


@web.stream_request_body
class ContainerFiles(Uploading):
    """The files of a container."""

    async def post(self, container_id: str) -> None:
        """Take a file in, from the body or from the Files API.

        Raises:
            ApiError: The container or the file cannot be used.
        """
        form = self.form()
        container = self.rooms.containers.live(container_id)
        if (reference := form.json()) is not None:
            upload = self.rooms.uploads.get(parameters.file_reference(reference))
            file = await container.copy_in(upload)
        else:
            file = container.add(*form.file())
        self.answer(wire.container_file(file))

    def get(self, container_id: str) -> None:
        """List them.

        Raises:
            ApiError: The container cannot be used.
        """
        files = self.rooms.containers.live(container_id).files()
        self.listing([wire.container_file(file) for file in files])


class OneContainerFile(Door):
    """A file of a container."""

    def get(self, container_id: str, file_id: str) -> None:
        """Describe it.

        Raises:
            ApiError: There is none.
        """
        self.answer(wire.container_file(self.rooms.containers.live(container_id).file(file_id)))

    def delete(self, container_id: str, file_id: str) -> None:
        """Delete it.

        Raises:
            ApiError: There is none.
        """
        self.rooms.containers.live(container_id).remove(file_id)
        self.answer(wire.deleted(file_id, "container.file.deleted"))


class Downloading(Door):
    """A route that gives a file."""

    async def send(self, descriptor: int, name: str, intact: Callable[[int], bool]) -> None:
        """Send an open file, or the range of it that was asked for, and close it.

        Args:
            descriptor: The file.
            name: What it is called.
            intact: Whether the file is still what it was when it was opened. If not, the connection is cut before the
                last piece: what was changed on the way must not look whole.
        """
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            size = os.fstat(descriptor).st_size
            wanted = wire.byte_range(self.request.headers.get("Range", ""), size)
            if wanted is not None and not wanted:
                self.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.set_header("Content-Range", f"bytes */{size}")
                self.answer(errors.unsatisfiable_range().body())
                return
            for header, value in wire.content_headers(name).items():
                self.set_header(header, value)
            if wanted is not None:
                self.set_status(206)
                self.set_header("Content-Range", f"bytes {wanted.start}-{wanted.stop - 1}/{size}")
            left = size if wanted is None else len(wanted)
            self.set_header("Content-Length", left)
            source.seek(0 if wanted is None else wanted.start)
            while left:
                chunk = source.read(min(CHUNK, left))
                left -= len(chunk)
                if not chunk or (not left and not intact(descriptor)):
                    self.request.connection.stream.close()  # type: ignore[union-attr] # HTTP/1 has a stream
                    return
                self.write(chunk)
                await self.flush()


class ContainerFileContent(Downloading):
    """The content of a file of a container."""

    async def get(self, container_id: str, file_id: str) -> None:
        """Send it.

        Raises:
            ApiError: There is none, or this version of it is gone.
        """
        container = self.rooms.containers.live(container_id)
        file = container.file(file_id)
        await self.send(container.open(file), file.name, lambda descriptor: not changed(descriptor, file))


@web.stream_request_body
class Files(Uploading):
    """Files of the Files API."""

    def post(self) -> None:
        """Take a file in.

        Raises:
            ApiError: The form lacks something.
        """
        form = self.form()
        staged, filename = form.file()
        if "purpose" not in form.fields:
            raise errors.missing("purpose")
        self.answer(wire.upload(self.rooms.uploads.add(staged, filename, form.fields["purpose"])))

    def get(self) -> None:
        """List them."""
        purpose = self.get_query_argument("purpose", None)
        files = self.rooms.uploads.all()
        rows = [wire.upload(file) for file in files if purpose is None or file.purpose == purpose]
        self.listing(rows, maximum=10_000, default=10_000)


class OneFile(Door):
    """A file of the Files API."""

    def get(self, file_id: str) -> None:
        """Describe it.

        Raises:
            ApiError: There is none.
        """
        self.answer(wire.upload(self.rooms.uploads.get(file_id)))

    def delete(self, file_id: str) -> None:
        """Delete it.

        Raises:
            ApiError: There is none.
        """
        self.rooms.uploads.remove(file_id)
        self.answer(wire.deleted(file_id, "file"))


class FileContent(Downloading):
    """The content of a file of the Files API."""

    async def get(self, file_id: str) -> None:
        """Send it.

        Raises:
            ApiError: There is none.
        """
        upload = self.rooms.uploads.get(file_id)
        await self.send(os.open(upload.path, os.O_RDONLY), upload.filename, lambda _: True)


def _hostname(host: str) -> str | None:
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not close
        return None


def _note(door: web.RequestHandler) -> None:
    """One line of the log for each request: what was done, not what was said."""
    request, milliseconds = door.request, 1000 * door.request.request_time()
    _log.info("%s %s %d %.0f ms", request.method, request.path, door.get_status(), milliseconds)


def _as_refusal(status: int, method: str, path: str) -> ApiError:
    """What tornado refuses by itself, in the shape of everything else."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return errors.method_not_allowed(method, path)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ApiError(status, HTTPStatus(status).phrase)
    return errors.server_error("The engine had an error; its log says more.")
