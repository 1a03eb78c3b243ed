"""What all routes have in common: who may enter, how a body is read, and how answers and errors look."""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
import urllib.parse
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tornado import iostream, web

from ipython_assistant.engine import errors, parameters, wire
from ipython_assistant.engine.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ipython_assistant.engine.containers import Containers
    from ipython_assistant.engine.models import Model
    from ipython_assistant.engine.responder import Responder
    from ipython_assistant.engine.sandbox import Sandbox
    from ipython_assistant.engine.transcripts import Transcripts
    from ipython_assistant.engine.uploads import Uploads
    from ipython_assistant.engine.wire import Json

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - listened on only with a token of one's own

_SURROGATE: Final = re.compile(rb"\\u[dD][89abcdefABCDEF]")
_HALF: Final = re.compile("[\ud800-\udfff]")


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
            parsed: object = json.loads(self.request.body, parse_constant=_no_number)
        except (ValueError, RecursionError):  # nested without end
            raise errors.not_json() from None
        if _SURROGATE.search(self.request.body) and _HALF.search(json.dumps(parsed, ensure_ascii=False)):
            raise errors.half_character()
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


def _no_number(name: str) -> float:
    """`NaN` and its like, which Python reads and JSON does not have."""
    raise ValueError(name)


def _hostname(host: str) -> str | None:
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not close
        return None


def _as_refusal(status: int, method: str, path: str) -> ApiError:
    """What tornado refuses by itself, in the shape of everything else."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return errors.method_not_allowed(method, path)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ApiError(status, HTTPStatus(status).phrase)
    return errors.server_error("The engine had an error; its log says more.")
