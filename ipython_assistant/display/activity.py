"""Words for what is going on: what the service is doing, and how many files have come, how much and how fast."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from ipython_assistant.core.wording import counted, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

DOING = {
    "response.created": "thinking",
    "response.in_progress": "thinking",
    "response.output_text.delta": "writing",
    "response.refusal.delta": "writing",
    "response.code_interpreter_call.in_progress": "writing code",
    "response.code_interpreter_call_code.delta": "writing code",
    "response.code_interpreter_call.interpreting": "running code",
    "response.code_interpreter_call.completed": "thinking",
    "response.shell_call_command.added": "writing a command",
    "response.shell_call_command.done": "running a command",
    "response.image_generation_call.in_progress": "drawing",
    "response.web_search_call.searching": "searching the web",
    "response.file_search_call.searching": "searching files",
}
"""What a service is doing from an event of this type on."""
RATE_OVER_S = 3.0
"""The rate is that of the last so many seconds: one that has slowed down is soon seen to have."""
RATE_FROM_S = 0.5
"""Before, there is none: what was fetched ahead would count as fetched in no time."""


class Fetching:
    """The words for one turn's files on their way, as `LiveOutput.update` takes them.

    >>> seconds = iter([0.0, 1.0])
    >>> words = Fetching(clock=lambda: next(seconds))
    >>> words(1, 5, 1_000_000)
    'fetching 1 of 5 files (1.0 MB)'
    >>> words(3, 5, 3_500_000)
    'fetching 3 of 5 files (3.5 MB, 2.5 MB/s)'

    Args:
        clock: Seconds, from anywhere.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, done: int, total: int, received: int) -> str:
        """Take in how far it is, and say it.

        Args:
            done: Files that are here.
            total: Files in all; 0 while they are looked for.
            received: Bytes of all of them, also of those that are not whole yet.
        """
        if not total:
            return "looking for files"
        now = self._clock()
        if self._seen and received < self._seen[-1][1]:
            # A file that had to be begun again: what came before says nothing of how fast it goes.
            self._seen.clear()
        self._seen.append((now, received))
        while len(self._seen) > 1 and now - self._seen[1][0] >= RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        amount = size_in_words(received)
        if now - since >= RATE_FROM_S and received > before:
            amount += f", {size_in_words(round((received - before) / (now - since)))}/s"
        return f"fetching {done} of {counted(total, 'file')} ({amount})"
