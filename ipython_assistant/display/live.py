"""What a cell shows while it runs: one updatable output, or lines in a terminal.

Above about a thousand messages a second Jupyter loses some silently, and each update holds the whole text, so pauses
grow with it. A notebook that a test or a converter runs gets each output once, and saves the same as a watched one.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ipython_assistant.display import outputs
from ipython_assistant.display.escaping import visible
from ipython_assistant.display.markdown import Growing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipython_assistant.display.outputs import Bundle

INTERVAL_S = 0.1  # seconds between two updates, at least
CHARACTERS_PER_S = 8_000  # the text's length over this is the pause after an update, in seconds
COUNTED_FROM_S = 2.0  # an activity that lasts shows its seconds from here on


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """The front end that runs a cell: `live` where a person watches; its `name` is `vscode`, `colab`, or empty."""

    live: bool = False
    cell_id: str | None = None
    name: str = ""


def front_end(shell: Any, environ: Mapping[str, str] = os.environ) -> FrontEnd:
    """The front end that runs the present cell: JupyterLab, Notebook and VS Code put its id into a request's metadata.

    A kernel that pytest started, or a cell whose outputs are captured, has no reader.
    """
    in_vscode = "__vsc_ipynb_file__" in getattr(shell, "user_ns", ())
    name = "vscode" if in_vscode else "colab" if "google.colab" in sys.modules else ""
    request: Any = getattr(shell, "get_parent", dict)() or {}
    cell_id = request.get("metadata", {}).get("cellId")
    cell_id = cell_id if isinstance(cell_id, str) and cell_id else None
    if cell_id is None and (name != "colab" or shell is None):
        return FrontEnd(name=name)
    from IPython.core.displaypub import CapturingDisplayPublisher

    tested = "PYTEST_CURRENT_TEST" in environ or "PYTEST_VERSION" in environ
    captured = isinstance(shell.display_pub, CapturingDisplayPublisher)
    return FrontEnd(live=not tested and not captured, cell_id=cell_id, name=name)


def publish(bundle: Bundle, publisher: Any = None) -> None:
    """Show one output, from the main thread. Outside IPython its plain text is written to stdout."""
    publisher = publisher or getattr(running_shell(), "display_pub", None)
    if publisher is not None:
        publisher.publish(data=bundle.data, metadata=bundle.metadata)
    elif "text/plain" in bundle.data:
        sys.stdout.write(f"{bundle.data['text/plain']}\n")


class LiveOutput:
    """The answer as it is written, from the main thread; where `front` is not live, only `finish` does anything.

    Leaving the `with` without `finish` (an error on the way) leaves the text that had come, without its status line.
    """

    def __init__(self, front: FrontEnd, *, publisher: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._publisher = publisher or getattr(running_shell(), "display_pub", None)
        self._live = front.live and self._publisher is not None
        self._clock = clock
        self._growing = Growing()
        self._display_id = uuid.uuid4().hex
        self._text: Callable[[], str] | str = ""
        self._activity = self._shown_status = ""
        self._since = self._next = clock()
        self._pending = self._shown_text = self._open = self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._open:
            self.finish(outputs.live(self._read(), "", self._growing))

    def update(self, text: Callable[[], str] | str | None = None, activity: str | None = None) -> None:
        """Take in the text so far and what is going on, and show it if it is time; None leaves either as it is."""
        if not self._live:
            return
        if text is not None:
            self._text, self._pending = text, True
        if activity is not None and activity != self._activity:
            self._activity, self._since, self._pending = activity, self._clock(), True
        if text is not None and not self._shown_text and self._read():
            self._next = self._since
        self.tick()

    def tick(self) -> None:
        """Show what is still pending, and how long it has been going on, if it is time."""
        now = self._clock()
        if not self._live or now < self._next:
            return
        lasts = self._activity and now - self._since >= COUNTED_FROM_S
        status = f"{self._activity}, {int(now - self._since)} s" if lasts else self._activity
        if self._pending or status != self._shown_status:
            text = self._read()
            self._send(outputs.live(text, status, self._growing))
            self._pending, self._shown_status, self._shown_text = False, status, self._shown_text or bool(text)
            self._next = self._clock() + max(INTERVAL_S, len(text) / CHARACTERS_PER_S)

    def finish(self, bundle: Bundle) -> None:
        """Show the last state; always sent, exactly once."""
        if self._finished:
            return
        self._live, self._finished = False, True
        if self._open:
            self._send(bundle)
        else:
            publish(bundle, self._publisher)

    def _read(self) -> str:
        return self._text if isinstance(self._text, str) else self._text()

    def _send(self, bundle: Bundle) -> None:
        if self._publisher is not None:
            transient = {"display_id": self._display_id}
            self._publisher.publish(data=bundle.data, metadata=bundle.metadata, transient=transient, update=self._open)
            self._open = True


def running_shell() -> Any:
    """The IPython shell that runs this code; None in a plain script, where IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


class ProgressLines(LiveOutput):
    """A `LiveOutput` for a terminal: a line on stderr for each new activity; the `answer` comes once it is whole."""

    def __init__(self, *, answer: bool = True) -> None:
        super().__init__(FrontEnd())
        self._finished, self._last = not answer, ""

    def update(self, text: Callable[[], str] | str | None = None, activity: str | None = None) -> None:  # noqa: ARG002 it waits for its end
        """Write the activity where it is new; counts that only grow are not written again."""
        begins = (activity or "").partition(" of ")[0].rstrip("0123456789 ")
        if activity and begins != self._last:
            self._last = begins
            print(visible(activity), file=sys.stderr, flush=True)  # noqa: T201 a terminal shows what is printed
