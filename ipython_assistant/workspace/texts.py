"""A text file → its first lines, to be shown as they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST_LINES = 12
LONGEST_LINE = 200
_SAMPLE_BYTES = 16 << 10
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# What a text file may hold beside what is seen.
_CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\r\f\x1b\b")


@dataclass(frozen=True, slots=True)
class TextHead:
    """The first lines of a text; `whole` says that there is nothing more."""

    text: str
    whole: bool


def marked_encoding(start: bytes) -> str:
    r"""The encoding that a file's byte order mark tells; empty where it begins with none.

    >>> marked_encoding(b"\xef\xbb\xbfname"), marked_encoding(b"name")
    ('utf-8-sig', '')
    """
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), "")


def read_text_head(path: Path) -> TextHead | None:
    """The first lines, long ones cut; None for an empty file and for one that is no text.

    Its name does not count: whatever decodes as UTF-8 (or as UTF-16 with its mark), and holds no control characters, is
    text.

    Raises:
        OSError: The file cannot be read at all.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
        more = bool(file.read(1))
    encoding = marked_encoding(start) or "utf-8"
    if not _CONTROLS.isdisjoint(start) and encoding != "utf-16":
        return None
    try:
        text = start.decode(encoding)
    except UnicodeDecodeError as error:
        # The last character may be cut; anything else is no text.
        if not more or error.end < len(start) - 4 or error.reason not in {"unexpected end of data", "truncated data"}:
            return None
        text = start[: error.start].decode(encoding)
    if not text.strip():
        return None
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …" for line in lines[:MOST_LINES]]
    whole = not more and len(lines) <= MOST_LINES and all(len(line) <= LONGEST_LINE for line in lines)
    return TextHead("\n".join(shown), whole)
