"""Imports what the first question needs while nobody is waiting.

Only where a hosted service will be asked from a live front end. It begins when the shell has been idle for a second,
stops between two steps as soon as a cell runs, and goes on at the next pause: an import that competes with the user's
own `import pandas` slows both down.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

IDLE_S = 1.0
MODULES = (
    "httpx2",
    "httpcore2",
    "pydantic",
    "openai",
    "openai.resources.responses.responses",
    "openai.resources.containers.files.content",
    "ipython_assistant.commands",
    "markdown_it",
    "pygments.lexers.python",
    "ipython_assistant.service.accounts",
)


class Warmth:
    """What is left to import, and whether now is the time.

    Args:
        modules: Names to import, each a step that can be stopped after.
        idle_s: Seconds without a running cell before it begins.
    """

    def __init__(self, modules: tuple[str, ...] = MODULES, idle_s: float = IDLE_S) -> None:
        self.left = list(modules)
        self._idle_s = idle_s
        self._busy = threading.Event()
        self._timer: threading.Timer | None = None

    def cell_began(self, *_info: Any) -> None:
        """IPython calls this before a cell runs (`pre_run_cell`)."""
        self._busy.set()
        self.stop()

    def cell_ended(self, *_outcome: Any) -> None:
        """IPython calls this after a cell ran (`post_run_cell`)."""
        self._busy.clear()
        if self.left:
            self._timer = threading.Timer(self._idle_s, self._go_on)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Do not begin after all."""
        if self._timer is not None:
            self._timer.cancel()

    def _go_on(self) -> None:
        while self.left and not self._busy.is_set():
            try:
                importlib.import_module(self.left[0])
            except ImportError:
                # The first question will say what is wrong, where somebody reads it.
                self.left.clear()
                return
            del self.left[:1]


def warm_when_idle(events: Any) -> Warmth:
    """Begin after the next cell; `events` is the shell's `EventManager`."""
    warmth = Warmth()
    events.register("pre_run_cell", warmth.cell_began)
    events.register("post_run_cell", warmth.cell_ended)
    return warmth


def stop_warming(events: Any) -> None:
    """Take back `warm_when_idle`; does nothing where it was not called."""
    for name in ("pre_run_cell", "post_run_cell"):
        for callback in list(events.callbacks[name]):
            owner = getattr(callback, "__self__", None)
            if isinstance(owner, Warmth):
                owner.stop()
                events.unregister(name, callback)
