"""What all routes have in common: who may enter, how a body is read, and how answers and errors look."""

from __future__ import annotations

import hmac
import inspect
import json
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tornado import iostream, web

from ipython_assistant.engine import errors, parameters, wire
from ipython_assistant.engine.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from ipython_assistant.engine.container_pool import ContainerPool
    from ipython_assistant.engine.models import Model
    from ipython_assistant.engine.responder import Responder
    from ipython_assistant.engine.sandbox import Sandbox
    from ipython_assistant.engine.stored_responses import StoredResponses
    from ipython_assistant.engine.uploads import UploadStore
    from ipython_assistant.engine.wire import Json

_SURROGATE: Final = re.compile(rb"\\u[dD][89abcdefABCDEF]")
_HALF: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What the routes lead to, and who may enter.

    Args:
        token: What every request must carry.
        upload_bytes: The largest file that is taken.
        started_at: Seconds since the epoch.
    """

    responder: Responder
    containers: ContainerPool
    uploads: UploadStore
    stored: StoredResponses
    models: Mapping[str, Model]
    sandbox: Sandbox
    token: str
    upload_bytes: int
    started_at: int


@web.stream_request_body
class BaseHandler(web.RequestHandler):
    """Lets in who may enter before any of the body is read, and answers in JSON."""

    parts: EngineParts

    def initialize(self, parts: EngineParts, methods: Mapping[str, Callable[..., Any]]) -> None:
        """Called by tornado before anything else; `methods` holds a function for each HTTP method."""
        self.parts = parts
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
        body = bytes(self._body)
        try:
            parsed: object = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError):  # nested without end
            raise errors.not_json() from None
        if _SURROGATE.search(body) and _HALF.search(json.dumps(parsed, ensure_ascii=False)):
            message = "The request holds half a character (a lone surrogate): was a text cut in the middle of one?"
            raise ApiError(400, message)
        return parsed

    def page(
        self, things: Sequence[Any], shape: Callable[[Any], Json], *, maximum: int = 100, default: int = 20
    ) -> Json:
        """The page of a list that the query asks for; see `wire.page`."""
        query = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        wanted = parameters.page_request(query, maximum=maximum, default=default)
        return wire.page(things, wanted, shape)

    def answer(self, body: Json) -> None:
        """Answer with JSON."""
        self.finish(wire.dumps(body).encode("utf-8", "replace"))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado with whatever was raised."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, ApiError):
            error = _refusal(status_code, self.request.method or "", self.request.path)
        self.set_status(error.status)
        self.answer(error.body)

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Log what the engine did wrong, not what it refused."""
        if not isinstance(value, ApiError | web.HTTPError | iostream.StreamClosedError):
            super().log_exception(typ, value, tb)


class JsonHandler(BaseHandler):
    """A route whose methods are functions from the request to the JSON of the answer."""

    async def respond(self, answer: Any) -> None:
        """Send what the function has returned."""
        self.answer(answer)

    async def _call(self, *ids: str) -> None:
        method = self.request.method or ""
        if method not in self.methods:
            raise _refusal(HTTPStatus.METHOD_NOT_ALLOWED, method, self.request.path)
        answer = self.methods[method](self, *ids)
        await self.respond(await answer if inspect.isawaitable(answer) else answer)

    get = post = delete = _call  # tornado's names


class UnknownRoute(BaseHandler):
    """Every path that is not a route."""

    def prepare(self) -> None:
        """Raise ApiError, always."""
        super().prepare()
        raise ApiError(404, f"Invalid URL ({self.request.method} {self.request.path})", code="unknown_url")


def _no_number(name: str) -> float:
    """`NaN` and its like, which Python reads and JSON does not have."""
    raise ValueError(name)


def _refusal(status: int, method: str, path: str) -> ApiError:
    """What tornado refuses by itself, in the shape of everything else."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return ApiError(405, f"Not allowed to {method} on {path}.", code="method_not_allowed")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ApiError(status, HTTPStatus(status).phrase)
    return ApiError(500, "The engine had an error; its log says more.", code="server_error", kind="server_error")
