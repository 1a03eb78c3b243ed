"""Stops a process that passes a limit, while it runs code and afterwards: a run may leave some going on."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from ipython_assistant.engine.limits import Excess, Watch

LOOK_EVERY_S: Final = 0.25
"""How often running code is looked at; less often where looking takes long."""
GLANCE_EVERY_S: Final = 0.03
"""How often it is looked whether there are suddenly many processes."""
LOOK_AT_REST_S: Final = (0.5, 2.0)
"""How often a process is looked at that was asked to run nothing: more seldom each time it turns out to do nothing."""
SHARE_OF_LOOKING: Final = 10
"""Looking is followed by a pause so many times as long, at least."""

_log = logging.getLogger(__name__)


class Guard:
    """Looks at one process from its first code to its end.

    Args:
        watch: Makes what looks at it; called in a thread.
        interrupt: Interrupts the code it runs.
        kill: Ends it at once.
        grace_s: How long interrupted code may take to stop.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        watch: Callable[[], Watch],
        *,
        interrupt: Callable[[], Awaitable[None]],
        kill: Callable[[], Awaitable[None]],
        grace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.passed: Excess | None = None
        """The limit that the run at hand passed, or the last one."""
        self.left_running: Excess | None = None
        """The limit that was passed when nothing was to be run; the process is ended then."""
        self._make = watch
        self._interrupt = interrupt
        self._kill = kill
        self._grace_s = grace_s
        self._clock = clock
        self._watch: Watch | None = None
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Code begins to run: what it uses counts from here."""
        self.passed = None
        self._go_on_with(self._over_a_run())

    def rest(self) -> None:
        """The code has ended."""
        self._go_on_with(self._at_rest())

    def stop(self) -> None:
        """There is nothing to look at any more, or nothing yet that is worth it."""
        self._go_on_with(None)

    def given(self, size: int) -> None:
        """Somebody else than the code puts a file of this many bytes among its own."""
        if self._watch is not None:
            self._watch.given(size)

    def _go_on_with(self, looking: Coroutine[None, None, None] | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._looking = None
        if looking is not None:
            self._looking = asyncio.create_task(looking)
            self._looking.add_done_callback(_told)

    async def _over_a_run(self) -> None:
        self._watch = await asyncio.to_thread(self._make)
        self.passed = await self._excess(self._watch)
        if self.passed.gentle:
            await self._interrupt()
            await asyncio.sleep(self._grace_s)
        await self._kill()

    async def _excess(self, watch: Watch) -> Excess:
        """Wait for the first limit that is passed."""
        looking: asyncio.Task[Excess | None] | None = None
        began = self._clock()
        next_look = began + LOOK_EVERY_S
        while True:
            await asyncio.sleep(GLANCE_EVERY_S)
            if excess := watch.glance():
                return excess
            if looking is not None and looking.done():
                if excess := looking.result():
                    return excess
                took = self._clock() - began
                looking, next_look = None, self._clock() + max(LOOK_EVERY_S, SHARE_OF_LOOKING * took)
            if looking is None and self._clock() >= next_look:
                began = self._clock()
                looking = asyncio.create_task(asyncio.to_thread(watch.look))

    async def _at_rest(self) -> None:
        often, seldom = LOOK_AT_REST_S
        pause = often
        if self._watch is None:
            self._watch = await asyncio.to_thread(self._make)
        watch = self._watch
        while True:
            await asyncio.sleep(pause)
            began = self._clock()
            excess = await asyncio.to_thread(watch.look_at_rest)
            if excess is not None:
                self.left_running = excess
                await self._kill()
                return
            wished = often if watch.busy else min(2 * pause, seldom)
            pause = max(wished, SHARE_OF_LOOKING * (self._clock() - began))


def _told(looking: asyncio.Task[None]) -> None:
    """Nobody waits for this task: if it fails, the log says that nobody looks any more."""
    if not looking.cancelled() and (error := looking.exception()) is not None:
        _log.error("Looking at a process failed: %r", error)
