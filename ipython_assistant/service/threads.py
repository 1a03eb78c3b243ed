"""A pool of threads that does not hold up the end of the process.

The standard library's pool is joined when the interpreter ends: a thread that waits for a byte of a service that has
fallen silent would hold up the end of a kernel until its time-out. These threads are daemons, and end with the process.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = TypeVar("Outcome")


class Threads:
    """Up to `most` threads, begun as calls are submitted.

    Args:
        most: How many at the same time.
        name: What their names begin with.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._begun = 0
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, call: Callable[..., Outcome], *arguments: Any) -> Future[Outcome]:
        """Carry out a call in one of the threads; after `close` the future is cancelled at once."""
        future: Future[Outcome] = Future()
        with self._lock:
            if self._closed:
                future.cancel()
                return future
            self._tasks.put((future, lambda: call(*arguments)))
            if self._begun < self._most:
                name = f"{self._name}_{self._begun}"
                self._begun += 1
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def close(self) -> None:
        """Cancel the calls that wait; those under way go on, and are not waited for."""
        with self._lock:
            self._closed = True
            with contextlib.suppress(queue.Empty):
                while (task := self._tasks.get_nowait()) is not None:
                    task[0].cancel()
            for _ in range(self._begun):
                self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, call = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 it is raised again where the outcome is asked for
                    future.set_exception(error)
            del future, call, task
