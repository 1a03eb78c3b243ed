"""The seam between this package and a service: eleven calls, each answered by status, headers and an iterator of bytes.

Everything above the bytes is the same code for every service. `client.LiveWire` asks a real one through the SDK.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from ipython_assistant.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ipython_assistant.core.turn import Json

LARGEST_JSON_BYTES = 64_000_000
OnSent: TypeAlias = "Callable[[int], None]"
OnProgress: TypeAlias = "Callable[[int, int, int, int], None]"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: bytes are read from the network as `chunks` is iterated. Close it, or use it in a `with`.

    Attributes:
        status: The HTTP status.
        headers: Its headers, with names in lower case.
        chunks: The body.
        close: Lets go of it, from any thread.
        read_into: Reads what comes next into some memory and gives the number of bytes, 0 at the end. None where the
            body cannot be read like that; once it was called, `chunks` cannot be used.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    close: Callable[[], None]
    read_into: Callable[[memoryview], int] | None = None

    def json(self) -> Any:
        """Read the whole body as a JSON object, and close.

        Raises:
            ServiceError: It is something else, such as a proxy's page, or larger than `LARGEST_JSON_BYTES`.
        """
        body = bytearray()
        with self:
            for chunk in self.chunks:
                body += chunk
                if len(body) > LARGEST_JSON_BYTES:
                    break
        try:
            value = json.loads(body) if len(body) <= LARGEST_JSON_BYTES else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ServiceError(
                "The service did not answer with the JSON object that its interface promises.",
                "Check the service's address, and what a proxy does on the way; then run the cell again.",
            )
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Wire(Protocol):
    """A service. Every call raises the package's own errors: `Refused`, `Unreachable`, `TimedOut`, ..."""

    identity: str
    """Names the service down to the process: response and container ids mean nothing to any other."""

    def respond(self, request: Json, on_wait: Callable[[float], None] = ...) -> Reply:
        """`POST /responses`, streamed: the chunks are server-sent events.

        `on_wait` is called with the seconds before each further try.
        """
        ...

    def retrieve(self, response_id: str) -> Reply:
        """`GET /responses/{id}`, with what its code printed and showed."""
        ...

    def create_container(self, body: Json) -> Reply:
        """`POST /containers`."""
        ...

    def delete_container(self, container_id: str) -> Reply:
        """`DELETE /containers/{id}`."""
        ...

    def upload(self, container_id: str, name: str, path: Path, on_sent: OnSent = ...) -> Reply:
        """`POST /containers/{id}/files` with the file's bytes, streamed from disk.

        `on_sent` is called with the bytes that have been sent so far, in the calling thread.
        """
        ...

    def upload_file(self, name: str, path: Path, on_sent: OnSent = ...) -> Reply:
        """`POST /files`: a file of the service, for a container that it makes itself; as `upload`."""
        ...

    def list_containers(self, after: str | None) -> Reply:
        """`GET /containers`, one page of up to 100."""
        ...

    def list_files(self, container_id: str, after: str | None) -> Reply:
        """`GET /containers/{id}/files`, one page of up to 100, newest first."""
        ...

    def content(self, container_id: str, file_id: str, start: int = 0, etag: str = "") -> Reply:
        """`GET /containers/{id}/files/{file}/content`: the bytes (the address without `/content` gives metadata).

        With `start`, the bytes from there on are asked for, of the version that has this `etag`; whether that was
        granted is in the status (206).
        """
        ...

    def model(self, name: str) -> Reply:
        """`GET /models/{name}`; without a name, the list of models."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
