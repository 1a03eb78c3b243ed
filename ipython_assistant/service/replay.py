"""A recorded answer as a live one comes, without the SDK; and what keeps the exchange of a live one.

Nothing here stands between the network and the display: the recorder hands on the very bytes it was given, and is told
the events that were read from them.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from ipython_assistant.core.recording import KEPT_HEADERS, EventLog, Exchange, put_back
from ipython_assistant.service.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.wire import Wire


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

    def respond(self, request: Json, on_wait: Callable[[float], None] = lambda _seconds: None) -> Reply:
        """Ask the wire, see `Wire.respond`; asked again, the exchange is the last one."""
        reply = self._wire.respond(request, on_wait)
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


def recorded_reply(exchange: Exchange, open_body: Callable[[str], IO[bytes]]) -> Reply:
    """A recorded answer as the service sent it: server-sent events, to be read like any other reply.

    Args:
        exchange: What went over the wire then.
        open_body: Opens a recorded body by its SHA-256. Raises an `AssistantError` where it is gone or was changed.

    Raises:
        AssistantError: A picture in the answer is damaged; nothing has been shown by then.
    """

    def read(sha256: str) -> bytes:
        with open_body(sha256) as body:
            return body.read()

    events = [put_back(event, read) for event in exchange.events]
    return Reply(exchange.status, exchange.headers, map(_sent, events), lambda: None)


def _sent(event: Json) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()
