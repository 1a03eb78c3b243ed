"""A recorded answer over the same seam as a live one, without the SDK; and what keeps the exchange of a live one.

Nothing here stands between the network and the display: the recorder hands on the very bytes it was given, and is told
the events that were read from them.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, NoReturn

from ipython_assistant.core.recording import KEPT_HEADERS, EventLog, Exchange, put_back
from ipython_assistant.errors import ServiceError
from ipython_assistant.service.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ipython_assistant.core.provenance import RecordedFile
    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.wire import Wire

CHUNK_BYTES = 1 << 20
OK, PARTIAL, NOT_FOUND = 200, 206, 404


class Recorder:
    """Keeps one exchange: ask through it, and tell it every event.

    Args:
        wire: Who is asked.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._log = EventLog()
        self._request: Json = {}
        self._status = 0
        self._headers: Mapping[str, str] = {}

    def respond(self, request: Json) -> Reply:
        """Ask the wire; asked again, the exchange is the last one."""
        reply = self._wire.respond(request)
        self._log, self._request, self._status, self._headers = EventLog(), request, reply.status, reply.headers
        return reply

    def hear(self, event: Json) -> None:
        """Keep an event of the answer."""
        self._log.add(event)

    @property
    def exchange(self) -> Exchange:
        """What was asked, and what came of it until now."""
        headers = {name.lower(): value for name, value in self._headers.items()}
        kept = {name: headers[name] for name in sorted(KEPT_HEADERS & headers.keys())}
        return Exchange(self._log.events, self._request, self._status, kept)


class ReplayWire:
    """The seam over a recording. It answers the question that was recorded and gives the files that came of it.

    Args:
        exchange: What went over the wire then.
        open_body: Opens a recorded body by its SHA-256. Raises an `AssistantError` where it is gone or was changed.
        files: The files of the turn.
        identity: Names the recording. A turn that is replayed is never continued from by its id.
    """

    def __init__(
        self,
        exchange: Exchange,
        open_body: Callable[[str], IO[bytes]],
        files: Sequence[RecordedFile] = (),
        identity: str = "recording",
    ) -> None:
        self.identity = identity
        self._exchange = exchange
        self._open_body = open_body
        self._files = {(file.container_id, file.file_id): file for file in files if file.file_id}

    def respond(self, request: Json) -> Reply:  # noqa: ARG002 what is asked is what was recorded
        """The recorded answer, as server-sent events.

        Raises:
            AssistantError: A picture in it is damaged; nothing has been shown by then.
        """
        events = [put_back(event, self._read) for event in self._exchange.events]
        return _reply(map(_sent, events), self._exchange.status, self._exchange.headers)

    def list_files(self, container_id: str, after: str | None) -> Reply:
        """The files of the turn that were in this container, on one page."""
        rows = [_row(file) for (place, _), file in self._files.items() if place == container_id and after is None]
        return _reply([json.dumps({"object": "list", "data": rows, "has_more": False}).encode()])

    def content(self, container_id: str, file_id: str, start: int = 0) -> Reply:
        """The bytes of a file of the turn."""
        file = self._files.get((container_id, file_id))
        if file is None:
            raise ServiceError(f"The recording has no file {file_id}.", status=NOT_FOUND)
        body = self._open_body(file.sha256)
        body.seek(start)
        headers = {"content-length": str(file.size - start)}
        if start:
            headers["content-range"] = f"bytes {start}-{file.size - 1}/{file.size}"
        return _reply(_chunks(body), PARTIAL if start else OK, headers, body.close)

    def create_container(self, body: Json) -> NoReturn:  # noqa: ARG002 the seam's signature, here and below
        """Not in a recording."""
        raise _not_recorded()

    def delete_container(self, container_id: str) -> NoReturn:  # noqa: ARG002 as above
        """Not in a recording."""
        raise _not_recorded()

    def upload(self, container_id: str, name: str, path: Path) -> NoReturn:  # noqa: ARG002 as above
        """Not in a recording."""
        raise _not_recorded()

    def list_containers(self, after: str | None) -> NoReturn:  # noqa: ARG002 as above
        """Not in a recording."""
        raise _not_recorded()

    def close(self) -> None:
        """There is nothing to let go of."""

    def _read(self, sha256: str) -> bytes:
        with self._open_body(sha256) as body:
            return body.read()


def _sent(event: Json) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()


def _row(file: RecordedFile) -> Json:
    name = f"{file.file_id}.png" if file.found == "figure" else file.own_name
    return {
        "id": file.file_id,
        "object": "container.file",
        "bytes": file.size,
        "container_id": file.container_id,
        "created_at": None,
        "path": f"/mnt/data/{name}",
        "source": "assistant",
    }


def _chunks(body: IO[bytes]) -> Iterator[bytes]:
    while chunk := body.read(CHUNK_BYTES):
        yield chunk


def _reply(
    chunks: Iterable[bytes],
    status: int = OK,
    headers: Mapping[str, str] | None = None,
    close: Callable[[], None] = lambda: None,
) -> Reply:
    return Reply(status, headers or {}, iter(chunks), close)


def _not_recorded() -> ServiceError:
    return ServiceError("A recording can only be replayed.", "Ask the service itself: %%assistant --fresh.")
