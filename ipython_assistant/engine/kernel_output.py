"""What one run showed: reads a kernel's messages as they come. Unknown code may send anything.

Messages that make no sense are passed over, and text and figures beyond a limit are counted and left out.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipython_assistant.engine.models import RunOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipython_assistant.engine.container_folder import FileVersion
    from ipython_assistant.engine.sandbox import VisiblePaths

MAX_TEXT: Final = 1_000_000  # characters of printed text kept of a run
MAX_FIGURES: Final = 100  # kept of a run
MAX_FIGURE_BYTES: Final = 32 << 20  # of all figures of a run together
MAX_MESSAGE: Final = 20_000  # characters kept of an exception's text

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_RULER: Final = re.compile(r"-+")
_CHAINED: Final = ("The above exception was", "During handling of the above")
_CELL_FILE: Final = re.compile(r"\(\d+\.py, (line \d+)\)$")


@dataclass(frozen=True, slots=True)
class CodeRun:
    """What code showed, in order (text, or a PNG), its error, the files it made or changed; it may have `died`."""

    shown: tuple[str | bytes, ...]
    error: str = ""
    died: bool = False
    files: tuple[FileVersion, ...] = ()

    @property
    def outcome(self) -> RunOutcome:
        """What a model is told of the run."""
        logs = "".join(part for part in self.shown if isinstance(part, str))
        figures = sum(isinstance(part, bytes) for part in self.shown)
        return RunOutcome(logs, self.error or None, figures, tuple(file.name for file in self.files))


class KernelOutput:
    """What a run showed so far, as it comes; a message of the kind `begins_with` says that the code was taken up."""

    def __init__(self, visible: VisiblePaths, *, begins_with: str = "execute_input") -> None:
        self.begins_with = begins_with
        self.begun = False
        self.error = ""
        self._visible = visible
        self._parts: list[str | bytes] = []
        self._text: list[str] = []
        self._room, self._figure_room, self._figures = MAX_TEXT, MAX_FIGURE_BYTES, 0
        self._characters_left_out = self._figures_left_out = 0

    def take(self, kind: object, content: object) -> None:
        """Take the next message: its `msg_type` and its `content`, whatever they are."""
        self.begun = self.begun or kind == self.begins_with
        fields = content if isinstance(content, Mapping) else {}
        text, bundle = fields.get("text"), fields.get("data")
        if kind == "error":
            self._fail(fields)
        elif kind == "stream" and isinstance(text, str):
            self._write(text)
        elif kind in ("execute_result", "display_data") and isinstance(bundle, Mapping):
            self._display(bundle.get("image/png"), bundle.get("text/plain"))

    def parts(self) -> tuple[str | bytes, ...]:
        """All of it, with a line for each kind of thing that was left out."""
        if self._characters_left_out:
            self._end_line()
            self._text.append(f"[{self._characters_left_out:,} more characters were printed and left out]\n")
        if self._figures_left_out:
            self._end_line()
            self._text.append(f"[{self._figures_left_out:,} more figures were left out; `savefig` keeps each]\n")
        self._flush()
        return tuple(self._parts)

    def _fail(self, fields: Mapping[str, object]) -> None:
        name, message = (_plain(str(fields.get(key) or ""))[:MAX_MESSAGE] for key in ("ename", "evalue"))
        message = self._visible.outward(_CELL_FILE.sub(r"(\1)", message))
        self.error = f"{name or 'Error'}: {message}" if message else name or "Error"
        blocks = fields.get("traceback")
        listed = [block for block in blocks if isinstance(block, str)] if isinstance(blocks, list) else []
        traceback = readable_traceback(listed, own=self._visible.work)
        self._write(f"{traceback or self.error}\n", on_new_line=True)

    def _display(self, encoded: object, text: object) -> None:
        """A picture if there is one, else its text."""
        png = b""
        if isinstance(encoded, str):
            if self._figures >= MAX_FIGURES or len(encoded) * 3 // 4 - 2 > self._figure_room:
                self._figures_left_out += 1
                return
            with contextlib.suppress(ValueError):
                png = base64.b64decode(encoded)
        if png.startswith(_PNG):
            self._figures += 1
            self._figure_room -= len(png)
            self._flush()
            self._parts.append(png)
        elif text:
            self._write(str(text), on_new_line=True)

    def _write(self, text: str, *, on_new_line: bool = False) -> None:
        if on_new_line:
            self._end_line()
        kept = text[: self._room]
        self._room -= len(kept)
        self._characters_left_out += len(text) - len(kept)
        self._text += [kept] if kept else []

    def _end_line(self) -> None:
        if self._text and not self._text[-1].endswith("\n"):
            self._text.append("\n")

    def _flush(self) -> None:
        if text := _plain("".join(self._text)):
            self._parts.append(self._visible.outward(text))
        self._text.clear()


def readable_traceback(traceback: Iterable[str], *, own: str) -> str:
    """A traceback, as the blocks that IPython sends, without frames of libraries: for who wrote the code.

    `own` is the directory whose files are the person's own, besides the cell itself. An exception before the last one
    of a chain is kept only if it has such frames.
    """
    chain: list[list[str]] = [[]]
    for block in (_plain(block).strip("\n") for block in traceback):
        if block.startswith(_CHAINED):
            chain.append([block])
        elif not _RULER.fullmatch(block) and (not block.startswith("File ") or own in block.partition("\n")[0]):
            chain[-1].append(block)
    kept = [part for part in chain[:-1] if any(block.startswith(("Cell ", "File ")) for block in part)]
    if not kept:
        chain[-1] = [block for block in chain[-1] if not block.startswith(_CHAINED)]
    return "\n\n".join("\n".join(part) for part in [*kept, chain[-1]])


def _plain(text: str) -> str:
    """Text as it would be read: no escape sequences, progress bars at their last state, no half characters."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in _ANSI.sub("", text).split("\n")]
    return "\n".join(lines).encode("utf-8", "replace").decode("utf-8")
