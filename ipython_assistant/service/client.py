"""A live service, through the SDK's verbs: its authentication, base URL, retries and proxies, but none of its types.

`client.post` and the like are public (https://github.com/openai/openai-python#undocumented-endpoints). The methods of
each endpoint import a thousand types, and check every request against them: a quarter of a second before the first one.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from functools import partial, partialmethod
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

from ipython_assistant.core.redaction import Redactor
from ipython_assistant.core.turn import Json, bounded
from ipython_assistant.errors import AssistantError, RateLimited, ServiceError, TimedOut, Unreachable
from ipython_assistant.service import faults
from ipython_assistant.service.faults import causes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from openai import OpenAI

QUESTION_TRIES, LONGEST_WAIT_S = 3, 60.0
CONNECT_S, QUICK_S = 10.0, 30.0
"""Seconds for a connection to be made; and without a byte of a listing, a new container or a deletion."""
LARGE_BYTES, PIECE_BYTES = 4_000_000, 1 << 19
"""From this size on a body is read from its socket, in such pieces."""
OnProgress: TypeAlias = "Callable[[int, int, int, int], None]"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, read from the network as `chunks` is iterated; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    close: Callable[[], None]

    def json(self) -> Any:
        """Read the whole body as a JSON object, and close. Raises `ServiceError`."""
        with self, contextlib.suppress(ValueError, RecursionError):
            if isinstance(value := json.loads(b"".join(self.chunks)), dict):
                return value
        says = "The service did not answer with the JSON object that its interface promises."
        raise ServiceError(says, "Check the service's address, and what a proxy does on the way; then ask again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Wire:
    """The seam between this package and a service. Every call raises its own errors: `Refused`, `TimedOut`, ...

    `identity` names the service down to the process: ids mean nothing to any other. `service` is `openai` (also for
    compatible servers), `azure` or `local`. A body is read past the client's transport only if `plain`: the SDK's own.
    """

    def __init__(
        self,
        client: OpenAI | LoopbackClient,
        identity: str,
        service: str = "openai",
        *,
        sleep: Callable[[float], None] = time.sleep,
        plain: bool = True,
    ) -> None:
        self._client, self._plain, self._sleep = client, plain, sleep
        self.retries = True  # the SDK's own, where a request cannot have run code
        timeout = client.timeout  # a user's own client may have none
        limit = timeout if isinstance(timeout, int | float | None) else timeout.read
        self.silence_s = math.inf if limit is None else limit
        self.identity, self.service = identity, service
        self.address = without_password(str(client.base_url))
        self._is_compatible = service == "openai" and client.base_url.host != "api.openai.com"
        # A service, or a proxy, may repeat what it was sent.
        self._redact = Redactor([client.api_key, getattr(client, "_azure_ad_token", None) or ""])

    def respond(self, request: Json, on_wait: Callable[[float], None] = lambda _seconds: None) -> Reply:
        """Ask; tried again only where nothing can have run: 429 and refused connections."""
        import httpx2

        request = bounded(request)  # half a character cannot be sent
        for attempt in range(1, QUESTION_TRIES + 1):
            try:
                return self._open("the answer", "post", "responses", once=True, body=request)
            except (RateLimited, Unreachable) as error:
                # Used-up money does not come back by waiting, and what a proxy refused once it refuses again.
                is_limited = type(error) is RateLimited
                chain = list(causes(error))
                refused = any(isinstance(cause, httpx2.ConnectError) for cause in chain)
                refused = refused and not any(isinstance(cause, ssl.SSLError) for cause in chain)
                not_sent = type(error) is Unreachable and refused
                asked_s = 2.0**attempt if error.retry_after_s is None else error.retry_after_s
                wait_s = asked_s if is_limited else 0.5 * attempt
                if attempt == QUESTION_TRIES or not (is_limited or not_sent) or wait_s > LONGEST_WAIT_S:
                    raise
            on_wait(wait_s)
            self._sleep(wait_s)
        raise AssertionError("unreachable")  # pragma: no cover

    def retrieve(self, response_id: str) -> Reply:
        """A response that has been answered, by `GET /responses/{id}`."""
        include = {"include": ["code_interpreter_call.outputs"]}
        return self._open("the response", "get", "responses", response_id, quick=True, query=include)

    def create_container(self, body: Json) -> Reply:
        """Make a container, by `POST /containers`."""
        return self._open("a new container", "post", "containers", quick=True, body=body)

    def delete_container(self, container_id: str) -> Reply:
        """Delete a container, by `DELETE /containers/{id}`; tried once."""
        return self._open("a container to be deleted", "delete", "containers", container_id, quick=True, once=True)

    def upload(self, container_id: str, name: str, path: Path) -> Reply:
        """Put a file into a container, by `POST /containers/{id}/files`, streamed from disk."""
        with path.open("rb") as file:
            form = {"file": (name, file, "application/octet-stream")}
            return self._open(f"the upload of {name}", "post", *_files_of(container_id), files=form)

    def list_containers(self, after: str | None) -> Reply:
        """One page of the containers, by `GET /containers`."""
        page = {"limit": 100, **({"after": after} if after else {})}
        return self._open("the list of containers", "get", "containers", quick=True, query=page)

    def list_files(self, container_id: str, after: str | None) -> Reply:
        """One page of a container's files, newest first, by `GET /containers/{id}/files`."""
        page = {"limit": 100, "order": "desc", **({"after": after} if after else {})}
        return self._open("the container's list of files", "get", *_files_of(container_id), quick=True, query=page)

    def content(self, container_id: str, file_id: str, start: int = 0, etag: str = "") -> Reply:
        """The bytes of a file, by `GET /containers/{id}/files/{file}/content`; tried once, `downloads` tries again."""
        # Compressed bytes could be neither counted nor resumed.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        if start and etag and not etag.startswith("W/"):
            headers["If-Range"] = etag
        place = (*_files_of(container_id), file_id, "content")
        headers["Accept"] = "application/binary"
        return self._open("a file", "get", *place, once=True, headers=headers)

    def model(self, name: str) -> Reply:
        """What the service says of a model, by `GET /models/{name}`; without a name, the list of its models."""
        return self._open("a model's name", "get", "models", *filter(None, [name]), quick=True)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _open(
        self,
        what: str,
        verb: str,
        *path: str,
        quick: bool = False,
        once: bool = False,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        **content: Any,
    ) -> Reply:
        """Make a request to the `path`, in parts; a `quick` one gets less time than an answer."""
        import httpx2

        silence_s = min(QUICK_S, self.silence_s) if quick else self.silence_s
        own_errors = partial(self._own_errors, what, silence_s, faults.AGAIN_LATER if quick else faults.RAISE_THE_LIMIT)
        form = {"Content-Type": "multipart/form-data"} if "files" in content else {}
        options: dict[str, Any] = {"headers": {**form, **(headers or {})}, "params": query or {}}
        options |= {"timeout": limits(silence_s)} if quick else {}
        options |= {"max_retries": 0} if once or not self.retries else {}
        content |= {"stream": True} if verb != "delete" else {}  # its few bytes are read at once
        address = "/" + "/".join(map(_path_part, path))
        with own_errors():
            response = getattr(self._client, verb)(address, cast_to=httpx2.Response, options=options, **content)

        def chunks() -> Iterator[bytes]:
            with own_errors():
                yield from _body(response) if self._plain else response.iter_bytes()

        def close() -> None:
            _cut(response)
            response.close()

        return Reply(response.status_code, response.headers, chunks(), close)

    @contextlib.contextmanager
    def _own_errors(self, what: str, silence_s: float, cure: str) -> Iterator[None]:
        """Turn what the SDK or its transport raises inside into an error of ours; `what` was being waited for."""
        try:
            yield
        except RuntimeError as error:
            if "client has been closed" not in str(error):
                raise
            raise Unreachable("The connection to the service was closed.") from error  # a thread outlived the session
        except Exception as error:
            import httpx2

            # The SDK's own, where it is here: an error of the engine's is no reason to import it.
            lost = getattr(sys.modules.get("openai"), "APIConnectionError", OSError)
            if (response := getattr(error, "response", None)) is not None:  # it was a status
                # The error itself quotes the body, and the body may quote the key: a stack must not show it.
                raise self._from_status(response) from None
            if not isinstance(error, (lost, httpx2.RequestError, OSError)):
                raise
            chain = list(causes(error))
            for cause in chain:
                if isinstance(cause, AssistantError):
                    raise cause from None
            is_slow = any(isinstance(cause, httpx2.TimeoutException | TimeoutError) for cause in chain)
            if is_slow and not any(isinstance(cause, httpx2.ConnectTimeout) for cause in chain):
                raise TimedOut(f"Nothing came for {silence_s:g} s while waiting for {what}.", cure) from error
            raise faults.connection_error(error, self.address, self.service) from error

    def _from_status(self, response: Any) -> ServiceError:
        try:
            body = response.json()
        except (ValueError, RecursionError):
            body = response.text
        # Compatible servers put a text where the service puts an object, or use FastAPI's own `detail`.
        said = body.get("error", body) if isinstance(body, dict) else body
        said = said if isinstance(said, dict) else {"message": said or ""}
        code, message = said.get("code"), said.get("message") or said.get("detail")
        return faults.service_error(
            code if isinstance(code, str) else "",
            self._redact(str(message or "" if "message" in said or "detail" in said else said)),
            status=int(response.status_code),
            page=bool(body) and "html" in response.headers.get("content-type", ""),
            service="compatible" if self._is_compatible else self.service,
            request_id=response.headers.get("x-request-id"),
            retry_after_s=faults.retry_after_s(response.headers),
        )


class LoopbackClient:
    """What `Wire` needs of the SDK's client, for the engine on this machine: it answers before the SDK is imported.

    Proxies and accounts do not apply to it. Nothing is tried again: it answers, or it has ended.
    """

    def __init__(self, base_url: str, api_key: str, timeout: Any) -> None:
        import httpx2

        self.api_key, self.timeout, headers = api_key, timeout, {"Authorization": f"Bearer {api_key}"}
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to read the machine's certificates takes 50 ms
        how: Any = {"limits": httpx2.Limits(), "trust_env": False, "verify": bare}
        self._http = httpx2.Client(base_url=base_url, headers=headers, **how)
        self.base_url, self.close = self._http.base_url, self._http.close

    def _send(
        self, verb: str, path: str, *, options: Any, body: Any = None, files: Any = None, stream: bool = False, **_: Any
    ) -> Any:
        about = {"params": options["params"], "headers": {} if files else options["headers"]}
        about["timeout"] = options.get("timeout", self.timeout)
        request = self._http.build_request(verb, path, json=body, files=files, **about)
        response = self._http.send(request, stream=stream)
        if response.is_error:
            response.read()
        return response.raise_for_status()

    get, post, delete = partialmethod(_send, "GET"), partialmethod(_send, "POST"), partialmethod(_send, "DELETE")


def _files_of(container_id: str) -> tuple[str, ...]:
    return "containers", container_id, "files"


def _path_part(given: str) -> str:
    """An id as one part of a path, whatever is in it."""
    return quote(given, safe="") if given.strip(".") else "%2E" * len(given)


def limits(read_s: float) -> Any:
    """The time-outs of a request: so many seconds without a byte, and `CONNECT_S` for the connection."""
    import httpx2

    return httpx2.Timeout(read_s, connect=min(CONNECT_S, read_s))


def without_password(address: str) -> str:
    """An address as it may be shown: without an account, a query, or a slash at its end."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _body(response: Any) -> Iterator[bytes]:
    """The bytes of a response. Those of a large file are read from its socket, past the transport.

    The transport copies each piece several times: a gigabyte takes 3.4 times as long as with curl, this way 0.9 times
    (`benchmarks/run.py fetch`). The socket (https://www.python-httpx.org/advanced/extensions/#network_stream) holds
    the body itself for HTTP/1.1 with a stated length and no encoding, but not for TLS inside TLS.
    """
    connection, headers = _socket_of(response), response.headers
    length = headers.get("content-length", "")
    is_plain = headers.get("content-encoding", "identity") == "identity" and "transfer-encoding" not in headers
    if connection is not None:
        tls = response.extensions["network_stream"].get_extra_info("ssl_object")
        is_plain = is_plain and not isinstance(tls, ssl.SSLObject)
    if connection is None or not is_plain or not length.isdigit() or int(length) < LARGE_BYTES:
        # No chunk size: the SDK would cut and join the bytes once more for it.
        yield from response.iter_bytes()
        return
    chunks = response.iter_raw()  # kept to the end: an iterator that goes takes the connection with it
    # What the transport has read with the headers, all at once; its buffer is empty after this.
    yield (piece := next(chunks, b""))
    left = int(length) - len(piece)
    while left > 0 and (piece := connection.recv(min(left, PIECE_BYTES))):
        yield piece
        left -= len(piece)


def _cut(response: Any) -> None:
    """End a response's connection, from any thread: closing a socket does not wake one that waits for its bytes."""
    connection = None if response.is_closed else _socket_of(response)
    if connection is not None:
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which takes the encryption off while another thread reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _socket_of(response: Any) -> socket.socket | None:
    """The socket that is this response's alone; a transport of another make, or HTTP/2, has none."""
    stream = response.extensions.get("network_stream")
    if stream is None or response.extensions.get("http_version") != b"HTTP/1.1":
        return None
    found = stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None
