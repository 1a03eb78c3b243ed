"""An answer in a terminal: its text line by line as it comes, and at the end whatever that left out."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from ipython_assistant.display.escaping import visible
from ipython_assistant.display.live import INTERVAL_S, FrontEnd, LiveOutput

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ipython_assistant.display.outputs import Bundle


class TerminalOutput(LiveOutput):
    """A `LiveOutput` that prints.

    What was printed stays, so a line is printed once no later one can change it: lines with a link into the container,
    and all that follow, wait for the answer's end, when the links lead to the saved files.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(FrontEnd())
        self._stream = stream
        self._printed = ""
        self._latest: Callable[[], str] | str = ""
        self._next_s = 0.0

    def update(self, text: Callable[[], str] | str | None = None, activity: str | None = None) -> None:  # noqa: ARG002 a terminal shows the text alone
        """Take in the answer so far, and print the lines that are whole."""
        if text is not None:
            self._latest = text
            self.tick()

    def tick(self) -> None:
        """Print what is whole, at most ten times a second: putting the text together takes time."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + INTERVAL_S
        written = self._latest if isinstance(self._latest, str) else self._latest()
        whole = written[: written.rfind("\n") + 1]
        link = whole.find("sandbox:")
        self._print(whole if link < 0 else whole[: whole.rfind("\n", 0, link) + 1])

    def finish(self, bundle: Bundle) -> None:
        """Print the rest; all of it anew where the answer's end changed what had been printed."""
        text = str(bundle.data.get("text/plain", ""))
        if not text.startswith(self._printed):
            self._stream.write("\n")
            self._printed = ""
        self._print(text if text.endswith("\n") else f"{text}\n")

    def _print(self, text: str) -> None:
        if len(text) > len(self._printed):
            self._stream.write(visible(text[len(self._printed) :]))
            self._stream.flush()
            self._printed = text


def is_terminal(shell: Any) -> bool:
    """Whether outputs go to a terminal: there is no kernel, and what is printed is read by a person."""
    return getattr(shell, "kernel", None) is None and sys.stdout.isatty()
