"""Bytes → events: server-sent events read in a thread of their own, handed over one by one with pauses made visible.

https://html.spec.whatwg.org/multipage/server-sent-events.html gives the format; the Responses API ends a stream
without a `[DONE]` line, and the SDK does not notice a body that ends before its last event.
"""

from __future__ import annotations

import itertools
import json
import queue
import threading
from typing import TYPE_CHECKING

from ipython_assistant.errors import StreamBroken, Unreachable
from ipython_assistant.service.faults import service_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.client import Reply

ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def decode(chunks: Iterable[bytes]) -> Iterator[Json]:
    """The events of a body, which may be one JSON object. Raises `StreamBroken`, or `ServiceError` for a web page."""
    first, block = b"", list[bytes]()
    for line in itertools.chain(_lines(chunks), (None,)):
        text = line or b""
        if not first:
            first = text = text.removeprefix(b"\xef\xbb\xbf").lstrip()
            if first.startswith(b"<"):
                raise service_error("", "", status=200, page=True)
        is_whole = first.startswith(b"{")
        if text or (is_whole and line is not None):
            block.append(text)
        elif block:  # the empty line that ends an event, or the end of the body
            data = [text[5:].removeprefix(b" ") for text in block if text.startswith(b"data:")]
            body = b"\n".join(block if is_whole else data)
            event = _event(body)
            if event is not None:
                yield _ending(event) if is_whole else event
            elif line is None and body.strip() not in {b"", b"[DONE]"}:
                raise broken("in the middle of an event")
            block = []


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a body without their ends, each byte looked at once."""
    pieces: list[bytes] = []
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield b"".join([*pieces, end]).removesuffix(b"\r")
            pieces = []
        pieces.append(rest)
    yield b"".join(pieces).removesuffix(b"\r")


def _event(body: bytes) -> Json | None:
    """An event as an object; None where it is not one. An error may come without a type."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    return {"type": "error", **event} if "error" in event and "type" not in event else event


def _ending(response: Json) -> Json:
    """The event that would have ended the stream of a response that was not streamed."""
    if "output" not in response:
        return {"type": "error", "error": response.get("error") or response}
    ending = f"response.{response.get('status')}"
    return {"type": ending if ending in ENDINGS else "response.completed", "response": response}


def broken(where: str) -> StreamBroken:
    """The error for a stream that ended too early."""
    cure = "What arrived is above and saved. Ask again for the whole answer."
    return StreamBroken(f"The answer broke off {where}.", cure)


class EventStream:
    """Iterate over it: an event, or None when `pause_s` passed without one. Read in a thread, so that Ctrl-C is heard.

    Raises `StreamBroken` if the body ends before the response's last event, or an `error` event, which says why.
    """

    def __init__(self, reply: Reply, pause_s: float = 0.1) -> None:
        self._reply, self._pause_s = reply, pause_s
        self._events: queue.SimpleQueue[Json | BaseException] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="ipython_assistant stream", daemon=True)
        self._reader.start()

    def __iter__(self) -> Iterator[Json | None]:
        kinds: set[str] = set()
        while not kinds & ENDINGS:
            try:
                event = self._events.get(timeout=self._pause_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(event, BaseException):
                if "error" in kinds:
                    return
                raise event
            kinds.add(str(event.get("type")))
            yield event

    def close(self) -> None:
        """Stop reading and let the connection go: the service sees that its reader has gone."""
        self._reply.close()

    def _read(self) -> None:
        try:
            for event in decode(self._reply.chunks):
                self._events.put(event)
            self._events.put(broken("before its end"))
        except Unreachable as error:
            lost = broken("when the connection was lost")
            lost.__cause__ = error
            self._events.put(lost)
        except BaseException as error:  # noqa: BLE001 it is raised again in the thread that waits for it
            self._events.put(error)
