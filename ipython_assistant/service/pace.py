"""When the requests of a turn's downloads may go out, and how much of their time is spent."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from ipython_assistant.errors import StreamBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FULL_SPEED = 1000
"""So many requests at once are as good as any number."""
POLL_S = 0.1
"""How often a wait looks whether it was stopped, in seconds."""


class Pace:
    """The pace of many downloads at once.

    When the service says "slow down", every request waits as long as it asked. Then one goes alone, and each that is
    answered lets twice as many go: a service counts the requests of the last minute and forgets them one by one, so
    that all at once would run into the same limit again.

    Args:
        clock: Seconds, from any moment on.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._not_before = 0.0
        self._began: float | None = None
        self._asked_s = 0.0
        self._pauses = 0
        self._allowed = FULL_SPEED
        self._under_way = 0

    @property
    def slowed(self) -> bool:
        """Whether the service has asked to wait and that time is not over."""
        return self._clock() < self._not_before

    def start(self) -> None:
        """Begin to count the time, unless it is being counted already."""
        with self._changed:
            if self._began is None:
                self._began = self._clock()
                self._asked_s = max(0.0, self._not_before - self._began)

    def spent_s(self) -> float:
        """Seconds since `start`, without the waiting the service asked for."""
        with self._changed:
            now = self._clock()
            still_asked_s = max(0.0, self._not_before - now)
            return 0.0 if self._began is None else now - self._began - (self._asked_s - still_asked_s)

    def slow_down(self, seconds: float) -> None:
        """Let every request wait so many seconds from now."""
        with self._changed:
            now = self._clock()
            until = max(self._not_before, now + seconds)
            self._asked_s += until - max(now, self._not_before)
            self._not_before = until
            # What was asked before the pause says nothing about what goes after it.
            self._pauses += 1
            self._allowed, self._under_way = 1, 0

    @contextlib.contextmanager
    def request(self, stopped: threading.Event) -> Iterator[None]:
        """Wait until a request may go out; entered until it is answered. Raises `StreamBroken` if it was stopped."""
        with self._changed:
            while (left_s := self._not_before - self._clock()) > 0 or self._under_way >= self._allowed:
                if stopped.is_set():
                    raise StreamBroken("Interrupted.")
                self._changed.wait(min(left_s, POLL_S) if left_s > 0 else POLL_S)
            self._under_way += 1
            pauses = self._pauses
        answered = False
        try:
            yield
            answered = True
        finally:
            with self._changed:
                if pauses == self._pauses:
                    self._under_way -= 1
                    self._allowed = min(self._allowed * 2, FULL_SPEED) if answered else self._allowed
                    self._changed.notify_all()
