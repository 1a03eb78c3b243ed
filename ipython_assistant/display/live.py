"""What a cell shows while it runs: one updatable output, at most about ten updates a second.

Updating an output at every token would send the whole text thousands of times, and above about a thousand messages a
second Jupyter loses some of them silently; so a throttle is a matter of correctness. It only streams where somebody
watches. A notebook that is run by a test or a converter gets each output exactly once, without a display id, and saves
the same as one that was watched.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from ipython_assistant.display import bundles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ipython_assistant.display.bundles import Bundle

INTERVAL_S = 0.1
"""Seconds between two updates, at least."""
SHARE = 0.2
"""Of the time, how much may go into drawing: a long answer is updated less often."""
COUNTED_FROM_S = 2.0
"""An activity that lasts shows its seconds from here on."""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Who is watching.

    Attributes:
        live: Whether a person sees the outputs as they come.
        cell_id: The id of the cell that runs, where the front end says it (the notebook format's `id` of a cell).
    """

    live: bool = False
    cell_id: str | None = None


class Publisher(Protocol):
    """IPython's display publisher, as far as it is used here."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
    ) -> None:
        """Send one output, or with `update` the new state of one that has a display id."""


def front_end(shell: Any, environ: Mapping[str, str] = os.environ) -> FrontEnd:
    """The front end that runs the present cell.

    JupyterLab and Notebook put the cell's id into each request's metadata; converters, terminals and scripts do not. A
    kernel that pytest started, or a cell whose outputs are captured, has nobody watching.

    Args:
        shell: The running shell, or None outside IPython.
        environ: Where pytest is looked for.
    """
    get_parent = getattr(shell, "get_parent", None)
    parent = get_parent() if get_parent is not None else None
    cell_id = (parent or {}).get("metadata", {}).get("cellId")
    if not isinstance(cell_id, str) or not cell_id:
        return FrontEnd()
    tested = "PYTEST_CURRENT_TEST" in environ or "PYTEST_VERSION" in environ
    return FrontEnd(live=not tested and not _captured(shell), cell_id=cell_id)


def publish(bundle: Bundle, publisher: Publisher | None = None) -> None:
    """Show one output, from the main thread. Outside IPython its plain text is written to stdout.

    Args:
        bundle: What to show.
        publisher: Who sends it; the running shell's, if not given.
    """
    publisher = publisher or _publisher()
    if publisher is not None:
        publisher.publish(data=bundle.data, metadata=bundle.metadata)
    elif "text/plain" in bundle.data:
        sys.stdout.write(f"{bundle.data['text/plain']}\n")


class LiveOutput:
    """The answer as it is written. Used in a `with`, from the main thread alone.

    Leaving the `with` without `finish` (an error on the way) leaves the text that had come, without its status line.

    Args:
        front: Who is watching; if nobody is, only `finish` does anything.
        publisher: Who sends it; the running shell's, if not given.
        clock: Seconds, from anywhere.
        display_id: The output's id; a random one, if not given. It is never saved.
    """

    def __init__(
        self,
        front: FrontEnd,
        *,
        publisher: Publisher | None = None,
        clock: Callable[[], float] = time.monotonic,
        display_id: str | None = None,
    ) -> None:
        self._publisher = publisher or _publisher()
        self._live = front.live and self._publisher is not None
        self._clock = clock
        self._display_id = display_id or uuid.uuid4().hex
        self._text: Callable[[], str] | str = ""
        self._activity = ""
        self._since = clock()
        self._pending = False
        self._shown_text = False
        self._shown_status: str | None = None
        self._next = self._since
        self._open = False
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open and not self._finished:
            self._finished = True
            self._send(bundles.live(self._read(), ""))

    def update(self, text: Callable[[], str] | str | None = None, activity: str | None = None) -> None:
        """Take in a new state and show it, if it is time: the first text at once, then at most ten times a second.

        Args:
            text: The answer so far, or a function that gives it where putting it together costs something; None leaves
                it as it is.
            activity: What is going on, in words and without a time, such as `running code`; None leaves it as it is.
        """
        if not self._live or self._finished:
            return
        if text is not None:
            self._text, self._pending = text, True
        if activity is not None and activity != self._activity:
            self._activity, self._since, self._pending = activity, self._clock(), True
        self._draw(at_once=not self._shown_text and text is not None and bool(self._read()))

    def tick(self) -> None:
        """Time passed and nothing came: show what is still pending, and how long it has been going on."""
        if self._live and not self._finished:
            self._draw(at_once=False)

    def finish(self, bundle: Bundle) -> None:
        """Show the last state; always sent, exactly once."""
        if self._finished:
            return
        self._finished = True
        if self._open:
            self._send(bundle)
        else:
            publish(bundle, self._publisher)

    def _draw(self, *, at_once: bool) -> None:
        now = self._clock()
        status = self._status(now)
        if (now < self._next and not at_once) or not (self._pending or status != self._shown_status):
            return
        text = self._read()
        self._send(bundles.live(text, status))
        self._pending, self._shown_status = False, status
        self._shown_text = self._shown_text or bool(text)
        done = self._clock()
        self._next = done + max(INTERVAL_S - (done - now), (done - now) * (1 - SHARE) / SHARE)

    def _status(self, now: float) -> str:
        elapsed = now - self._since
        return f"{self._activity}, {int(elapsed)} s" if self._activity and elapsed >= COUNTED_FROM_S else self._activity

    def _read(self) -> str:
        return self._text if isinstance(self._text, str) else self._text()

    def _send(self, bundle: Bundle) -> None:
        if self._publisher is not None:
            self._publisher.publish(
                data=bundle.data,
                metadata=bundle.metadata,
                transient={"display_id": self._display_id},
                update=self._open,
            )
            self._open = True


def _publisher() -> Publisher | None:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    publisher: Publisher | None = getattr(shell, "display_pub", None)
    return publisher


def _captured(shell: Any) -> bool:
    from IPython.core.displaypub import CapturingDisplayPublisher

    return isinstance(shell.display_pub, CapturingDisplayPublisher)
