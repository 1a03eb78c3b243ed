"""Bytes → events: server-sent events read in a thread of their own, handed over one by one with pauses made visible.

https://html.spec.whatwg.org/multipage/server-sent-events.html gives the format; the Responses API ends a stream
without a `[DONE]` line, and the SDK does not notice a body that ends before its last event.
"""

from __future__ import annotations

import json
import queue
import threading
from typing import TYPE_CHECKING

from ipython_assistant.errors import AssistantError, StreamBroken, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipython_assistant.core.turn import Json
    from ipython_assistant.service.wire import Reply

ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def decode(chunks: Iterable[bytes]) -> Iterator[Json]:
    """The events of a body, however its bytes are cut.

    Raises:
        StreamBroken: An event that is not JSON, which is what a cut in the middle of one leaves.
    """
    pending = b""
    lines: list[bytes] = []
    for chunk in chunks:
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            bare = line.rstrip(b"\r")
            if bare.startswith(b"data:"):
                lines.append(bare[5:].removeprefix(b" "))
            elif not bare and lines:
                event = _event(lines)
                lines = []
                if event is not None:
                    yield event
    if lines or pending.startswith(b"data:"):
        last = pending.rstrip(b"\r")
        event = _event([*lines, last[5:].removeprefix(b" ")] if last.startswith(b"data:") else lines)
        if event is not None:
            yield event


def _event(lines: list[bytes]) -> Json | None:
    body = b"\n".join(lines)
    if body.strip() == b"[DONE]":
        return None
    try:
        event = json.loads(body)
    except ValueError:
        raise broken("in the middle of an event") from None
    return event if isinstance(event, dict) else None


def broken(where: str) -> StreamBroken:
    """The error for a stream that ended too early."""
    return StreamBroken(
        f"The answer broke off {where}.", "What arrived is above and saved. Run the cell again for the whole answer."
    )


class EventStream:
    """Iterate over it: an event, or None when `pause_s` passed without one (so that a display can move on).

    The reading happens in a thread, so that Ctrl-C reaches the main thread at once; `close` ends both. The iteration
    ends after the response's last event, and raises `StreamBroken` if the body ends before it.
    """

    def __init__(self, reply: Reply, pause_s: float = 0.1) -> None:
        self._reply = reply
        self._pause_s = pause_s
        self._events: queue.SimpleQueue[Json | BaseException | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="ipython_assistant stream", daemon=True)
        self._reader.start()

    def __iter__(self) -> Iterator[Json | None]:
        ended = False
        while True:
            try:
                event = self._events.get(timeout=self._pause_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(event, BaseException):
                # After its last event a connection may end as it likes.
                if ended:
                    return
                raise event
            if event is None:
                if ended:
                    return
                raise broken("before its end")
            ended = ended or event.get("type") in ENDINGS
            yield event
            if ended:
                return

    def close(self) -> None:
        """Stop reading and let the connection go: the service sees that nobody listens any more."""
        self._reply.close()

    def _read(self) -> None:
        try:
            for event in decode(self._reply.chunks):
                self._events.put(event)
        except Unreachable as error:
            cut = broken("when the connection was lost")
            cut.__cause__ = error
            self._events.put(cut)
        except AssistantError as error:
            self._events.put(error)
        except BaseException as error:  # noqa: BLE001 it is raised again in the thread that waits for it
            self._events.put(error)
        else:
            self._events.put(None)
