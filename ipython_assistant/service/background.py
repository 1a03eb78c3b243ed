"""Work in threads that hold up neither the user's cells nor the end of the process.

The standard library's pool is joined when the interpreter ends: a thread that waits for a byte of a service that has
fallen silent would hold up the end of a kernel until its time-out. The threads here are daemons.
"""

from __future__ import annotations

import contextlib
import importlib
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = TypeVar("Outcome")


class Threads:
    """Up to `most` threads, begun as calls are submitted; their names begin with `name`."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock, self._begun, self._closed = threading.Lock(), 0, False

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


IDLE_S = 1.0
MODULES = (
    "httpx2", "httpcore2", "ipython_assistant.commands", "markdown_it", "pygments.lexers.python",
    "ipython_assistant.service.accounts", "ipython_assistant.display.buttons",
)  # fmt: skip


class Warmth:
    """What is `left` to do, once no cell has run for `idle_s` seconds: import the modules, and call `at_last`."""

    def __init__(
        self, at_last: Callable[[], object], modules: tuple[str, ...] = MODULES, idle_s: float = IDLE_S
    ) -> None:
        self.left: list[str | Callable[[], object]] = [*modules, at_last]
        self._idle_s = idle_s
        self._busy = threading.Event()
        self._at_work = threading.Lock()
        self._timer: threading.Timer | None = None

    def cell_began(self, *_info: Any) -> None:
        """IPython calls this before a cell runs (`pre_run_cell`)."""
        self._busy.set()
        if self._timer is not None:
            self._timer.cancel()

    def cell_ended(self, *_outcome: Any) -> None:
        """IPython calls this after a cell ran (`post_run_cell`)."""
        self._busy.clear()
        if self.left:
            self._timer = threading.Timer(self._idle_s, self._go_on)
            self._timer.daemon = True
            self._timer.start()

    def end(self, events: Any) -> None:
        """Take back `warm_when_idle`."""
        self.cell_began()
        events.unregister("pre_run_cell", self.cell_began)
        events.unregister("post_run_cell", self.cell_ended)

    def _go_on(self) -> None:
        if not self._at_work.acquire(blocking=False):
            return  # a short cell began and ended while a module was imported: that thread goes on
        try:
            while self.left and not self._busy.is_set():
                step = self.left[0]
                importlib.import_module(step) if isinstance(step, str) else step()
                del self.left[0]
        except ImportError:  # the first question will say what is wrong
            self.left.clear()
        finally:
            self._at_work.release()


def warm_when_idle(events: Any, at_last: Callable[[], object]) -> Warmth:
    """Import once no cell runs, and then call `at_last`; `events` is the shell's `EventManager`."""
    warmth = Warmth(at_last)
    events.register("pre_run_cell", warmth.cell_began)
    events.register("post_run_cell", warmth.cell_ended)
    return warmth
