"""Background responses: they are made whether or not anybody waits, can be looked at meanwhile, and cancelled.

What the hosted service does: https://developers.openai.com/api/docs/guides/background . Here, too, only they can be
cancelled by request: any other response ends when its client hangs up.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from ipython_assistant.engine.wire import Event, Json

MOST_ENDED: Final = 20
"""How many streams can be read once more after their end. Their events may hold pictures."""


class Job:
    """One response that is being made, or was.

    Args:
        response: The response as it begins.
        events: What makes it. Its task being cancelled, it ends with the events of a cancelled response.
        streamed: Whether its events may be asked for.
    """

    def __init__(self, response: Json, events: AsyncGenerator[Event, None], *, streamed: bool) -> None:
        self.response = response | {"status": "queued"}
        self.streamed = streamed
        self._events: list[Event] = []
        self._news = asyncio.Event()
        self._begun = asyncio.Event()
        self._cancelled = False
        self._task = asyncio.create_task(self._make(events))

    @property
    def over(self) -> bool:
        """Whether nothing comes any more."""
        return self._task.done()

    async def cancel(self) -> None:
        """End it, and the code that it runs; return when that is done. Nothing happens to one that is over."""
        await self._begun.wait()
        if not self._cancelled:  # a second time would cut off what the first one set going
            self._cancelled = True
            self._task.cancel()
        await asyncio.wait([self._task])

    async def follow(self, after: int = -1) -> AsyncGenerator[Event, None]:
        """Its events, up to the last and as they come.

        Args:
            after: The `sequence_number` of the event before the first that is wanted.
        """
        position = max(0, after + 1)
        while True:
            news, over, fresh = self._news, self.over, self._events[position:]
            for event in fresh:
                yield event
            position += len(fresh)
            if over:
                return
            await news.wait()

    async def _make(self, events: AsyncGenerator[Event, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._keep(event)
                    self._begun.set()
        finally:
            self._begun.set()
            asyncio.get_running_loop().call_soon(self._tell)  # when the task is done, which is after this

    def _keep(self, event: Event) -> None:
        if "response" in event:
            self.response = event["response"]
        elif event["type"] in {"response.output_item.added", "response.output_item.done"}:
            before = self.response["output"][: event["output_index"]]
            self.response = self.response | {"output": [*before, event["item"]]}
        if self.streamed:
            self._events.append(event)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Jobs:
    """All background responses that are being made, and the streams that ended last."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def begin(self, response: Json, events: AsyncGenerator[Event, None], *, streamed: bool) -> Job:
        """Make a response; see `Job`."""
        self._forget(lambda job: job.over and not job.streamed)
        ended = [response_id for response_id, job in self._jobs.items() if job.over]
        for response_id in ended[: max(0, len(ended) - MOST_ENDED)]:
            del self._jobs[response_id]
        job = self._jobs[response["id"]] = Job(response, events, streamed=streamed)
        return job

    def find(self, response_id: str) -> Job | None:
        """The job of this response, if it is known."""
        return self._jobs.get(response_id)

    async def remove(self, response_id: str) -> None:
        """End a job, if it is still there, and forget it."""
        job = self._jobs.get(response_id)
        if job is not None:
            await job.cancel()
            self._jobs.pop(response_id, None)

    async def stop(self) -> None:
        """End them all."""
        await asyncio.gather(*(job.cancel() for job in self._jobs.values() if not job.over))

    def _forget(self, done_with: Callable[[Job], bool]) -> None:
        self._jobs = {response_id: job for response_id, job in self._jobs.items() if not done_with(job)}
